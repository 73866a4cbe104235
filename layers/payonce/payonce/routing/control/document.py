"""The control document: how the predictor steers the request path. A malformed one is rejected, and routing is neutral.

::

    {"version": 1, "mode": "on", "epoch": 17, "issued_at_ms": ..., "expires_at_ms": ..., "reason": "...",
     "weights": {"card": {"alder": 0.7, "birch": 0.3}}, "limits": {"alder": 41.0},
     "admission": {"authorization": 1.0, "batch": 0.4, "merchants": {"m_7": [0.1, 0.0]}}}
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from payonce.routing.control.routing_settings import Mode
from payonce.routing.control.strict_json import known, number, table, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
MAX_BYTES = 65_536  # far below DynamoDB's item limit, far above what 16 gateways and 100 merchants need
MAX_LIFE_MS = 300_000  # an older forecast says nothing about now
MAX_AHEAD_MS = 60_000  # how far ahead of our clock it may be issued: clocks differ by seconds, a minute is an error
MAX_METHODS = 64
MAX_MERCHANTS = 100
MAX_REASON = 2_000
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Admission:
    """The shares (0..1) of authorizations and of batch requests to admit.

    ``merchants`` holds the pair (authorization, batch) of merchants that have shares of their own.
    """

    authorization: float
    batch: float
    merchants: Mapping[str, tuple[float, float]]


EVERYTHING = Admission(1.0, 1.0, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDocument:
    """Weights per method and gateway (each method's sum to 1), concurrency limits per gateway, and admission."""

    mode: Mode
    epoch: int
    issued_at_ms: int
    expires_at_ms: int
    reason: str
    weights: Mapping[str, Mapping[str, float]]
    limits: Mapping[str, float]
    admission: Admission

    def is_fresh(self, now_ms: int) -> bool:
        """Return whether it may be acted on. Ask on every use: an environment may have been frozen for minutes."""
        return self.issued_at_ms - MAX_AHEAD_MS <= now_ms < self.expires_at_ms

    def to_bytes(self) -> bytes:
        """Return canonical JSON: equal documents give equal bytes."""
        return canonical({**asdict(self), "version": VERSION})


FIELDS = {field.name for field in fields(ControlDocument)} | {"version"}


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces. Raises ``ValueError`` for NaN and infinities, which are not JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def parse_document(raw: bytes, gateways: frozenset[str]) -> ControlDocument:
    """Return the document, checked against the configured gateways. Raises ``ValueError`` if any field is invalid."""
    if len(raw) > MAX_BYTES:
        raise ValueError("the control document is too large")
    try:
        stored = json.loads(raw)
    except RecursionError as error:
        raise ValueError("the control document is nested too deeply") from error
    if not isinstance(stored, dict) or set(stored) != FIELDS or stored["version"] != VERSION:
        raise ValueError("not a control document of this version")
    epoch, issued, expires = (whole(stored[name]) for name in ("epoch", "issued_at_ms", "expires_at_ms"))
    if not issued < expires <= issued + MAX_LIFE_MS:
        raise ValueError("the control document's life is not positive and short")
    if not isinstance(stored["reason"], str) or len(stored["reason"]) > MAX_REASON:
        raise ValueError("the reason is not a short text")
    limits = {known(name, gateways): number(limit, 1e6) for name, limit in table(stored["limits"], 64).items()}
    methods = table(stored["weights"], MAX_METHODS)
    return ControlDocument(
        mode=Mode(stored["mode"]),
        epoch=epoch,
        issued_at_ms=issued,
        expires_at_ms=expires,
        reason=stored["reason"],
        weights={method: _weights(weights, gateways) for method, weights in methods.items()},
        limits=limits,
        admission=_admission(stored["admission"]),
    )


def _weights(stored: Any, gateways: frozenset[str]) -> dict[str, float]:
    weights = {known(name, gateways): number(weight, 1) for name, weight in table(stored, 64).items()}
    if abs(sum(weights.values()) - 1) > SUM_TOLERANCE:
        raise ValueError("weights do not add up to 1")
    return weights


def _admission(stored: Any) -> Admission:
    if not isinstance(stored, dict) or set(stored) != {"authorization", "batch", "merchants"}:
        raise ValueError("not an admission")
    merchants = {}
    for name, shares in table(stored["merchants"], MAX_MERCHANTS).items():
        if not isinstance(shares, list) or len(shares) != 2:
            raise ValueError("not the two shares of a merchant")
        merchants[name] = (number(shares[0], 1), number(shares[1], 1))
    return Admission(number(stored["authorization"], 1), number(stored["batch"], 1), merchants)
