"""Releases a key with a reason, as ``payonce idempotency-keys release`` does.

Allowed: what the command needs (cli.idempotency_keys.RELEASE_TABLES): the record and the trail are written in one
transaction, with what the claim has reserved on its payment, and with the event where a doubt was published.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.console.page import Done, Role
from payonce.console.refused import PLACE
from payonce.domain.errors import BodyMalformed, Forbidden, NotFound
from payonce.idempotency.audit import Transition
from payonce.idempotency.release import ReleaseOrder

if TYPE_CHECKING:
    from payonce.console.page import ActionRequest, Services

_FENCE = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def release(services: Services, request: ActionRequest) -> Done:
    """Release the claim that the form was made for, and no newer one.

    A second copy of the form finds its own release, and says the same. ``force``, although its owner may be at work or
    the gateway may still execute it, is an approver's. Raises ``NotFound`` for another merchant's key, ``Forbidden``,
    ``ReleaseRefused`` with the reason, and ``LeaseLost``.
    """
    fields = request.fields
    record_id, claim_id, fence = fields.get("record_id", ""), fields.get("claim_id", ""), fields.get("fence", "")
    if record_id.count("#") < 2 or not _FENCE.fullmatch(fence):
        raise BodyMalformed("The form does not say which claim to release. Open the page again.")
    if request.merchant_id is not None and record_id.rsplit("#", 2)[0] != request.merchant_id:
        raise NotFound("There is no such claim: it was never made, or was released already.")
    force = fields.get("force") == "yes"
    if force and not request.operator.role.includes(Role.APPROVER):
        raise Forbidden("A release by force needs an approver: its owner may be at work, and would charge.")
    order = ReleaseOrder(
        record_id=record_id,
        claim_id=claim_id,
        fence=int(fence),
        operator=request.operator.name,
        reason=fields.get("reason", ""),
        finding=fields.get("finding", ""),
        force=force,
    )
    place = fields.get("next", "")
    # The page of acts is read by who asks why a key was given back, and which.
    said = f"The key of claim {claim_id} was released ({order.reason.strip()}): it may be used again."
    done = Done(place if PLACE.fullmatch(place) else "/keys", said)
    try:
        services.release_desk.release(order)
    except NotFound:
        if _released_by_this_form(services, order, request.operator.principal):
            return done
        raise
    return done


def _released_by_this_form(services: Services, order: ReleaseOrder, principal: str) -> bool:
    newest = services.audit_trail.history(order.record_id, newest_first=True, limit=1)
    return any(
        (entry.transition, entry.claim_id, entry.fence, entry.principal)
        == (Transition.RELEASED, order.claim_id, order.fence, principal)
        for entry in newest
    )
