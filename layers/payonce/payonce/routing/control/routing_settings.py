"""The routing settings of an operator. Everything else is learned, or is a constant with its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from payonce.domain.errors import MisconfiguredError

MAX_GATEWAYS = 16  # keeps the control document small; no merchant has more acquirers for one currency


class Mode(StrEnum):
    """Which payments the decisions apply to. OFF: none. SHADOW: none, but recorded. CANARY: some. ON: all."""

    OFF = "off"
    SHADOW = "shadow"
    CANARY = "canary"
    ON = "on"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """The settings. ``neutral`` are the static weights per gateway, used without any forecast; they sum to 1.

    ``slo_ms`` is the latency that 95 % of payments should stay below. ``probes_per_second`` is the minimum of real
    first attempts that a demoted gateway keeps getting, so that its recovery is seen. ``max_shift`` bounds the share
    of a method's traffic that one step of the forecast loop may move. ``hold_seconds`` is how long a gateway must be
    well before it gets traffic back; it grows with every relapse. A document is valid for ``life_seconds``.
    """

    neutral: dict[str, float]
    mode: Mode = Mode.SHADOW
    slo_ms: int = 3000
    horizon_seconds: int = 60
    act_at_probability: float = 0.5
    probes_per_second: float = 0.2
    max_shift: float = 0.25
    hold_seconds: int = 60
    life_seconds: int = 30
    canary_share: float = 0.05

    def __post_init__(self) -> None:
        """Refuse settings that could leave payments without a route. Raises ``MisconfiguredError``."""
        # Sorted, so that floating-point sums, and with them a decision's bytes, do not depend on the order given.
        object.__setattr__(self, "neutral", dict(sorted(self.neutral.items())))
        weights = self.neutral.values()
        if not 1 <= len(self.neutral) <= MAX_GATEWAYS or min(weights) < 0 or abs(sum(weights) - 1) > 1e-6:
            raise MisconfiguredError("The static weights of the gateways must be at least 0 and add up to 1.")
        if not 0 < self.max_shift <= 1 or not 0 <= self.canary_share <= 1 or not 0 < self.act_at_probability < 1:
            raise MisconfiguredError("max_shift, canary_share and act_at_probability are shares between 0 and 1.")
        if min(self.slo_ms, self.horizon_seconds, self.hold_seconds, self.life_seconds) < 1:
            raise MisconfiguredError("The SLO, the horizon, the hold and a document's life must be positive.")
        if self.probes_per_second < 0:
            raise MisconfiguredError("probes_per_second can't be negative.")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is stored with every decision."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Return the settings from their stored form: the inverse of ``to_json``."""
        return cls(**{**stored, "mode": Mode(stored["mode"])})
