"""Ends a saved payment method: the gateway revokes the payer's mandate, and charges the method no more.

::

    CLAIM, which marks it as being revoked ─ SUBMIT ─┬ revoked ─▶ COMMIT: revoked, with its event
                                                     ├ refused, or certainly not sent ─▶ active again
                                                     └ unknown ─▶ in doubt: asked later, revoked again if active

From the claim on, no payment is charged to it: a payment's claim has the condition that its method is active. The
gateway is asked for the state of the method and not for our revocation, so whoever has revoked it, it is found.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import NotFound
from payonce.domain.gateway import CaptureMethod, Declined, Instruction, OperationKind, Pending, Succeeded
from payonce.domain.money import Zero
from payonce.domain.setup import MethodChange, MethodStatus, SavedMethod
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft, Plan
from payonce.payments.payment_work import GatewayWork
from payonce.payments.representation import declined_response, not_executed_response
from payonce.payments.rules import NeverExecuted
from payonce.payments.setup_items import being_revoked, method_from, not_revoked, revoked_writes
from payonce.payments.setup_plans import RevocationPlan
from payonce.payments.setup_views import method_conflict, method_path, method_view
from payonce.payments.setups.load import load_method

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.errors import PayonceError, WriteConflict
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import IdempotencyRecord, StoredResponse
    from payonce.payments.payment_work import Result, Services
    from payonce.ports import Gateway, Write

LONGEST_TEXT = "x" * 256


def plan_revocation(*, merchant_id: str, method_id: str, services: Services) -> RevocationPlan:
    """Return the plan of a revocation. Raises ``NotFound``."""
    method = load_method(services.database, merchant_id, method_id)
    return RevocationPlan(
        merchant_id=merchant_id,
        method_id=method_id,
        revocation_id=services.ids.new("rev"),
        gateway=method.gateway,
        account=method.account,
        created_at_ms=services.clock.now_ms(),
    )


def revocation_of(method: SavedMethod, reference: str, at_ms: int) -> Instruction:
    """Return the instruction that revokes a payment method, and with which its state is asked for."""
    return Instruction(
        kind=OperationKind.REVOCATION,
        gateway_reference=reference,
        merchant_id=method.merchant_id,
        payment_id=method.method_id,
        money=Zero(0, method.currency),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method=method.token,
        payment_method_type=method.payment_method_type,
        customer=method.customer,
        gateway_charge_id=method.mandate_id,
        first_submitted_at_ms=at_ms,
    )


class RevokeMethod(GatewayWork):
    """The work of ``POST /payment_methods/{id}/revocations``."""

    _plan: RevocationPlan

    def __init__(
        self, plan: RevocationPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
    ) -> None:
        super().__init__(services)
        self._plan = plan
        self._services = services
        self._gateway_named = gateway_named

    @property
    def revocation_plan(self) -> RevocationPlan:
        """The plan of the revocation to be made."""
        return self._plan

    def plan(self) -> Plan:
        """See ``Work``. The claim ends the payment method's use."""
        plan = self._plan
        return Plan(
            claim_id=plan.revocation_id,
            resource=method_path(plan.method_id),
            data=plan.to_data(),
            writes=[being_revoked(plan.merchant_id, plan.method_id, plan.revocation_id)],
            on_conflict=self._refusal,
            lane=plan.gateway,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``. The payment method's own document is a small one."""
        return declined_response(LONGEST_TEXT, location=method_path(self._plan.method_id), code=LONGEST_TEXT)

    def adopt(self, record: IdempotencyRecord) -> RevokeMethod:
        """See ``Work``."""
        return RevokeMethod(RevocationPlan.from_data(record.plan), self._gateway_named, self._services)

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``."""
        gateway = self._gateway_named(self._plan.address)
        return gateway, revocation_of(self._method(), self.reference, self._plan.created_at_ms)

    def follows(self, pending: Pending, instruction: Instruction) -> bool:
        """See ``GatewayWork``. Nothing follows a revocation that is pending: it stays in doubt and is asked about."""
        del pending, instruction
        return False

    def undo_writes(self) -> Sequence[Write]:
        """See ``GatewayWork``. What somebody has revoked at the gateway meanwhile stays revoked."""
        plan, method = self._plan, self._method()
        under_way = method.status is MethodStatus.REVOKING and method.revocation_id == plan.revocation_id
        return [not_revoked(plan.merchant_id, plan.method_id, plan.revocation_id)] if under_way else []

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``."""
        method, location = self._method(), method_path(self._plan.method_id)
        view = method_view(method)
        if method.status is MethodStatus.REVOKED:
            return Draft(json_response(201, view, location=location), ())
        match result:
            case Succeeded():
                writes, method = revoked_writes(method, MethodChange.REVOKED, at_ms=self._clock.now_ms())
                return Draft(json_response(201, method_view(method), location=location), writes)
            case Declined(code, message):
                view = method_view(replace(method, status=MethodStatus.ACTIVE))
                refused = declined_response(message, location=location, code=code, payment_method=view)
                return Draft(refused, self.undo_writes())
            case NeverExecuted():
                view = method_view(replace(method, status=MethodStatus.ACTIVE))
                return Draft(not_executed_response(location=location, payment_method=view), self.undo_writes())
        return Draft(json_response(202, view, location=location), ())

    def _method(self) -> SavedMethod:
        return load_method(self._database, self._plan.merchant_id, self._plan.method_id)

    def _refusal(self, conflict: WriteConflict) -> PayonceError:
        if conflict.current is None:
            return NotFound(f"There is no payment method {self._plan.method_id}.")
        return method_conflict(method_from(conflict.current), "It can't be revoked again.")
