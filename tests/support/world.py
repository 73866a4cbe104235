"""A small world for protocol tests: a clock that tests own, a gateway with books, and the wiring between."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    MONEY_OPERATIONS,
    AwaitsPayer,
    CaptureMethod,
    ChargeOutcome,
    ChargeRefund,
    ChargeState,
    Declined,
    DisputeState,
    GatewayCapabilities,
    Instruction,
    LookupOutcome,
    MethodSaved,
    NeverSent,
    NotFound,
    OperationKind,
    Overtaken,
    Payer,
    PaymentMethodType,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from payonce.domain.ids import UlidSource
from payonce.domain.money import Money
from payonce.idempotency.claim_recovery import RecoveryReport, Sweep
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.persistence import with_powertools
from payonce.idempotency.record_items import WAITING_SHARDS
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import KeyedRequest, KeyedResponse
from payonce.idempotency.window import IdempotencySettings
from payonce.payments.cancel_waiting import follow_up_work
from payonce.payments.confirm import ConfirmPayment, plan_confirmation
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.payment_work import Services
from payonce.payments.planning import plan_follow_up
from payonce.payments.recovery_run import Recovery
from payonce.payments.setup_plans import NewSetup
from payonce.payments.setups.create_setup import CreateSetup, plan_setup
from payonce.payments.setups.revoke import RevokeMethod, plan_revocation
from payonce.payments.setups.steps import plan_setup_step, setup_step_work
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase

if TYPE_CHECKING:
    from payonce.domain.setup import SavedMethod
    from payonce.ports import Clock, Database

MERCHANT = "mer_1"
REQUEST_MS = 25_000


@dataclass(slots=True)
class ManualClock:
    """Stands still until a test moves it."""

    ms: int = 1_800_000_000_000

    def now_ms(self) -> int:
        """See ``Clock``."""
        return self.ms

    def sleep(self, seconds: float) -> None:
        """Pass time without waiting; gives other threads a turn."""
        self.ms += int(seconds * 1000)
        time.sleep(0)


class RealClock:
    """The machine's clock, with an offset for jumping past leases."""

    def __init__(self, offset_ms: int = 0) -> None:
        self.offset_ms = offset_ms

    def now_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000 + self.offset_ms


HONOURING = GatewayCapabilities(
    key_retention_seconds=86_400,
    lookup_by_reference=True,
    lookup_authoritative_after_seconds=None,
    multiple_captures=True,
    operations=frozenset(OperationKind),
)
FORGETFUL = replace(HONOURING, key_retention_seconds=0, lookup_authoritative_after_seconds=0)
LATE = replace(FORGETFUL, lookup_authoritative_after_seconds=30)
# As Stripe: it keeps the first answer to a key, a failure included, and its "not found" is final after a while.
REMEMBERING = replace(HONOURING, lookup_authoritative_after_seconds=30)
CAPABILITIES = {"honouring": HONOURING, "forgetful": FORGETFUL, "late": LATE, "remembering": REMEMBERING}
LATE_VISIBLE_MS = 20_000
VISIBLE_AFTER_MS = {"honouring": 0, "forgetful": 0, "late": LATE_VISIBLE_MS, "remembering": 25_000}


def saved_by(instruction: Instruction, number: int | str) -> MethodSaved:
    """Return what a set-up saves: a token and a mandate that nothing else has."""
    setup_id = instruction.gateway_charge_id or f"seti_{number}"
    return MethodSaved(setup_id, setup_id, f"tok_{number}", f"mandate_{number}")


@dataclass(slots=True)
class Booking:
    """One execution at the gateway."""

    instruction: Instruction
    outcome: Succeeded | Declined
    visible_at_ms: int


