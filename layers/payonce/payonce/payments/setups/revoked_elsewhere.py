"""Ends a saved payment method that was revoked at its gateway, and not through this API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.domain.gateway import NotFound, OperationKind, Succeeded
from payonce.domain.setup import MethodChange, MethodStatus
from payonce.payments.setup_items import revoked_writes
from payonce.payments.setups.revoke import revocation_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.gateway_address import GatewayAddress
    from payonce.domain.setup import SavedMethod
    from payonce.payments.payment_work import Services
    from payonce.ports import Deadline, Gateway


def end_revoked(
    services: Services,
    gateway_named: Callable[[GatewayAddress], Gateway],
    methods: Sequence[SavedMethod],
    deadline: Deadline,
) -> str | None:
    """Ask about each method at its gateway, and end those that are revoked there; return what has become of the last.

    ``""`` without methods, ``None`` if one of them has to be asked about again: see ``end_if_revoked``.
    """
    ended = ""
    for method in methods:
        said = end_if_revoked(services, gateway_named(method.address), method, deadline)
        if said is None:
            return None
        ended = said
    return ended


def end_if_revoked(services: Services, gateway: Gateway, method: SavedMethod, deadline: Deadline) -> str | None:
    """Ask the gateway about the method, and end it if it is revoked there; return what has become of it.

    ``None``: the gateway did not say, or the method has changed meanwhile, so it has to be asked again. Idempotent.
    Raises the errors of ``Database``.
    """
    if method.status is not MethodStatus.ACTIVE:
        # A revocation of ours that is under way books itself.
        return "the payment method is revoked" if method.status is MethodStatus.REVOKED else None
    if OperationKind.REVOCATION not in gateway.capabilities.operations:
        return "the gateway can't be asked about its saved methods"
    now_ms = services.clock.now_ms()
    found = gateway.find(revocation_of(method, f"{method.method_id}-1", method.created_at_ms), deadline)
    if isinstance(found, NotFound):
        return "the payment method is active"
    if not isinstance(found, Succeeded):
        return None
    writes, _ = revoked_writes(method, MethodChange.REVOKED_ELSEWHERE, at_ms=now_ms)
    try:
        services.database.write(writes)
    except WriteConflict:
        return None
    return str(MethodChange.REVOKED_ELSEWHERE)
