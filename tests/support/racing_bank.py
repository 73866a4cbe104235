"""A bank whose payers, owners and clients race: it waits for payers, processes, receives, and may answer nobody.

It ignores idempotency keys, so that a second submission is a second charge. What it executes is what it executes once
for each object, as Stripe's payment intents and Adyen's payments are
(https://docs.stripe.com/payments/paymentintents/lifecycle). Whoever was frozen on the way to it for longer than its
time sends nothing any more: so do production's adapters, which look at the deadline before each byte
(``DeadlineExchange``).
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    CANCELED,
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    ChargeState,
    Declined,
    NeverSent,
    NextAction,
    NotFound,
    OperationKind,
    Overtaken,
    Pending,
    ResultRefused,
    Succeeded,
    Unknown,
)
from tests.support.world import FORGETFUL

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.gateway import (
        ChargeOutcome,
        GatewayCapabilities,
        Instruction,
        LookupOutcome,
        SubmitOutcome,
        WithdrawOutcome,
    )
    from payonce.ports import Clock, Deadline

GENUINE = "genuine"


class State(StrEnum):
    """The states of one object at the bank."""

    WAITS = "waits for its payer"
    RETURNED = "waits for the confirmation"
    PROCESSING = "processing"
    DONE = "executed"
    DECLINED = "declined"
    CANCELED = "canceled"


@dataclass(slots=True)
class BankObject:
    """One submission, as the bank keeps it. ``executions`` counts how often money moved, or was held, for it."""

    identity: str
    instruction: Instruction
    state: State
    executions: int = 0
    voided: bool = False


@dataclass
class RacingBank:
    """The port ``Gateway``.

    ``interrupt`` is called before and after each effect, with the name of the point; ``loses`` says whether an answer
    is lost. ``needs_confirmation``: a payer's approval takes effect with the confirmation. ``voids_authorized``: a
    withdrawal also cancels what is authorized, as Stripe's does (https://docs.stripe.com/api/payment_intents/cancel).
    """

    clock: Clock
    interrupt: Callable[[str], None]
    loses: Callable[[], bool]
    needs_confirmation: bool = False
    processes: bool = False
    voids_authorized: bool = False
    receives: bool = False
    payer_may_take_ms: int | None = None
    name: str = "bank"
    capabilities: GatewayCapabilities = FORGETFUL
    objects: list[BankObject] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def of(self, kind: OperationKind) -> list[BankObject]:
        """Return the objects of a kind, oldest first."""
        return [found for found in self.objects if found.instruction.kind is kind]

    # The payer and the days that pass.

    def payer_answers(self, *, approves: bool) -> None:
        """Let the payer of the first payment answer, if the bank still asks."""
        with self.lock:
            payment = self.of(OperationKind.PAYMENT)[0]
            if payment.state is not State.WAITS:
                return
            if not approves:
                payment.state = State.DECLINED
            elif self.needs_confirmation:
                payment.state = State.RETURNED
            else:
                self._approved(payment)

    def decide(self, *, succeeds: bool = True) -> None:
        """Decide all that is being processed."""
        with self.lock:
            for found in self.objects:
                if found.state is State.PROCESSING:
                    if succeeds and self._is_possible(found):
                        self._execute(found)
                    else:
                        found.state = State.DECLINED

    def _approved(self, payment: BankObject) -> None:
        if self.processes:
            payment.state = State.PROCESSING
        else:
            self._execute(payment)

    def _execute(self, found: BankObject) -> None:
        found.state = State.DONE
        found.executions += 1
        if found.instruction.kind is OperationKind.VOID:
            self.of(OperationKind.PAYMENT)[0].voided = True

    # The port.

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        with self._call("submit"):
            if self._is_late(deadline):
                return NeverSent("late")
            found = BankObject(f"ob_{next(self._numbers)}", instruction, State.WAITS)
            if instruction.kind is OperationKind.PAYMENT:
                found.state = State.PROCESSING if instruction.payment_method == "pm_debit" else State.WAITS
            elif not self._is_possible(found):
                return Overtaken("overtaken", "The charge is in another state.")
            elif self.receives:
                found.state = State.PROCESSING
            else:
                self._execute(found)
            self.objects.append(found)
            answer = self._shown(found)
        return self._answered(answer, "submit")

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        with self._call("find"):
            if self._is_late(deadline):
                return Unknown("late")
            found = [one for one in self.objects if one.instruction.gateway_reference == instruction.gateway_reference]
            found.sort(key=lambda one: one.state is not State.DONE)
            answer: LookupOutcome = self._shown(found[0]) if found else NotFound()
        return self._answered(answer, "find")

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``."""
        with self._call("withdraw"):
            if self._is_late(deadline):
                return waiting
            payment = self._named(instruction)
            manual = instruction.capture_method is CaptureMethod.MANUAL
            if payment.state in {State.WAITS, State.RETURNED}:
                payment.state = State.CANCELED
            elif payment.state is State.DONE and manual and self.voids_authorized and not self._moved():
                payment.voided = True
            answer = self._shown(payment)
        answered = self._answered(answer, "withdraw")
        return waiting if isinstance(answered, Unknown) else answered

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        del waiting
        with self._call("confirm"):
            if self._is_late(deadline):
                return NeverSent("late")
            if result != GENUINE:
                return ResultRefused("forged_result", "The bank did not issue this.")
            payment = self._named(instruction)
            if payment.state is State.RETURNED:
                self._approved(payment)
            answer = self._shown(payment)
        return self._answered(answer, "confirm")

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        with self._call("read"):
            if self._is_late(deadline):
                return Unknown("late")
            payment = next(one for one in self.of(OperationKind.PAYMENT) if one.identity == gateway_charge_id)
            return ChargeState(
                captured_minor=self.captured_minor(),
                refunded_minor=self._moved(OperationKind.REFUND),
                voided=payment.voided,
                currency=payment.instruction.money.currency,
                gateway_reference=payment.instruction.gateway_reference,
            )

    def captured_minor(self) -> int:
        """Return what the bank has captured in all."""
        automatic = [
            one
            for one in self.of(OperationKind.PAYMENT)
            if one.instruction.capture_method is CaptureMethod.AUTOMATIC and one.state is State.DONE
        ]
        return sum(one.instruction.money.amount_minor for one in automatic) + self._moved()

    def refunded_minor(self) -> int:
        """Return what the bank has given back in all."""
        return self._moved(OperationKind.REFUND)

    def _moved(self, kind: OperationKind = OperationKind.CAPTURE) -> int:
        return sum(one.instruction.money.amount_minor for one in self.of(kind) if one.state is State.DONE)

    def _is_possible(self, asked: BankObject) -> bool:
        payment, amount_minor = self.of(OperationKind.PAYMENT)[0], asked.instruction.money.amount_minor
        if asked.instruction.kind is OperationKind.PAYMENT:
            return True
        if payment.state is not State.DONE or payment.voided:
            return False
        if asked.instruction.kind is OperationKind.REFUND:
            return amount_minor <= self.captured_minor() - self.refunded_minor()
        if asked.instruction.kind is OperationKind.VOID:
            return not self.captured_minor()
        return amount_minor <= payment.instruction.money.amount_minor - self.captured_minor()

    def _named(self, instruction: Instruction) -> BankObject:
        return next(one for one in self.objects if one.identity == instruction.gateway_charge_id)

    def _shown(self, found: BankObject) -> Succeeded | Declined | Pending:
        charge_id = found.identity
        if found.instruction.kind is not OperationKind.PAYMENT:
            charge_id = self.of(OperationKind.PAYMENT)[0].identity
        expires_at_ms = None
        if self.payer_may_take_ms is not None:
            expires_at_ms = found.instruction.first_submitted_at_ms + self.payer_may_take_ms
        match found.state:
            case State.WAITS:
                action = NextAction(type=ActionType.REDIRECT, url="https://bank.example/1", expires_at_ms=expires_at_ms)
                return AwaitsPayer(charge_id, "requires_action", action)
            case State.RETURNED:
                action = NextAction(type=ActionType.CONFIRM, expires_at_ms=expires_at_ms)
                return AwaitsPayer(charge_id, "requires_action", action)
            case State.PROCESSING:
                return Pending(charge_id, "processing")
            case State.DONE if not found.voided or found.instruction.kind is not OperationKind.PAYMENT:
                return Succeeded(charge_id, f"op_{found.identity}")
            case State.DONE | State.CANCELED:
                return Declined(CANCELED, "It was canceled.")
            case State.DECLINED:
                return Declined("insufficient_funds", "The issuer declined.")

    def _call(self, name: str) -> threading.Lock:
        self.interrupt(f"before {name}")
        return self.lock

    def _is_late(self, deadline: Deadline) -> bool:
        """Return whether whoever asks was frozen for longer than its time: adapters send nothing after it."""
        return self.clock.now_ms() > deadline.at_ms

    def _answered[T](self, answer: T, name: str) -> T | Unknown:
        self.interrupt(f"after {name}")
        return Unknown("no answer", repeatable=True) if self.loses() else answer