@dataclass
class ScriptedGateway:
    """A gateway with books. ``script`` holds how the next submissions go; then they succeed.

    Words of the script: ok, decline, never, lost (not booked, no answer), booked_lost (booked, no answer), remembered
    (not booked, and where keys are honoured this failure is kept), booked_remembered (booked, and the failure kept).
    """

    clock: Clock
    name: str = "bank"
    capabilities: GatewayCapabilities = FORGETFUL
    visible_after_ms: int = 0
    script: list[str] = field(default_factory=list)
    lookup_fails: bool = False
    bookings: list[Booking] = field(default_factory=list)
    submissions: list[Instruction] = field(default_factory=list)
    inquiries: list[Instruction] = field(default_factory=list)
    remembered: set[str] = field(default_factory=set)
    revoked_elsewhere: set[str] = field(default_factory=set)
    # What the payer's bank has taken back of the first charge.
    reversed_minor: int = 0
    disputes: tuple[DisputeState, ...] = ()
    # This gateway's ids of refunds that came back after they had succeeded, and whether ``read_charge`` is behind that.
    came_back: set[str] = field(default_factory=set)
    behind: bool = False
    names_refunds: bool = True  # or ``read_charge`` tells their sum alone
    lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        with self.lock:
            assert self.clock.now_ms() <= deadline.at_ms
            self.submissions.append(instruction)
            word = self.script.pop(0) if self.script else "ok"
            if word == "never":
                return NeverSent("refused")
            if instruction.gateway_reference in self.remembered:
                return Unknown("the kept failure")
            keeps = word.endswith("remembered") and self.capabilities.key_retention_seconds > 0
            if keeps:
                self.remembered.add(instruction.gateway_reference)
            if word in {"lost", "remembered"}:
                return Unknown("no answer", repeatable=not keeps)
            needs_charge = instruction.kind in MONEY_OPERATIONS - {OperationKind.PAYMENT}
            if needs_charge and not self._is_possible(instruction):
                return Overtaken("overtaken", "The charge is in another state.")
            outcome = self._book(instruction, word)
            failed = word.startswith("booked")
            return Unknown("no answer", repeatable=not keeps) if failed else outcome

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        self.inquiries.append(instruction)
        if self.lookup_fails:
            return Unknown("the lookup failed")
        now_ms = self.clock.now_ms()
        if instruction.kind is OperationKind.REVOCATION:
            token = instruction.payment_method
            return Succeeded(token, token) if token in self.revoked_tokens() else NotFound()
        with self.lock:
            for booking in self.bookings:
                if (
                    booking.instruction.gateway_reference == instruction.gateway_reference
                    and booking.visible_at_ms <= now_ms
                ):
                    if self._is_back(booking):
                        return Declined("refund_failed", "The refund has failed.")
                    return booking.outcome
        return NotFound()

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. This one waits for nobody, except for the payer of a set-up that a test has stored."""
        assert instruction.kind is OperationKind.SETUP, "nothing was said to wait"
        if self.script and self.script.pop(0) == "never":
            return waiting
        return Declined("canceled", "It was canceled.")

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. Whoever comes back with a result has paid."""
        if self.script and self.script.pop(0) == "never":
            return NeverSent("refused")
        return self._book(instruction, "ok")

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        if self.lookup_fails:
            return Unknown("the lookup failed")
        amounts = dict.fromkeys(OperationKind, 0)
        for booking in self.succeeded():
            if not self.behind and self._is_back(booking):
                continue
            if isinstance(booking.outcome, Succeeded) and booking.outcome.gateway_charge_id == gateway_charge_id:
                amounts[booking.instruction.kind] += booking.instruction.money.amount_minor
                if booking.instruction.capture_method is CaptureMethod.AUTOMATIC:
                    captured = OperationKind.PAYMENT
                else:
                    captured = OperationKind.CAPTURE
                currency = booking.instruction.money.currency
                if booking.instruction.kind is OperationKind.PAYMENT:
                    reference = booking.instruction.gateway_reference
        if not amounts[OperationKind.PAYMENT]:
            return NotFound()
        first = self._is_first(gateway_charge_id)
        return ChargeState(
            captured_minor=amounts[captured],
            refunded_minor=amounts[OperationKind.REFUND],
            voided=amounts[OperationKind.VOID] > 0 and not amounts[captured],
            currency=currency,
            gateway_reference=reference,
            reversed_minor=self.reversed_minor if first else 0,
            disputes=self.disputes if first else (),
            refunds=self._refunds(gateway_charge_id) if self.names_refunds else (),
        )

    def give_back(self, booking: Booking) -> None:
        """Let the amount of a refund that had succeeded come back to the merchant."""
        assert isinstance(booking.outcome, Succeeded)
        assert booking.instruction.kind is OperationKind.REFUND
        self.came_back.add(booking.outcome.gateway_operation_id)

    def _is_back(self, booking: Booking) -> bool:
        return isinstance(booking.outcome, Succeeded) and booking.outcome.gateway_operation_id in self.came_back

    def _refunds(self, gateway_charge_id: str) -> tuple[ChargeRefund, ...]:
        return tuple(
            ChargeRefund(
                gateway_refund_id=booking.outcome.gateway_operation_id,
                amount_minor=booking.instruction.money.amount_minor,
                gateway_reference=booking.instruction.gateway_reference,
                came_back=not self.behind and self._is_back(booking),
            )
            for booking in self.succeeded(OperationKind.REFUND)
            if isinstance(booking.outcome, Succeeded) and booking.outcome.gateway_charge_id == gateway_charge_id
        )

    def _is_first(self, gateway_charge_id: str | None) -> bool:
        outcome = self.succeeded(OperationKind.PAYMENT)[0].outcome
        return isinstance(outcome, Succeeded) and outcome.gateway_charge_id == gateway_charge_id

    def elsewhere(self, kind: OperationKind, amount_minor: int) -> None:
        """Do something to the first charge that payonce has not asked for, as somebody at the bank's dashboard does."""
        charged = self.succeeded(OperationKind.PAYMENT)[0]
        assert isinstance(charged.outcome, Succeeded)
        done = replace(
            charged.instruction,
            kind=kind,
            gateway_reference=f"dashboard-{next(self._numbers)}",
            money=Money(amount_minor, charged.instruction.money.currency),
            gateway_charge_id=charged.outcome.gateway_charge_id,
        )
        outcome = replace(charged.outcome, gateway_operation_id=f"op_{next(self._numbers)}")
        self.bookings.append(Booking(done, outcome, self.clock.now_ms()))

    def _is_possible(self, instruction: Instruction) -> bool:
        """Return whether the charge is in the state that a follow-up needs; its own booking is no obstacle."""
        if any(booking.instruction.gateway_reference == instruction.gateway_reference for booking in self.bookings):
            return True
        moved = dict.fromkeys(OperationKind, 0)
        for booking in self.succeeded():
            if (
                isinstance(booking.outcome, Succeeded)
                and booking.outcome.gateway_charge_id == instruction.gateway_charge_id
                and not self._is_back(booking)
            ):
                moved[booking.instruction.kind] += booking.instruction.money.amount_minor
        if not moved[OperationKind.PAYMENT]:
            return True  # the payment was stored by a test; this bank has never seen it
        captured_minor = moved[OperationKind.CAPTURE]
        if instruction.capture_method is CaptureMethod.AUTOMATIC:
            captured_minor = moved[OperationKind.PAYMENT]
        if instruction.kind is OperationKind.REFUND:
            taken_minor = 0
            if self._is_first(instruction.gateway_charge_id):
                taken_minor = self.reversed_minor + sum(dispute.withdrawn_minor for dispute in self.disputes)
            return instruction.money.amount_minor <= captured_minor - moved[OperationKind.REFUND] - taken_minor
        if moved[OperationKind.VOID] or (captured_minor and not self.capabilities.multiple_captures):
            return False
        return instruction.money.amount_minor <= moved[OperationKind.PAYMENT] - captured_minor

    def revoked_tokens(self) -> set[str]:
        """Return the tokens whose revocation shows by now, and those that somebody has revoked at the dashboard."""
        revoked = [each for each in self.bookings if each.instruction.kind is OperationKind.REVOCATION]
        shown = [each for each in revoked if each.visible_at_ms <= self.clock.now_ms()]
        return self.revoked_elsewhere | {
            each.instruction.payment_method for each in shown if isinstance(each.outcome, Succeeded)
        }

    def succeeded(self, kind: OperationKind | None = None) -> list[Booking]:
        """Return what was really executed."""
        return [
            booking
            for booking in self.bookings
            if isinstance(booking.outcome, Succeeded) and kind in (None, booking.instruction.kind)
        ]

    def _book(self, instruction: Instruction, word: str) -> Succeeded | Declined:
        if self.capabilities.key_retention_seconds:
            for booking in self.bookings:
                if booking.instruction.gateway_reference == instruction.gateway_reference:
                    return booking.outcome
        outcome: Succeeded | Declined = (
            Declined("declined", "The payment was declined.")
            if word == "decline"
            else saved_by(instruction, next(self._numbers))
            if instruction.kind is OperationKind.SETUP or instruction.saves_method
            else Succeeded(instruction.gateway_charge_id or f"ch_{next(self._numbers)}", f"op_{next(self._numbers)}")
        )
        self.bookings.append(Booking(instruction, outcome, self.clock.now_ms() + self.visible_after_ms))
        return outcome


