"""Which gateway an attempt goes to. Chosen once, before the claim, from the payment's id: same id, same route."""

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
    """Where a payment lies in [0, 1). Independent for every purpose."""
    digest = sha256(f"{purpose}\n{payment_id}".encode()).digest()
    return int.from_bytes(digest[:8]) * _SCALE


def applies(document: ControlDocument | None, payment_id: str, settings: RoutingSettings) -> bool:
    """Whether the document decides about this payment. Both the operator's mode and the document's have a veto."""
    if document is None:
        return False
    modes = (settings.mode, document.mode)
    if Mode.OFF in modes or Mode.SHADOW in modes:
        return False
    return Mode.CANARY not in modes or position("canary", payment_id) < settings.canary_share


def weights_for(
    document: ControlDocument | None, payment_id: str, method: str, settings: RoutingSettings
) -> Mapping[str, float]:
    """The weights that decide about this payment. ``document`` is what ``ControlCache.current`` gave."""
    if document is not None and applies(document, payment_id, settings):
        return document.weights.get(method, settings.neutral)
    return settings.neutral


def admission_for(document: ControlDocument | None, payment_id: str, settings: RoutingSettings) -> Admission:
    """Who is taken at the moment, as far as this payment is concerned: everybody unless the document applies to it."""
    return document.admission if document is not None and applies(document, payment_id, settings) else EVERYTHING


def choose_route(weights: Mapping[str, float], payment_id: str, excluding: frozenset[str] = frozenset()) -> str | None:
    """The gateway for the payment, ``None`` when all are excluded.

    ``excluding`` are those that certainly never got it or failed it for good; in doubt is none of these. When weights
    change a little, few payments change their route: gateways keep their order.
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
    return max(left, key=lambda route: route[1])[0]  # rounding: the mark was at the very end
