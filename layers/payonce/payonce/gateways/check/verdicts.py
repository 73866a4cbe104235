"""What a check is, and how it can end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.gateways.check.stage import BrokenError, NotClaimedError
from payonce.gateways.check.vendor import NotBroughtError

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.gateways.check.stage import Stage

PAGE = "docs/how-to-add-a-gateway.md"


class Verdict(StrEnum):
    """How a check can end. Only ``BROKEN`` and ``FAILED`` are against the adapter or its author's server."""

    HELD = "held"
    BROKEN = "broken"
    NOT_CLAIMED = "not claimed"  # the adapter declares that it can't
    NOT_SHOWN = "not shown"  # the author's server has no means to try it
    FAILED = "failed"  # the author's server or the check itself raised: nothing is known


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the port. ``expected`` is a sentence, ``promise`` the one of payonce's that rests on it.

    ``chapter`` is the anchor in the page for authors.
    """

    name: str
    promise: str
    expected: str
    chapter: str
    run: Callable[[Stage], None]

    @property
    def read_on(self) -> str:
        """Return where the rule is explained."""
        return f"{PAGE}#{self.chapter}"


@dataclass(frozen=True, slots=True)
class Result:
    """How a check has ended. ``happened`` is "" where the promise was held."""

    check: Check
    verdict: Verdict
    happened: str
    seconds: float


def run_check(check: Check, stage: Stage) -> Result:
    """Run one check. It never raises: what goes wrong is the result's verdict."""
    began = time.monotonic()
    verdict, happened = _verdict(check, stage)
    return Result(check, verdict, happened, time.monotonic() - began)


def _verdict(check: Check, stage: Stage) -> tuple[Verdict, str]:
    try:
        check.run(stage)
    except BrokenError as broken:
        return Verdict.BROKEN, broken.happened
    except NotClaimedError as reason:
        return Verdict.NOT_CLAIMED, str(reason)
    except NotBroughtError as reason:
        return Verdict.NOT_SHOWN, str(reason)
    except Exception as error:
        return Verdict.FAILED, f"{type(error).__name__}: {error}"[:300]
    return Verdict.HELD, ""
