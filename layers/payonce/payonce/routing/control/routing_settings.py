"""The routing settings of an operator. Everything else is learned, or is a constant with its reason beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from payonce.domain.errors import MisconfiguredError

SLO_MS = 3000  # a payer at a checkout waits so long without doubting; the client's own patience is at least 5 s
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

    ``slo_ms`` is the latency that 95 % of payments should stay below. ``hold_seconds`` is how long a
    gateway is held to what it did: what is known of a demoted one fades with twice that time constant. A document is
    valid for ``life_seconds``.
    """

    neutral: dict[str, float]
    mode: Mode = Mode.SHADOW
    slo_ms: int = SLO_MS
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
        if not 0 <= self.canary_share <= 1:
            raise MisconfiguredError("canary_share is a share between 0 and 1.")
        if min(self.slo_ms, self.hold_seconds, self.life_seconds) < 1:
            raise MisconfiguredError("The SLO, the hold and a document's life must be positive.")

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that is stored with every decision."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Self:
        """Return the settings from their stored form: the inverse of ``to_json``."""
        return cls(**{**stored, "mode": Mode(stored["mode"])})
