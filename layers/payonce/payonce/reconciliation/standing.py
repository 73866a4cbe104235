"""What runs know of corrections: where one stands, and when its break may be proved gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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


def is_unproved(standing: Standing, seen: Collection[str], as_of_ms: int) -> bool:
    """Return whether a run that looked at ``as_of_ms`` and saw these references proves nothing about the break yet."""
    waits = standing.gateway_reference is not None and standing.gateway_reference not in seen
    return standing.in_flight or waits or standing.since_ms > as_of_ms
