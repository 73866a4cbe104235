"""Where the corrections of breaks stand, as far as a run has to know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.reconciliation.cases.case import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the correction of a break stands. ``in_flight``: its money may be on the way, so nothing is proved now.

    ``gateway_reference``: the refund that the gateway has to report before the break is proved gone. ``since_ms``: when
    it was corrected, 0 before.
    """

    in_flight: bool = False
    gateway_reference: str | None = None
    since_ms: int = 0


class RunCorrections(Protocol):
    """Corrections, as runs see them: corrections.following."""

    def standing(self, cases: Iterable[Case]) -> Mapping[str, Standing]:
        """Return where the corrections of the cases stand, by break; without one a case is not in it."""
        ...

    def begin(self, cases: Iterable[Case]) -> None:
        """Start the corrections that the cases need and have not had; again starts none twice."""
        ...


def is_unproved(standing: Standing, seen: set[str], as_of_ms: int) -> bool:
    """Return whether it says nothing yet that a run does not find the break; ``seen`` are references reported."""
    waits = standing.gateway_reference is not None and standing.gateway_reference not in seen
    return standing.in_flight or waits or standing.since_ms > as_of_ms
