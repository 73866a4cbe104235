"""The operator's override: temporary shares per gateway and a mode, validated as strictly as the control document.

::

    {"format": 1, "version": 4, "mode": "shadow", "shares": {"alder": 0.0}, "operator": "ann",
     "reason": "alder maintains its hosts", "issued_at_ms": ..., "expires_at_ms": ...}

``mode`` is ``null`` where the configured one stays. An override with neither mode nor shares is a release.

Each part ends for itself: a drain of five minutes does not shorten another gateway's of two hours. Parts that end
before ``expires_at_ms`` are in format 2, which is written only where there is one::

    {"format": 2, ..., "ends_at_ms": {"alder": ...}, "mode_ends_at_ms": null, "expires_at_ms": ...}
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS, HOUR_MS
from payonce.routing.control.document import MAX_AHEAD_MS, canonical
from payonce.routing.control.routing_settings import MAX_GATEWAYS, Mode
from payonce.routing.control.strict_json import known, number, table, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
FORMAT_WITH_ENDS = 2  # with parts that end before the others
MAX_BYTES = 8_192  # four times what 16 gateways with long names and a reason need
USUAL_LIFE_MS = HOUR_MS  # an hour, so that somebody decides again whether it is still needed
MAX_LIFE_MS = 7 * DAY_MS  # a week: what has to last longer belongs in the configuration, where it is reviewed
MAX_OPERATOR = 100  # characters
MAX_REASON = 500  # characters: a sentence or two, and the name of an incident
ENDS = frozenset({"ends_at_ms", "mode_ends_at_ms"})  # the fields that format 1 lacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What an operator decided. ``version`` counts from 1; ``shares`` (0..1) multiply a gateway's weight, 1 by default.

    ``ends_at_ms`` are the ends of the gateways whose share ends before ``expires_at_ms``, and ``mode_ends_at_ms`` is
    that of the mode, ``None`` where it ends then. ``operator`` and ``reason`` are those of the last change.

    Raises ``ValueError`` if the end, the reason or the operator's name is missing.
    """

    version: int
    mode: Mode | None = None
    shares: Mapping[str, float] = field(default_factory=dict)
    operator: str
    reason: str
    issued_at_ms: int
    expires_at_ms: int
    ends_at_ms: Mapping[str, int] = field(default_factory=dict)
    mode_ends_at_ms: int | None = None

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
        if not self.ends_at_ms.keys() <= self.shares.keys() or (self.mode is None and self.mode_ends_at_ms is not None):
            raise ValueError("an end of what is not overridden")
        own = [*self.ends_at_ms.values(), *([] if self.mode_ends_at_ms is None else [self.mode_ends_at_ms])]
        if not all(self.issued_at_ms < end < self.expires_at_ms for end in own):
            raise ValueError("an end that is not between its override's issue and end")
        if own and len(own) == len(self.shares) + (self.mode is not None):
            raise ValueError("an override that ends before its end")

    def is_release(self) -> bool:
        """Return whether it overrides nothing, so that the configuration and the document decide again."""
        return self.mode is None and not self.shares

    def is_in_force(self, now_ms: int) -> bool:
        """Return whether it applies at ``now_ms``. Ask on every use, as for a document's freshness."""
        return not self.is_release() and self.issued_at_ms - MAX_AHEAD_MS <= now_ms < self.expires_at_ms

    def end_of(self, gateway: str) -> int:
        """Return when the gateway's share ends, in epoch milliseconds."""
        return self.ends_at_ms.get(gateway, self.expires_at_ms)

    @property
    def mode_end_ms(self) -> int:
        """Return when the mode ends, in epoch milliseconds."""
        return self.expires_at_ms if self.mode_ends_at_ms is None else self.mode_ends_at_ms

    def shares_at(self, now_ms: int) -> Mapping[str, float]:
        """Return the shares that have not ended at ``now_ms``."""
        if not self.ends_at_ms:
            return self.shares
        return {gateway: share for gateway, share in self.shares.items() if now_ms < self.end_of(gateway)}

    def mode_at(self, now_ms: int) -> Mode | None:
        """Return the mode, ``None`` if it has ended at ``now_ms``."""
        return self.mode if now_ms < self.mode_end_ms else None

    def left_at(self, now_ms: int) -> Override:
        """Return the override without the parts that have ended at ``now_ms``; itself if none has."""
        shares, mode = self.shares_at(now_ms), self.mode_at(now_ms)
        if len(shares) == len(self.shares) and mode is self.mode:
            return self
        ends = {gateway: end for gateway, end in self.ends_at_ms.items() if gateway in shares}
        mode_end = None if mode is None else self.mode_ends_at_ms
        return replace(self, mode=mode, shares=shares, ends_at_ms=ends, mode_ends_at_ms=mode_end)

    def to_bytes(self) -> bytes:
        """Return canonical JSON: equal overrides give equal bytes."""
        stored = {**asdict(self), "shares": {gateway: float(share) for gateway, share in self.shares.items()}}
        if self.ends_at_ms or self.mode_ends_at_ms is not None:
            return canonical({**stored, "format": FORMAT_WITH_ENDS})
        return canonical({"format": FORMAT, **{name: value for name, value in stored.items() if name not in ENDS}})


FIELDS = {each.name for each in fields(Override)} - ENDS | {"format"}


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
    names = set(stored) if isinstance(stored, dict) else set[str]()
    if names not in (FIELDS, FIELDS | ENDS) or stored["format"] != (FORMAT if names == FIELDS else FORMAT_WITH_ENDS):
        raise ValueError("not an override of this format")
    mode_end = stored.get("mode_ends_at_ms")
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
        ends_at_ms={name: whole(end) for name, end in table(stored.get("ends_at_ms", {}), MAX_GATEWAYS).items()},
        mode_ends_at_ms=None if mode_end is None else whole(mode_end),
    )


def readable(raw: bytes | None, gateways: frozenset[str] | None) -> Override | None:
    """Return the override as ``parse_override`` does, ``None`` where there is none or it can't be read."""
    try:
        return None if raw is None else parse_override(raw, gateways)
    except ValueError:
        return None


def overridden(weights: Mapping[str, float], override: Override | None, now_ms: int) -> Mapping[str, float]:
    """Return the weights multiplied by the override's shares and normalised to the sum 1.

    Returns ``weights`` itself, the same object, when no override is in force and when all weights would become 0:
    an override never leaves a payment without a route.
    """
    shares = override.shares_at(now_ms) if override is not None and override.is_in_force(now_ms) else None
    if not shares:
        return weights
    left = {gateway: weight * shares.get(gateway, 1.0) for gateway, weight in weights.items()}
    total = sum(left.values())
    if total <= 0:
        return weights
    return {gateway: weight / total for gateway, weight in left.items()}


def mode_of(configured: Mode, override: Override | None, now_ms: int) -> Mode:
    """Return the mode in force: the override's if it is in force and has one, else the configured one."""
    mode = override.mode_at(now_ms) if override is not None and override.is_in_force(now_ms) else None
    return configured if mode is None else mode
