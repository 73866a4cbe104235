"""What the checks do with an adapter: they make instructions, drive them to their end, and compare with the books."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.clock import SystemClock
from payonce.domain.gateway import (
    AwaitsPayer,
    CaptureMethod,
    Instruction,
    NotFound,
    OperationKind,
    Payer,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.domain.ids import UlidSource, gateway_reference
from payonce.domain.money import Money, Zero
from payonce.gateways.check.vendor import NotBroughtError, Token
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.gateway import (
        ChargeOutcome,
        LookupOutcome,
        MethodSaved,
        PaymentMethodType,
        SubmitOutcome,
        WithdrawOutcome,
    )
    from payonce.gateways.check.fault_proxy import FaultProxy
    from payonce.gateways.check.vendor import Vendor
    from payonce.ports import Gateway

AMOUNT_MINOR = 1_000
PART_MINOR = 300
PATIENT_SECONDS = 20
HASTY_SECONDS = 1.0  # the deadline where an answer never comes
GRACE_SECONDS = 1.0  # a call may end this much after its deadline on a busy machine
ASKS = 40
PAUSE_SECONDS = 0.05
LONGEST_WAIT_SECONDS = 45
RETURN_URL = "https://shop.example/back"
CUSTOMER = "customer-7"  # of set-ups, where the vendor needs no customer that it knows


class BrokenError(Exception):
    """A promise is broken. ``happened`` is a sentence about what happened instead."""

    def __init__(self, happened: str) -> None:
        super().__init__(happened)
        self.happened = happened


class NotClaimedError(Exception):
    """The adapter does not claim what a check is about."""


class Stage:
    """An adapter before a vendor's server, with the fault proxy between them."""

    def __init__(self, vendor: Vendor, proxy: FaultProxy) -> None:
        self.vendor = vendor
        self.proxy = proxy
        self.clock = SystemClock()
        self.gateway: Gateway = vendor.make_adapter(proxy.url, self.clock)
        self.capabilities = self.gateway.capabilities
        self._ids = UlidSource(self.clock.now_ms, os.urandom)

    def payment(
        self,
        token: Token = Token.OK,
        *,
        capture: CaptureMethod = CaptureMethod.AUTOMATIC,
        payer: Payer = Payer.PRESENT,
        method_type: PaymentMethodType | None = None,
        payment_method: str | None = None,
    ) -> Instruction:
        """Return a new payment of ``AMOUNT_MINOR``."""
        identity = self._ids.new("pay")
        return Instruction(
            kind=OperationKind.PAYMENT,
            gateway_reference=gateway_reference(identity, 1),
            merchant_id="mer_1",
            payment_id=identity,
            money=Money(AMOUNT_MINOR, self.vendor.currency),
            capture_method=capture,
            payment_method=payment_method or self.vendor.token(token),
            customer=self.vendor.customer,
            first_submitted_at_ms=self.clock.now_ms(),
            payment_method_type=method_type or self.vendor.method_type,
            payer=payer,
            return_url=RETURN_URL if payer is Payer.PRESENT else None,
        )

    def follow_up(
        self, kind: OperationKind, first: Instruction, charge_id: str, amount_minor: int = AMOUNT_MINOR
    ) -> Instruction:
        """Return a new capture, void or refund of the charge. ``NotClaimedError`` if the adapter has no such thing."""
        self.need(kind in self.capabilities.operations, f"operations lacks {kind}")
        prefix = {OperationKind.CAPTURE: "cap", OperationKind.VOID: "void", OperationKind.REFUND: "ref"}[kind]
        return replace(
            first,
            kind=kind,
            gateway_reference=gateway_reference(self._ids.new(prefix), 1),
            money=Money(amount_minor, self.vendor.currency),
            first_submitted_at_ms=self.clock.now_ms(),
            gateway_charge_id=charge_id,
        )

    def setup(self, token: Token = Token.OK) -> Instruction:
        """Return a new set-up of the vendor's ordinary method. ``NotClaimedError`` if the adapter has no set-ups."""
        self.need(OperationKind.SETUP in self.capabilities.operations, f"operations lacks {OperationKind.SETUP}")
        identity = self._ids.new("setup")
        return replace(
            self.payment(token),
            kind=OperationKind.SETUP,
            gateway_reference=gateway_reference(identity, 1),
            payment_id=identity,
            money=Zero(0, self.vendor.currency),
            customer=self.vendor.customer or CUSTOMER,
        )

    def revocation(self, setup: Instruction, saved: MethodSaved) -> Instruction:
        """Return a new revocation of what a set-up has saved. ``NotClaimedError`` if the adapter has none."""
        kind = OperationKind.REVOCATION
        self.need(kind in self.capabilities.operations, f"operations lacks {kind}")
        return replace(
            setup,
            kind=kind,
            gateway_reference=gateway_reference(self._ids.new("rev"), 1),
            payment_method=saved.token,
            gateway_charge_id=saved.mandate_id,
            first_submitted_at_ms=self.clock.now_ms(),
        )

    def soon(self, seconds: float = PATIENT_SECONDS) -> Deadline:
        """Return the deadline in so many seconds."""
        return Deadline(self.clock.now_ms() + int(seconds * 1000))

    def submit(self, instruction: Instruction, seconds: float = PATIENT_SECONDS) -> SubmitOutcome:
        """Submit it, once."""
        return self._call("submit", seconds, lambda by: self.gateway.submit(instruction, by))

    def find(self, instruction: Instruction, seconds: float = PATIENT_SECONDS) -> LookupOutcome:
        """Look it up, once."""
        return self._call("find", seconds, lambda by: self.gateway.find(instruction, by))

    def withdraw(
        self, instruction: Instruction, waiting: AwaitsPayer, seconds: float = PATIENT_SECONDS
    ) -> WithdrawOutcome:
        """Withdraw it, once."""
        return self._call("withdraw", seconds, lambda by: self.gateway.withdraw(instruction, waiting, by))

    def confirm(
        self, instruction: Instruction, waiting: AwaitsPayer, result: str, seconds: float = PATIENT_SECONDS
    ) -> SubmitOutcome:
        """Confirm it, once."""
        return self._call("confirm", seconds, lambda by: self.gateway.confirm(instruction, waiting, result, by))

    def read_charge(self, charge_id: str, seconds: float = PATIENT_SECONDS) -> ChargeOutcome:
        """Read the charge, once."""
        return self._call("read_charge", seconds, lambda by: self.gateway.read_charge(charge_id, by))

    def _call[T](self, name: str, seconds: float, call: Callable[[Deadline], T]) -> T:
        began = time.monotonic()
        try:
            outcome = call(self.soon(seconds))
        except Exception as error:
            raise BrokenError(f"{name} raised {type(error).__name__}: {error}"[:300]) from error
        took = time.monotonic() - began
        self.expect(took <= max(seconds, 0) + GRACE_SECONDS, f"{name} took {took:.1f} s with a deadline of {seconds} s")
        return outcome

    def succeed(self, instruction: Instruction) -> Succeeded:
        """Submit it, let the payer approve and time pass where the vendor needs that, and return its success."""
        outcome = self.drive(instruction, self.submit(instruction))
        if not isinstance(outcome, Succeeded):
            raise BrokenError(f"the {instruction.kind} ended as {told(outcome)}")
        return outcome

    def drive(self, instruction: Instruction, outcome: object, *, approve: bool = True) -> object:
        """Return what becomes of an outcome that waits for the payer or for the vendor."""
        if isinstance(outcome, AwaitsPayer):
            outcome = self.payer_acts(instruction, outcome, approve=approve)
        if isinstance(outcome, Pending):
            self.vendor.settle()
            outcome = self.decided(held(instruction, outcome))
        return outcome

    def payer_acts(self, instruction: Instruction, waiting: AwaitsPayer, *, approve: bool) -> object:
        """Let the payer act, hand in what the payer comes back with, and return what has become of the payment."""
        result = self.vendor.answer_as_payer(waiting, approve=approve)
        if result is not None:
            self.confirm(instruction, waiting, result)
        return self.decided(held(instruction, waiting))

    def decided(self, instruction: Instruction) -> object:
        """Look it up until it is decided, for a few seconds at most, and return the last outcome."""
        return self._asked_until(instruction, (Pending, NotFound))

    def seen(self, instruction: Instruction) -> object:
        """Look it up until it is shown, for a few seconds at most: gateways may show late what they hold."""
        return self._asked_until(instruction, (NotFound,))

    def known(self, instruction: Instruction) -> object:
        """Look it up until it is shown and no doubt is left, for a few seconds at most, as recovery asks again."""
        return self._asked_until(instruction, (NotFound, Unknown))

    def _asked_until(self, instruction: Instruction, undecided: tuple[type, ...]) -> object:
        self.vendor.deliver()
        outcome: object = self.find(instruction)
        for _ in range(ASKS):
            if not isinstance(outcome, undecided):
                break
            time.sleep(PAUSE_SECONDS)
            self.vendor.deliver()
            outcome = self.find(instruction)
        return outcome

    def wait(self, seconds: float) -> None:
        """Let time pass at the vendor: by moving its clock, or by waiting where that is short."""
        try:
            self.vendor.advance(seconds)
        except NotBroughtError:
            if seconds > LONGEST_WAIT_SECONDS:
                raise
            time.sleep(seconds)

    def expect_count(self, instruction: Instruction, expected: int) -> None:
        """Compare with the books."""
        count = self.vendor.count(instruction)
        self.expect(count == expected, f"the books have {count} executions of {instruction.kind}, not {expected}")

    @property
    def may_not_find(self) -> tuple[type, ...]:
        """Return what a question without an answer may end as: where "not found" is never final, it harms nobody."""
        never_final = self.capabilities.lookup_authoritative_after_seconds is None
        return (Unknown, NotFound) if never_final else (Unknown,)

    def expect(self, holds: bool, happened: str) -> None:
        """Raise ``BrokenError`` unless ``holds``."""
        if not holds:
            raise BrokenError(happened)

    def need(self, claimed: bool, reason: str) -> None:
        """Raise ``NotClaimedError`` unless ``claimed``."""
        if not claimed:
            raise NotClaimedError(reason)


def held(instruction: Instruction, pending: Pending) -> Instruction:
    """Return the instruction as it is looked up while the gateway holds it: by its own object's id."""
    if instruction.kind not in {OperationKind.PAYMENT, OperationKind.SETUP}:
        return replace(instruction, gateway_operation_id=pending.gateway_object_id)
    return replace(instruction, gateway_charge_id=pending.gateway_object_id)


def told(outcome: object) -> str:
    """Return an outcome as it is told in a report: no secret of the payer's is in its repr."""
    return repr(outcome)[:200]


def unused_url() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return f"http://127.0.0.1:{port}"
