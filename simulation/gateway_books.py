"""The books of a gateway: what it executes when an instruction arrives, and what it keeps for a key.

A gateway executes an instruction when it arrives, whether or not anybody still waits for the answer. What it declares
(``GatewayCapabilities``) is true of it: a late one executes within its bound after the sending, and no later.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    CANCELED,
    CaptureMethod,
    ChargeRefund,
    ChargeState,
    Declined,
    Instruction,
    MethodSaved,
    NotFound,
    OperationKind,
    Overtaken,
    Pending,
    SubmitOutcome,
    Succeeded,
    Unknown,
)
from payonce.domain.money import Money
from simulation.goals import Goal
from simulation.shown import shown
from tests.support.world import FORGETFUL, HONOURING, LATE, REMEMBERING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.gateway import GatewayCapabilities
    from simulation.scheduler import Scheduler
    from simulation.wire import Wire

FOLLOW_UPS = frozenset({OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND})
LOOKUP_LAGS = 0.3  # of submissions, where a lookup may lag
UNBOUNDED_LATE_SECONDS = 120  # where "not found" is never final, whoever honours keys may be as late as it likes
KINDS: Mapping[str, GatewayCapabilities] = MappingProxyType(
    {"honouring": HONOURING, "ignoring": FORGETFUL, "late": LATE, "remembering": REMEMBERING}
)


@dataclass(frozen=True, slots=True)
class Booking:
    """One execution. ``surplus``: the gateway made it by itself, nobody has sent it."""

    instruction: Instruction
    outcome: Succeeded | Declined | Pending
    visible_at_us: int
    surplus: bool = False


def _charge_of(booking: Booking) -> str | None:
    return booking.outcome.gateway_charge_id if isinstance(booking.outcome, Succeeded) else None


@dataclass(frozen=True, slots=True)
class Sent:
    """A submission that has left: who sent it, and until when it may still be executed, in true microseconds."""

    actor: str
    gateway: str
    instruction: Instruction
    at_us: int
    arrives_by_us: int


class Books:
    """What a gateway has executed. ``on_booked`` sees every execution, at the moment it takes place."""

    def __init__(self, name: str, kind: str, wire: Wire, on_booked: Callable[[str, Booking], None]) -> None:
        self._name = name
        self._capabilities = KINDS[kind]
        self._wire = wire
        self._scheduler: Scheduler = wire.scheduler
        self._on_booked = on_booked
        self._numbers = itertools.count(1)
        self._kept: set[str] = set()
        self._not_found: set[str] = set()
        self._arrived: dict[str, int] = {}
        self.bookings: list[Booking] = []
        self.on_their_way: dict[str, int] = {}
        self.revoked: set[str] = set()  # tokens
        self.canceled: set[str] = set()  # references of payments that were authorized, and then withdrawn
        self.came_back: list[Booking] = []  # refunds that succeeded, and failed afterwards

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return self._capabilities

    def charge(self, gateway_charge_id: str) -> ChargeState | NotFound:
        """Return the charge's state."""
        moved = self._moved(gateway_charge_id)
        made = self._made(gateway_charge_id)
        if made is None:
            return NotFound()
        automatic = made.instruction.capture_method is CaptureMethod.AUTOMATIC
        return ChargeState(
            captured_minor=moved[OperationKind.PAYMENT if automatic else OperationKind.CAPTURE],
            refunded_minor=moved[OperationKind.REFUND],
            voided=moved[OperationKind.VOID] > 0,
            currency=made.instruction.money.currency,
            refunds=self._refunds(gateway_charge_id),
        )

    def may_be_executed(self, reference: str) -> bool:
        """Return whether the reference was executed, or may still be by what was sent."""
        booked = self.booked(reference)
        if any(isinstance(booking.outcome, Succeeded | Pending) for booking in booked):
            return reference not in self.canceled
        return self._may_still_be(reference)

    def has_come_back(self, reference: str) -> bool:
        """Return whether the reference was executed, all of that came back, and it can't be executed again."""
        executed = [booking for booking in self.booked(reference) if isinstance(booking.outcome, Succeeded | Pending)]
        returned = all(booking in self.came_back for booking in executed)
        return bool(executed) and returned and not self._may_still_be(reference)

    def _may_still_be(self, reference: str) -> bool:
        # Where keys are honoured, what is on its way is answered with the decline that is there.
        kept = self.booked(reference) and self.capabilities.key_retention_seconds
        return self.on_their_way.get(reference, 0) > 0 and not kept

    def charge_again(self, booking: Booking) -> str:
        """Execute a payment once more, as a gateway's own mistake does, and return the surplus charge's id."""
        charge_id = f"ch_{self._name}_{next(self._numbers)}"
        outcome = Succeeded(charge_id, f"op_{self._name}_{next(self._numbers)}")
        again = Booking(booking.instruction, outcome, self._scheduler.now_us, surplus=True)
        self.bookings.append(again)
        self._scheduler.record(f"{self._name}: charges {booking.instruction.gateway_reference} once more: {charge_id}")
        return charge_id

    def from_dashboard(self, charge: Booking, kind: OperationKind, amount_minor: int) -> bool:
        """Do something to a charge that nobody has sent, and return whether its state allows it."""
        assert isinstance(charge.outcome, Succeeded)  # noqa: S101 - narrows the type
        done = replace(
            charge.instruction,
            kind=kind,
            gateway_reference=f"dashboard-{next(self._numbers)}",
            money=Money(amount_minor, charge.instruction.money.currency),
            gateway_charge_id=charge.outcome.gateway_charge_id,
        )
        if not self._is_possible(done):
            return False
        outcome = Succeeded(charge.outcome.gateway_charge_id, f"op_{self._name}_{next(self._numbers)}")
        self.bookings.append(Booking(done, outcome, self._scheduler.now_us, surplus=True))
        self._scheduler.record(f"{self._name}: dashboard does a {kind.value} of {amount_minor} of {done.payment_id}")
        return True

    def give_back(self, charge: Booking) -> Booking | None:
        """Let a refund of a charge come back that stands, and return it; ``None`` where there is none."""
        for booking in self.bookings:
            if booking.instruction.kind is not OperationKind.REFUND or booking in self.came_back:
                continue
            if _charge_of(booking) is not None and _charge_of(booking) == _charge_of(charge):
                self.came_back.append(booking)
                self._scheduler.record(f"{self._name}: {booking.instruction.gateway_reference} comes back")
                return booking
        return None

    def gone(self, reference: str) -> None:
        self.on_their_way[reference] -= 1

    def arrive(
        self, instruction: Instruction, kind: str, keeps: bool, text: str, visible_from_us: int, late: bool
    ) -> SubmitOutcome:
        reference = instruction.gateway_reference
        self.gone(reference)
        outcome = self._execute(instruction, kind, keeps, visible_from_us)
        self._scheduler.record(f"{text}{' (late)' if late else ''} -> {shown(outcome)}")
        if late and isinstance(outcome, Succeeded):
            self._wire.reached[Goal.BOOKED_LATE] += 1
            if reference in self._not_found:
                self._wire.reached[Goal.BOOKED_AFTER_NOT_FOUND] += 1
            if self._arrived.get(reference, 0) or self.on_their_way[reference]:
                self._wire.reached[Goal.LATE_BOOKING_MET_RESUBMISSION] += 1
        if self._arrived.get(reference, 0):
            self._wire.reached[Goal.RESUBMITTED] += 1
        self._arrived[reference] = self._arrived.get(reference, 0) + 1
        return outcome

    def _execute(self, instruction: Instruction, kind: str, keeps: bool, visible_from_us: int) -> SubmitOutcome:
        reference = instruction.gateway_reference
        if reference in self._kept:
            return Unknown("the kept failure")
        if keeps:
            self._kept.add(reference)
            self._wire.reached[Goal.FAILURE_KEPT] += 1
        if kind == "kept":
            return Unknown("500", repeatable=not keeps)
        if self.capabilities.key_retention_seconds:
            for booking in self.booked(reference):
                return Unknown("500, kept") if keeps else self.now(booking)
        if instruction.kind is OperationKind.REVOCATION and instruction.payment_method in self.revoked:
            return self.ended(instruction)  # whoever has ended it: nothing happens a second time
        if instruction.kind in FOLLOW_UPS and not self._is_possible(instruction):
            self._wire.reached[Goal.OVERTAKEN] += 1
            return Overtaken("overtaken", "The charge is in another state.")
        outcome = self._book(instruction, kind, visible_from_us)
        return Unknown("500", repeatable=not keeps) if kind == "booked_kept" else outcome

    def now(self, booking: Booking) -> Succeeded | Declined | Pending:
        """Return what a lookup shows of a booking."""
        if booking.instruction.gateway_reference in self.canceled:
            return Declined(CANCELED, "It was canceled.")
        if booking in self.came_back:
            return Declined("refund_failed", "The refund has failed.")
        return booking.outcome

    def _book(self, instruction: Instruction, kind: str, visible_from_us: int) -> Succeeded | Declined | Pending:
        outcome: Succeeded | Declined
        if kind == "declined":
            self._wire.reached[Goal.DECLINED] += 1
            outcome = Declined("declined", "The payment was declined.")
        elif instruction.kind is OperationKind.PAYMENT and instruction.payment_method in self.revoked:
            outcome = Declined("mandate_revoked", "The mandate was revoked.")
        else:
            outcome = self.done(instruction, instruction.gateway_charge_id or f"ch_{self._name}_{next(self._numbers)}")
        booking = Booking(instruction, outcome, max(visible_from_us, self._scheduler.now_us))
        self.bookings.append(booking)
        self._on_booked(self._name, booking)
        return outcome

    def done(self, instruction: Instruction, charge_id: str) -> Succeeded:
        """Return the success of what is executed now; a set-up's names a token, and a revocation ends one."""
        if instruction.kind is OperationKind.REVOCATION:
            self.revoked.add(instruction.payment_method)
            return self.ended(instruction)
        operation_id = f"op_{self._name}_{next(self._numbers)}"
        if instruction.kind is not OperationKind.SETUP:
            return Succeeded(charge_id, operation_id)
        self._wire.reached[Goal.METHOD_SAVED] += 1
        return MethodSaved(charge_id, operation_id, f"tok_{charge_id}", f"mandate_{charge_id}")

    @staticmethod
    def ended(instruction: Instruction) -> Succeeded:
        """Return that a saved method can be charged no more."""
        return Succeeded(instruction.gateway_charge_id or "", instruction.payment_method)

    def booked(self, reference: str) -> list[Booking]:
        return [
            booking
            for booking in self.bookings
            if booking.instruction.gateway_reference == reference and not booking.surplus
        ]

    def _made(self, charge_id: str) -> Booking | None:
        for booking in self.bookings:
            made = booking.instruction.kind is OperationKind.PAYMENT and isinstance(booking.outcome, Succeeded)
            if made and booking.outcome.gateway_charge_id == charge_id:  # type: ignore[union-attr]
                return booking
        return None

    def _refunds(self, charge_id: str) -> tuple[ChargeRefund, ...]:
        return tuple(
            ChargeRefund(
                gateway_refund_id=booking.outcome.gateway_operation_id,
                amount_minor=booking.instruction.money.amount_minor,
                gateway_reference=booking.instruction.gateway_reference,
                came_back=booking in self.came_back,
            )
            for booking in self.bookings
            if booking.instruction.kind is OperationKind.REFUND
            and isinstance(booking.outcome, Succeeded)
            and booking.outcome.gateway_charge_id == charge_id
        )

    def _moved(self, charge_id: str) -> dict[OperationKind, int]:
        moved = dict.fromkeys(OperationKind, 0)
        for booking in self.bookings:
            if _charge_of(booking) == charge_id and booking not in self.came_back:
                moved[booking.instruction.kind] += booking.instruction.money.amount_minor
        return moved

    def _is_possible(self, instruction: Instruction) -> bool:
        charge_id = instruction.gateway_charge_id or ""
        moved, state = self._moved(charge_id), self.charge(charge_id)
        if isinstance(state, NotFound):
            return False
        if instruction.kind is OperationKind.REFUND:
            return instruction.money.amount_minor <= state.captured_minor - state.refunded_minor
        if state.voided or (instruction.kind is OperationKind.VOID and state.captured_minor):
            return False
        return instruction.money.amount_minor <= moved[OperationKind.PAYMENT] - state.captured_minor
