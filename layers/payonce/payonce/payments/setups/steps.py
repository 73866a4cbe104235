"""Confirms a set-up that waits for its payer, and cancels one. Both are as a payment's: see ``payments.confirm``.

Nothing is reserved, and either may be repeated at the gateway without harm, so that whoever does not know what became
of an earlier try asks, and tries again while the gateway still waits. Whichever commits first decides the set-up: a
step, or the settlement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import NotFound, SetupStateConflict
from payonce.domain.gateway import AwaitsPayer, NeverSent, Unknown
from payonce.domain.setup import Setup, SetupStatus
from payonce.idempotency.json_response import json_response
from payonce.idempotency.records import Draft, Plan
from payonce.payments.confirm import LONGEST_TEXT, Confirmation
from payonce.payments.payment_work import COMMIT_RESERVE_MS, MIN_SUBMIT_MS
from payonce.payments.representation import declined_response
from payonce.payments.settlement import settlement_id
from payonce.payments.setup_items import setup_from, setup_key
from payonce.payments.setup_plans import SetupStepPlan
from payonce.payments.setup_views import setup_path, setup_view
from payonce.payments.setups.deciding import HeldSetup, usable
from payonce.payments.setups.load import load_setup
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.errors import PayonceError, WriteConflict
    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, IdempotencyRecord, StoredResponse
    from payonce.payments.payment_work import Result, Services
    from payonce.ports import Gateway

PAYER_WAS_FASTER = "payer_was_faster"
NOT_CANCELABLE = "not_cancelable"


def plan_setup_step(
    *, merchant_id: str, setup_id: str, services: Services, result: str = "", cancels: bool = False
) -> SetupStepPlan:
    """Return the plan of a confirmation with the ``result`` that the payer came back with, or of a cancellation."""
    return SetupStepPlan(
        merchant_id=merchant_id,
        setup_id=setup_id,
        step_id=services.ids.new("step"),
        created_at_ms=services.clock.now_ms(),
        cancels=cancels,
        result=result,
    )


def setup_step_work(
    plan: SetupStepPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services
) -> ConfirmSetup:
    """Return the work of a set-up's confirmation or cancellation."""
    return (CancelSetup if plan.cancels else ConfirmSetup)(plan, gateway_named, services)


class ConfirmSetup(Confirmation):
    """The work of ``POST /setups/{id}/confirmations``."""

    _plan: SetupStepPlan
    impossible = "Only a setup that requires action can be confirmed."

    @property
    def settlement_id(self) -> str:
        """The record id of the set-up's settlement."""
        return settlement_id(self._plan.merchant_id, self._plan.setup_id)

    def plan(self) -> Plan:
        """See ``Work``. The claim requires that the set-up waits for its payer."""
        plan = self._plan
        waits = {"status": SetupStatus.REQUIRES_ACTION.value}
        key = setup_key(plan.merchant_id, plan.setup_id)
        return Plan(
            claim_id=plan.step_id,
            resource=setup_path(plan.setup_id),
            data=plan.to_data(),
            writes=[Adjust(table=Table.PAYMENTS, key=key, require=waits, set=waits)],
            on_conflict=self._refusal,
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``. The set-up's largest response was stored before."""
        return declined_response(LONGEST_TEXT, location=setup_path(self._plan.setup_id), code=LONGEST_TEXT)

    def adopt(self, record: IdempotencyRecord) -> ConfirmSetup:
        """See ``Work``."""
        return setup_step_work(SetupStepPlan.from_data(record.plan), self._gateway_named, self._services)

    def _confirm(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        return usable(super()._confirm(gateway, instruction, claim))

    def _look(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> LookupOutcome:
        return usable(super()._look(gateway, instruction, claim))

    def _held(self) -> HeldSetup:
        return HeldSetup(load_setup(self._database, self._plan.merchant_id, self._plan.setup_id))

    def _refusal(self, conflict: WriteConflict) -> PayonceError:
        if conflict.current is None:
            return NotFound(f"There is no setup {self._plan.setup_id}.")
        setup = setup_from(conflict.current)
        return SetupStateConflict(
            f"The setup is {setup.status.value}. {self.impossible}",
            setup_status=setup.status.value,
            resource=setup_path(setup.setup_id),
        )


class CancelSetup(ConfirmSetup):
    """The work of ``POST /setups/{id}/cancellations``."""

    impossible = "Only a setup that requires action can be canceled."

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. Whoever was faster has decided the set-up, and the answer says so."""
        writes, setup = self._held().after(result, at_ms=self._clock.now_ms())
        return Draft(_answer_to_cancellation(setup), writes)

    def _as_it_is(self) -> Draft:
        return Draft(_answer_to_cancellation(self._held().setup), ())

    def _confirm(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        if claim.deadline.at_ms - COMMIT_RESERVE_MS - self._clock.now_ms() < MIN_SUBMIT_MS:
            return NeverSent("too little time was left to wait for an answer")
        waiting = AwaitsPayer(instruction.gateway_charge_id or "", "the merchant cancels it")
        outcome = usable(gateway.withdraw(instruction, waiting, self._inquiry_deadline(claim)))
        if isinstance(outcome, AwaitsPayer):
            return Unknown("the gateway did not say whether it is canceled", repeatable=True)
        return outcome


def _answer_to_cancellation(setup: Setup) -> StoredResponse:
    """Return the answer by what the set-up has become: one that saves nothing is as good as canceled."""
    location, view = setup_path(setup.setup_id), setup_view(setup)
    match setup.status:
        case SetupStatus.SUCCEEDED:
            text = "The payer had agreed before the setup could be canceled."
            return declined_response(text, location=location, code=PAYER_WAS_FASTER, setup=view)
        case SetupStatus.PROCESSING:
            text = "The gateway processes the setup by now, and can't cancel it."
            return declined_response(text, location=location, code=NOT_CANCELABLE, setup=view)
    return json_response(201, view, location=location)
