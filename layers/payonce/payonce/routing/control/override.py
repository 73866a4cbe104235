"""The operator's override: temporary shares per gateway and a mode, validated as strictly as the control document.

::

    {"format": 1, "version": 4, "mode": "shadow", "shares": {"alder": 0.0}, "operator": "ann",
     "reason": "alder maintains its hosts", "issued_at_ms": ..., "expires_at_ms": ...}

``mode`` is ``null`` where the configured one stays. An override with neither mode nor shares is a release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.routing.control.document import MAX_AHEAD_MS, canonical
from payonce.routing.control.routing_settings import MAX_GATEWAYS, Mode
from payonce.routing.control.strict_json import known, number, table, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
MAX_BYTES = 8_192  # four times what 16 gateways with long names and a reason need
USUAL_LIFE_MS = 3_600_000  # an hour, so that somebody decides again whether it is still needed
MAX_LIFE_MS = 7 * 86_400_000  # a week: what has to last longer belongs in the configuration, where it is reviewed
MAX_OPERATOR = 100  # characters
MAX_REASON = 500  # characters: a sentence or two, and the name of an incident
FIELDS = frozenset({"format", "version", "mode", "shares", "operator", "reason", "issued_at_ms", "expires_at_ms"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What an operator decided. ``version`` counts from 1; ``shares`` (0..1) multiply a gateway's weight, 1 by default.

    Raises ``ValueError`` if the end, the reason or the operator's name is missing.
    """

    version: int
    mode: Mode | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    operator: str
    reason: str
    issued_at_ms: int
    expires_at_ms: int

    def __post_init__(self) -> None:
        """Refuse an override without an end or a responsible operator. Raises ``ValueError``."""
        if self.version < 1:
            raise ValueError("an override's version counts from 1")
        if not self.issued_at_ms < self.expires_at_ms <= self.issued_at_ms + MAX_LIFE_MS:
            raise ValueError("an override lasts for a while, at most 7 days")
        text(self.operator, MAX_OPERATOR)
        text(self.reason, MAX_REASON)
        if len(self.shares) > MAX_GATEWAYS:
            raise ValueError("more gateways than can be configured")
        for share in self.shares.values():
            number(share, 1)

    def is_release(self) -> bool:
        """Return whether it overrides nothing, so that the configuration and the document decide again."""
        return self.mode is None and not self.shares

    def is_in_force(self, now_ms: int) -> bool:
        """Return whether it applies at ``now_ms``. Ask on every use, as for a document's freshness."""
        return not self.is_release() and self.issued_at_ms - MAX_AHEAD_MS <= now_ms < self.expires_at_ms

    def to_bytes(self) -> bytes:
        """Return canonical JSON: equal overrides give equal bytes."""
        return canonical(
            {
                "expires_at_ms": self.expires_at_ms,
                "format": FORMAT,
                "issued_at_ms": self.issued_at_ms,
                "mode": None if self.mode is None else self.mode.value,
                "operator": self.operator,
                "reason": self.reason,
                "shares": {gateway: float(share) for gateway, share in self.shares.items()},
                "version": self.version,
            }
        )


def parse_override(raw: bytes, gateways: frozenset[str] | None) -> Override:
    """Return the override, checked against the configured gateways. Raises ``ValueError`` if any field is invalid.

    ``gateways=None`` accepts any name: for the history, which outlives gateways, and never for a payment.
    """
    if len(raw) > MAX_BYTES:
        raise ValueError("the override is too large")
    try:
        stored = json.loads(raw)
    except RecursionError as error:
        raise ValueError("the override is nested too deeply") from error
    if not isinstance(stored, dict) or set(stored) != FIELDS or stored["format"] != FORMAT:
        raise ValueError("not an override of this format")
    shares = table(stored["shares"], MAX_GATEWAYS)
    return Override(
        version=whole(stored["version"]),
        mode=None if stored["mode"] is None else Mode(stored["mode"]),
        shares={
            gateway if gateways is None else known(gateway, gateways): number(share, 1)
            for gateway, share in shares.items()
        },
        operator=text(stored["operator"], MAX_OPERATOR),
        reason=text(stored["reason"], MAX_REASON),
        issued_at_ms=whole(stored["issued_at_ms"]),
        expires_at_ms=whole(stored["expires_at_ms"]),
    )


def overridden(weights: Mapping[str, float], override: Override | None, now_ms: int) -> Mapping[str, float]:
    """Return the weights multiplied by the override's shares and normalised to the sum 1.

    Returns ``weights`` itself, the same object, when no override is in force and when all weights would become 0:
    an override never leaves a payment without a route.
    """
    if override is None or not override.shares or not override.is_in_force(now_ms):
        return weights
    left = {gateway: weight * override.shares.get(gateway, 1.0) for gateway, weight in weights.items()}
    total = sum(left.values())
    if total <= 0:
        return weights
    return {gateway: weight / total for gateway, weight in left.items()}


def mode_of(configured: Mode, override: Override | None, now_ms: int) -> Mode:
    """Return the mode in force: the override's if it is in force and has one, else the configured one."""
    if override is not None and override.mode is not None and override.is_in_force(now_ms):
        return override.mode
    return configured
