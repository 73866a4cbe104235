"""Sets a payment method up: the payer agrees, once, to be charged later while absent. No money moves.

It goes through the claim, the submission and the commit of a payment (``payment_work``), because it has the same
hazards: a set-up that is made twice asks the payer twice, and leaves a mandate that nobody revokes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    MAX_CLIENT_SECRET_CHARACTERS,
    MAX_URL_CHARACTERS,
    Pending,
)
from payonce.domain.gateway_address import PLATFORM
from payonce.domain.setup import SETUP_PREFIX, Setup, SetupStatus
from payonce.idempotency.records import Draft, Plan
from payonce.payments.payment_work import GatewayWork
from payonce.payments.settlement import SETTLEMENT, settlement_claim_write
from payonce.payments.setup_items import find_setup
from payonce.payments.setup_plans import NewSetup, SetupPlan
from payonce.payments.setup_views import setup_path, setup_response
from payonce.payments.setups.deciding import instruction_of_setup, set_up_by, usable, writes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome
    from payonce.domain.gateway_address import GatewayAddress
    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord, StoredResponse
    from payonce.payments.payment_work import Result, Services
    from payonce.ports import Gateway, Write

LONGEST_TEXT = "x" * 256  # longer than any code or secret a gateway adapter returns


def plan_setup(
    new: NewSetup,
    *,
    merchant_id: str,
    route: Callable[[str], str],
    services: Services,
    account_at: Callable[[str], str] = lambda _gateway: PLATFORM,
) -> SetupPlan:
    """Return the plan of a new set-up. ``route`` returns the gateway for the set-up's id, once and for good.

    ``account_at`` returns the merchant's account there.
    """
    setup_id = services.ids.new(SETUP_PREFIX)
    gateway = route(setup_id)
    return SetupPlan(
        merchant_id=merchant_id,
        setup_id=setup_id,
        gateway=gateway,
        account=account_at(gateway) if gateway else PLATFORM,
        customer=new.customer,
        payment_method=new.payment_method,
        payment_method_type=new.payment_method_type,
        currency=new.currency,
        return_url=new.return_url,
        reference=new.reference,
        metadata=new.metadata,
        created_at_ms=services.clock.now_ms(),
    )


class CreateSetup(GatewayWork):
    """The work of ``POST /setups``."""

    _plan: SetupPlan

    def __init__(self, plan: SetupPlan, gateway_named: Callable[[GatewayAddress], Gateway], services: Services) -> None:
        super().__init__(services)
        self._plan = plan
        self._services = services
        self._gateway_named = gateway_named
        self._look_up_stored = False

    @property
    def setup_plan(self) -> SetupPlan:
        """The plan of the set-up to be made."""
        return self._plan

    def plan(self) -> Plan:
        """See ``Work``. It writes only the claim: one conditional put."""
        plan = self._plan
        return Plan(claim_id=plan.setup_id, resource=setup_path(plan.setup_id), data=plan.to_data(), lane=plan.gateway)

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        action = {
            "type": LONGEST_TEXT,
            "url": "x" * MAX_URL_CHARACTERS,
            "client_secret": "x" * MAX_CLIENT_SECRET_CHARACTERS,
        }
        return setup_response(
            replace(self._setup(), saved_method_id=LONGEST_TEXT, decline_code=LONGEST_TEXT, next_action=action)
        )

    def prepare(self) -> tuple[Gateway, Instruction]:
        """See ``GatewayWork``. The plan has everything, so nothing is read."""
        gateway = self._gateway_named(self._setup().address)
        return gateway, replace(instruction_of_setup(self._setup()), return_url=self._plan.return_url)

    def adopt(self, record: IdempotencyRecord) -> CreateSetup:
        """See ``Work``. The set-up's id, gateway and reference are the claim's."""
        return CreateSetup(SetupPlan.from_data(record.plan), self._gateway_named, self._services)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``. Looks the set-up up, because an earlier owner may have stored it in doubt."""
        self._look_up_stored = True
        return super().resume(claim)

    def abandon_writes(self, record: IdempotencyRecord) -> Sequence[Write]:
        """See ``GatewayWork``. The set-up is stored if it was in doubt."""
        self._look_up_stored = True
        return super().abandon_writes(record)

    def draft(self, result: Result) -> Draft:
        """See ``GatewayWork``. The first draft of a new set-up reads nothing: none can be stored yet."""
        plan, stored = self._plan, None
        if self._look_up_stored:
            stored = find_setup(self._database, plan.merchant_id, plan.setup_id)
        self._look_up_stored = True  # a second draft means that the first met something stored
        now_ms = self._clock.now_ms()
        base = self._setup()
        if stored is not None:
            base = replace(base, status=stored.status, version=stored.version)
        setup, change, saved = set_up_by(result, base, first=stored is None, at_ms=now_ms)
        writes = writes_of(setup, change, saved, before=stored)
        if isinstance(result, Pending):
            writes.append(setup_settlement_write(setup, at_ms=now_ms))
        return Draft(setup_response(setup), writes)

    def _submit(self, gateway: Gateway, instruction: Instruction, claim: Claim) -> SubmitOutcome:
        return usable(super()._submit(gateway, instruction, claim))

    def _find_one(self, gateway: Gateway, asked: Instruction, claim: Claim, withdrawing: bool) -> LookupOutcome:
        return usable(super()._find_one(gateway, asked, claim, withdrawing))

    def _setup(self) -> Setup:
        """Return the set-up as the plan describes it, before any answer."""
        plan = self._plan
        return Setup(
            setup_id=plan.setup_id,
            merchant_id=plan.merchant_id,
            status=SetupStatus.IN_DOUBT,
            customer=plan.customer,
            payment_method=plan.payment_method,
            payment_method_type=plan.payment_method_type,
            currency=plan.currency,
            gateway=plan.gateway,
            account=plan.account,
            gateway_reference=self.reference,
            attempts=plan.submission,
            reference=plan.reference,
            metadata=plan.metadata,
            created_at_ms=plan.created_at_ms,
            updated_at_ms=plan.created_at_ms,
            version=1,
        )


def setup_settlement_write(setup: Setup, *, at_ms: int) -> Write:
    """Return the write that makes the settlement of a set-up: see ``payments.settlement``."""
    data = {"kind": SETTLEMENT, "merchant_id": setup.merchant_id, "setup_id": setup.setup_id}
    return settlement_claim_write(
        setup.merchant_id,
        setup.setup_id,
        data,
        resource=setup_path(setup.setup_id),
        gateway=setup.gateway,
        at_ms=at_ms,
    )