@dataclass(slots=True)
class World:
    """The protocol wired on a database and a gateway."""

    clock: ManualClock = field(default_factory=ManualClock)
    database: Database = field(default_factory=MemoryDatabase)
    gateway: ScriptedGateway = None  # type: ignore[assignment]
    errors: list[Exception] = field(default_factory=list)
    services: Services = field(init=False)
    store: DatabaseIdempotencyStore = field(init=False)
    engine: IdempotencyEngine = field(init=False)

    def __post_init__(self) -> None:
        self.gateway = self.gateway or ScriptedGateway(self.clock)
        counter = itertools.count(1)
        ids = UlidSource(self.clock.now_ms, lambda size: next(counter).to_bytes(size, "big"))
        self.services = Services(database=self.database, clock=self.clock, ids=ids)
        self.store = DatabaseIdempotencyStore(self.database)
        self.engine = IdempotencyEngine(
            store=self.store,
            settings=IdempotencySettings(),
            clock=self.clock,
            sleep=self.clock.sleep,
            flow=with_powertools,  # what the functions use
        )

    def request(self, key: str, operation: str, fingerprint: str = "f", wait_seconds: float = 0) -> KeyedRequest:
        """Return a keyed request of the test's merchant."""
        return KeyedRequest(
            scope=MERCHANT,
            operation=operation,
            key=key,
            fingerprint=fingerprint,
            deadline=Deadline(self.clock.now_ms() + REQUEST_MS),
            wait_seconds=wait_seconds,
        )

    def create(
        self,
        key: str = "key",
        *,
        amount_minor: int = 1000,
        capture: CaptureMethod = CaptureMethod.AUTOMATIC,
        fingerprint: str = "f",
        wait_seconds: float = 0,
        payment_method: str = "pm_visa",
        payer: Payer = Payer.PRESENT,
        customer: str | None = None,
        saves: bool = False,
    ) -> KeyedResponse:
        """Create a payment, or replay it."""
        new = NewPayment(
            money=Money(amount_minor, "EUR"),
            payment_method=payment_method,
            capture_method=capture,
            payer=payer,
            customer=customer,
            saves_method=saves,
        )
        plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: self.gateway.name, services=self.services)
        work = CreatePayment(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, "create_payment", fingerprint, wait_seconds), work)

    def follow_up(
        self, kind: OperationKind, payment_id: str, key: str, amount_minor: int | None = None
    ) -> KeyedResponse:
        """Capture, void or refund."""
        plan = plan_follow_up(
            kind, merchant_id=MERCHANT, payment_id=payment_id, amount_minor=amount_minor, services=self.services
        )
        work = follow_up_work(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, kind.value), work)

    def confirm(self, payment_id: str, key: str, result: str = "ok") -> KeyedResponse:
        """Confirm a payment with what its payer came back with."""
        plan = plan_confirmation(merchant_id=MERCHANT, payment_id=payment_id, result=result, services=self.services)
        work = ConfirmPayment(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, "confirm_payment"), work)

    def set_up(
        self, key: str = "key-setup", *, payment_method: str = "pm_visa", customer: str = "cus_1"
    ) -> KeyedResponse:
        """Set a payment method up, or replay it."""
        new = NewSetup(
            customer=customer,
            payment_method=payment_method,
            payment_method_type=PaymentMethodType.CARD,
            currency="EUR",
        )
        plan = plan_setup(new, merchant_id=MERCHANT, route=lambda _id: self.gateway.name, services=self.services)
        work = CreateSetup(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, "create_setup"), work)

    def setup_step(self, setup_id: str, key: str, result: str = "ok", *, cancels: bool = False) -> KeyedResponse:
        """Confirm a set-up with what its payer came back with, or cancel it."""
        plan = plan_setup_step(
            merchant_id=MERCHANT, setup_id=setup_id, services=self.services, result=result, cancels=cancels
        )
        work = setup_step_work(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, "cancel_setup" if cancels else "confirm_setup"), work)

    def revoke(self, method_id: str, key: str = "key-revoke") -> KeyedResponse:
        """Revoke a saved payment method."""
        plan = plan_revocation(merchant_id=MERCHANT, method_id=method_id, services=self.services)
        work = RevokeMethod(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, "revoke_payment_method"), work)

    def charge_saved(self, method: SavedMethod, key: str = "key-saved") -> KeyedResponse:
        """Charge a saved payment method while the payer is absent."""
        new = NewPayment(
            money=Money(1000, "EUR"),
            payment_method=method.method_id,
            token=method.token,
            capture_method=CaptureMethod.AUTOMATIC,
            payer=Payer.ABSENT,
            customer=method.customer,
        )
        plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: method.gateway, services=self.services)
        work = CreatePayment(plan, lambda _name: self.gateway, self.services)
        return self.engine.execute(self.request(key, "create_payment"), work)

    def settle(self) -> None:
        """Ask about everything that gateways hold and that is due."""
        recovery = Recovery(engine=self.engine, services=self.services, gateway_named=lambda _name: self.gateway)
        for shard in WAITING_SHARDS:
            for open_id in self.store.open_claims(shard, lease_expired_at_ms=self.clock.now_ms() - 1, limit=99):
                recovery.recover(open_id, Deadline(self.clock.now_ms() + REQUEST_MS))

    def recover(self) -> RecoveryReport:
        """Run recovery now."""
        recovery = Recovery(engine=self.engine, services=self.services, gateway_named=lambda _name: self.gateway)
        sweep = Sweep(
            store=self.store,
            clock=self.clock,
            recover=recovery.recover,
            report_error=lambda _id, error: self.errors.append(error),
        )
        return sweep.run(Deadline(self.clock.now_ms() + 10_000_000))
