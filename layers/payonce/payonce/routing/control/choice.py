"""Chooses the gateway of an attempt: once, before the claim, by a hash of the payment's id (same id, same route)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from payonce.routing.control.document import EVERYTHING
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.routing.control.document import Admission, ControlDocument
    from payonce.routing.control.routing_settings import RoutingSettings

_SCALE = 2.0**-64


def position(purpose: str, payment_id: str) -> float:
    """Return the payment's position in [0, 1), a hash of its id; positions for two purposes are independent."""
    digest = sha256(f"{purpose}\n{payment_id}".encode()).digest()
    return int.from_bytes(digest[:8]) * _SCALE


def applies(document: ControlDocument | None, payment_id: str, settings: RoutingSettings) -> bool:
    """Return whether the document decides about this payment. The settings' mode and the document's each can veto."""
    if document is None:
        return False
    modes = (settings.mode, document.mode)
    if Mode.OFF in modes or Mode.SHADOW in modes:
        return False
    return Mode.CANARY not in modes or position("canary", payment_id) < settings.canary_share


def weights_for(
    document: ControlDocument | None, payment_id: str, method: str, settings: RoutingSettings
) -> Mapping[str, float]:
    """Return the weights that decide about this payment. ``document`` is the one ``ControlCache.current`` returned."""
    if document is not None and applies(document, payment_id, settings):
        return document.weights.get(method, settings.neutral)
    return settings.neutral


def admission_for(document: ControlDocument | None, payment_id: str, settings: RoutingSettings) -> Admission:
    """Return the admission that applies to this payment: everything is admitted unless the document applies to it."""
    return document.admission if document is not None and applies(document, payment_id, settings) else EVERYTHING


def choose_route(weights: Mapping[str, float], payment_id: str, excluding: frozenset[str] = frozenset()) -> str | None:
    """Return the gateway for the payment, or ``None`` when all are excluded.

    ``excluding`` may name only gateways that certainly never received the payment or failed it for good, never one
    where it is in doubt. Gateways keep their order, so that a small change of weights moves few payments.
    """
    left = [(gateway, weights[gateway]) for gateway in sorted(weights) if gateway not in excluding]
    if not left:
        return None
    total = sum(weight for _, weight in left)
    if total <= 0:
        return left[0][0]
    mark = position("route", payment_id) * total
    for gateway, weight in left:
        mark -= weight
        if mark < 0:
            return gateway
    return max(left, key=lambda route: route[1])[0]  # rounding put the mark beyond the last weight
