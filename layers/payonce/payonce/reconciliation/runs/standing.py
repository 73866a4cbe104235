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

    ``gateway_references``: the refunds that the gateway has to report before the break is proved gone. ``since_ms``:
    when it was corrected, 0 before. ``rest_minor``: what is left to give back of a surplus that was given back in part:
    our books agree with the gateway by then, and yet the payer lacks it.
    """

    in_flight: bool = False
    gateway_references: tuple[str, ...] = ()
    since_ms: int = 0
    rest_minor: int = 0


class RunCorrections(Protocol):
    """Corrections, as runs see them: corrections.following."""

    def standing(self, cases: Iterable[Case]) -> Mapping[str, Standing]:
        """Return where the corrections of the cases stand, by break; without one a case is not in it."""
        ...

    def begin(self, cases: Iterable[Case]) -> None:
        """Start the corrections that the cases need and have not had. Idempotent: a second call starts nothing."""
        ...


def is_unproved(standing: Standing, seen: set[str], as_of_ms: int) -> bool:
    """Return True while a run's not finding the break does not yet prove that it is gone.

    ``seen`` are the references that the gateway has reported.
    """
    waits = not seen.issuperset(standing.gateway_references)
    return standing.in_flight or waits or standing.rest_minor > 0 or standing.since_ms > as_of_ms
