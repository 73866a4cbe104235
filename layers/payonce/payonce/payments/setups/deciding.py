"""What a gateway's answer to a set-up means for it: its change, and the payment method that is saved. Pure."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    CANCELED,
    PAYMENT_EXPIRED,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    Instruction,
    MethodSaved,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Zero
from payonce.domain.setup import (
    SETUP_WAITS,
    SavedMethod,
    Setup,
    SetupChange,
    SetupStatus,
    next_setup_status,
)
from payonce.idempotency.json_response import json_response
from payonce.payments.charging import Expired, action_expires_at_ms, shown_action
from payonce.payments.rules import NeverExecuted
from payonce.payments.setup_items import method_writes, saved_by, setup_writes
from payonce.payments.setup_views import setup_path, setup_response, setup_view

if TYPE_CHECKING:
    from payonce.domain.gateway import LookupOutcome, SubmitOutcome, WithdrawOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import StoredResponse
    from payonce.payments.payment_work import Result
    from payonce.ports import Write


def set_up_by(
    result: Result | Expired, setup: Setup, *, first: bool = False, at_ms: int
) -> tuple[Setup, SetupChange, SavedMethod | None]:
    """Return the set-up after ``result``, its change, and what it saves. ``first``: it is not stored yet."""
    change, code = _change_of(result, setup, first=first, at_ms=at_ms)
    saved, action, gateway_setup_id = None, None, setup.gateway_setup_id
    if isinstance(result, MethodSaved):
        saved = saved_by(result, setup, setup.setup_id, setup.customer, at_ms=at_ms)
        gateway_setup_id = result.gateway_charge_id
    elif isinstance(result, Pending):
        gateway_setup_id = result.gateway_object_id
    if isinstance(result, AwaitsPayer) and result.action is not None:
        action = shown_action(result.action, action_expires_at_ms(setup.payment_method_type, at_ms))
    after = replace(
        setup,
        status=next_setup_status(None if first else setup.status, change),
        gateway_setup_id=gateway_setup_id,
        saved_method_id=None if saved is None else saved.method_id,
        decline_code=code,
        next_action=action,
        updated_at_ms=at_ms,
        version=1 if first else setup.version + 1,
    )
    return after, change, saved


def _change_of(result: Result | Expired, setup: Setup, *, first: bool, at_ms: int) -> tuple[SetupChange, str | None]:
    """Return the change, and the code of a decline or failure."""
    match result:
        case MethodSaved():
            return SetupChange.SUCCEEDED, None
        case Declined() if not first and setup.status in SETUP_WAITS and result.code in {CANCELED, PAYMENT_EXPIRED}:
            # After its time it was we who canceled it, perhaps an owner that could not tell of it any more.
            expired = result.code == PAYMENT_EXPIRED or at_ms >= expiry_of_setup(setup)
            return SetupChange.EXPIRED if expired else SetupChange.CANCELED, None
        case Declined():
            return SetupChange.DECLINED, result.code
        case Expired():
            return SetupChange.EXPIRED, None
        case NeverExecuted():
            return SetupChange.FAILED, "not_executed"
        case AwaitsPayer() if result.action is not None:
            return SetupChange.ACTION_REQUIRED, None
        case Pending():
            return SetupChange.PROCESSED, None
        case _:
            return SetupChange.DOUBTED, None


def writes_of(after: Setup, change: SetupChange, saved: SavedMethod | None, *, before: Setup | None) -> list[Write]:
    """Return the writes of what ``set_up_by`` has returned."""
    return [*setup_writes(after, change, before=before), *([] if saved is None else method_writes(saved))]


def usable[O: (SubmitOutcome, LookupOutcome, WithdrawOutcome | Unknown)](outcome: O) -> O | Unknown:
    """Return ``outcome``, or ``Unknown`` for a success that names nothing that could be charged later."""
    if isinstance(outcome, Succeeded) and not isinstance(outcome, MethodSaved):
        return Unknown("the gateway names nothing that can be charged")
    return outcome


def instruction_of_setup(setup: Setup) -> Instruction:
    """Return the instruction with which a set-up that a gateway holds is looked up, confirmed and withdrawn."""
    return Instruction(
        kind=OperationKind.SETUP,
        gateway_reference=setup.gateway_reference,
        merchant_id=setup.merchant_id,
        payment_id=setup.setup_id,
        money=Zero(0, setup.currency),
        capture_method=CaptureMethod.AUTOMATIC,
        payment_method=setup.payment_method,
        payment_method_type=setup.payment_method_type,
        customer=setup.customer,
        gateway_charge_id=setup.gateway_setup_id,
        first_submitted_at_ms=setup.created_at_ms,
    )


def expiry_of_setup(setup: Setup) -> int:
    """Return when a set-up is withdrawn, epoch milliseconds; what is being processed does not expire."""
    return sys.maxsize if setup.next_action is None else int(setup.next_action["expires_at_ms"])


@dataclass(frozen=True, slots=True)
class HeldSetup:
    """A set-up that a gateway may hold, as it is stored now."""

    setup: Setup

    @property
    def waits(self) -> bool:
        """See ``HeldAtGateway``."""
        return self.setup.status in SETUP_WAITS

    @property
    def awaits_payer(self) -> bool:
        """See ``HeldAtGateway``."""
        return self.setup.status is SetupStatus.REQUIRES_ACTION

    @property
    def may_be_released(self) -> bool:
        """See ``HeldAtGateway``: what has saved a method is not withdrawn any more."""
        return False

    @property
    def address(self) -> GatewayAddress:
        """See ``HeldAtGateway``."""
        return self.setup.address

    @property
    def created_at_ms(self) -> int:
        """See ``HeldAtGateway``."""
        return self.setup.created_at_ms

    @property
    def instruction(self) -> Instruction:
        """See ``HeldAtGateway``."""
        return instruction_of_setup(self.setup)

    @property
    def expires_at_ms(self) -> int:
        """See ``HeldAtGateway``."""
        return expiry_of_setup(self.setup)

    def answer(self) -> StoredResponse:
        """See ``HeldAtGateway``."""
        return setup_response(self.setup)

    def provisional(self) -> StoredResponse:
        """See ``HeldAtGateway``."""
        return json_response(202, setup_view(self.setup), location=setup_path(self.setup.setup_id))

    def decided(
        self, result: Result | Expired, requested_by: str | None, *, at_ms: int
    ) -> tuple[list[Write], StoredResponse]:
        """See ``HeldAtGateway``."""
        del requested_by  # there is no journal entry to name it
        writes, setup = self.after(result, at_ms=at_ms)
        return writes, setup_response(setup)

    def after(self, result: Result | Expired, *, at_ms: int) -> tuple[list[Write], Setup]:
        """Return the writes of ``result`` and the set-up after them: see ``HeldAtGateway.decided``."""
        before = self.setup
        if not self.waits or (isinstance(result, AwaitsPayer) and result.action is None):
            return [], before  # a lookup need not repeat what the payer has to do
        after, change, saved = set_up_by(result, before, at_ms=at_ms)
        same_action = (
            change is SetupChange.ACTION_REQUIRED
            and before.next_action is not None
            and {**(after.next_action or {}), "expires_at_ms": 0} == {**before.next_action, "expires_at_ms": 0}
        )
        if same_action or (change is SetupChange.PROCESSED and before.status is SetupStatus.PROCESSING):
            return [], before
        return writes_of(after, change, saved, before=before), after
