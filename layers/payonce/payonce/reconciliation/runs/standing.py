"""The states of corrections, as far as a run needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.reconciliation.cases.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The state of a break's correction. ``in_flight``: its money may be on the way, so that nothing is proved yet.

    ``gateway_references`` are the refunds that the gateway has to report before the break is proved gone. ``since_ms``
    is when it was corrected, 0 before. ``rest_minor`` is the rest of a surplus that was given back in part: books and
    gateway agree by then, but the payer still lacks it.
    """

    in_flight: bool = False
    gateway_references: tuple[str, ...] = ()
    since_ms: int = 0
    rest_minor: int = 0


class RunCorrections(Protocol):
    """The interface of corrections to runs, implemented by corrections.following."""

    def standing(self, cases: Iterable[Case]) -> Mapping[str, Standing]:
        """Return the states of the cases' corrections by break id; a case without a correction is missing."""
        ...

    def begin(self, cases: Iterable[Case]) -> None:
        """Start the corrections that the cases need. Idempotent: a second call starts nothing."""
        ...


def is_unproved(standing: Standing, seen: set[str], as_of_ms: int) -> bool:
    """Return True while a run's not finding the break does not yet prove that it is gone.

    ``seen`` are the references that the gateway has reported.
    """
    waits = not seen.issuperset(standing.gateway_references)
    return standing.in_flight or waits or standing.rest_minor > 0 or standing.since_ms > as_of_ms
