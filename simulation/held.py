"""What a gateway holds: payments that wait for their payer or take days, and operations that it has only received.

The payer acts, and the days pass, at times of the plan, whoever asks, confirms or withdraws meanwhile. What is held is
executed once, as an object of a real gateway is: https://docs.stripe.com/payments/paymentintents/lifecycle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    CANCELED,
    ActionType,
    AwaitsPayer,
    CaptureMethod,
    Declined,
    NextAction,
    OperationKind,
    Pending,
    ResultRefused,
    Succeeded,
)
from simulation.gateway_books import Booking, Books
from simulation.goals import Goal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.gateway import Instruction, SubmitOutcome
    from simulation.wire import Wire

WITH_PAYERS = frozenset({OperationKind.PAYMENT, OperationKind.SETUP})
GENUINE = "genuine"  # what a payer comes back with; the gateway has not issued anything else
HURRY_SECONDS = 0.1
PAGE = "https://bank.example/authenticate"


@dataclass(frozen=True, slots=True)
class Hold:
    """How a payment is held. ``flow``: redirect, confirm, process or debit. ``payer``: approves, declines or leaves.

    Times are seconds: of the payer after the submission, of the decision after the payer, of the expiry after the
    submission. ``racing``: the payer acts while a withdrawal is on its way.
    """

    flow: str
    payer: str
    payer_seconds: float
    decision_seconds: float
    expires_seconds: int
    fails: bool
    racing: bool


class HoldingBooks(Books):
    """Books with what is held in them. ``holds``: by payment method. ``receives``: for how long operations lie."""

    def __init__(
        self,
        name: str,
        kind: str,
        wire: Wire,
        on_booked: Callable[[str, Booking], None],
        holds: Mapping[str, Hold],
        receives_seconds: float,
    ) -> None:
        super().__init__(name, kind, wire, on_booked)
        self._holds = holds
        self._receives_seconds = receives_seconds
        self._voids_authorized = kind in {"remembering", "ignoring"}  # as Stripe does

    def _book(self, instruction: Instruction, kind: str, visible_from_us: int) -> Succeeded | Declined | Pending:
        hold = self._holds.get(instruction.payment_method)
        payment = instruction.kind in WITH_PAYERS
        if instruction.kind is OperationKind.REVOCATION:
            return super()._book(instruction, kind, visible_from_us)
        if kind == "declined" or (payment and hold is None) or not (payment or self._receives_seconds):
            return super()._book(instruction, kind, visible_from_us)
        object_id = f"ch_{self._name}_{next(self._numbers)}"
        outcome: Pending = Pending(object_id, "received")
        if payment and hold is not None:
            outcome = self._held(object_id, hold)
        booking = Booking(instruction, outcome, max(visible_from_us, self._scheduler.now_us))
        self.bookings.append(booking)
        place = len(self.bookings) - 1
        if payment and hold is not None and hold.flow != "debit":
            if hold.payer != "leaves":
                self._scheduler.after(hold.payer_seconds, partial(self._payer_acts, place, hold))
        else:
            seconds = self._receives_seconds if hold is None or not payment else hold.decision_seconds
            fails = payment and hold is not None and hold.fails
            self._scheduler.after(seconds, partial(self._decide, place, fails=fails))
        return outcome

    def _held(self, object_id: str, hold: Hold, kind: ActionType = ActionType.REDIRECT) -> Pending:
        if hold.flow == "debit":
            return Pending(object_id, "processing")
        at_ms = self._scheduler.true_ms() + hold.expires_seconds * 1000
        return AwaitsPayer(object_id, "requires_action", NextAction(type=kind, url=PAGE, expires_at_ms=at_ms))

    def _payer_acts(self, place: int, hold: Hold) -> None:
        booking = self.bookings[place]
        if not isinstance(booking.outcome, AwaitsPayer):
            self._scheduler.record(f"{self._name}: the payer of {booking.instruction.payment_id} is too late")
            return
        self._scheduler.record(f"{self._name}: the payer of {booking.instruction.payment_id} {hold.payer}")
        if hold.payer == "declines":
            self._becomes(place, Declined("authentication_failed", "The payer refused."))
        elif hold.flow == "confirm":
            returned = AwaitsPayer(booking.outcome.gateway_object_id, "requires_action", _returned(booking.outcome))
            self._becomes(place, returned)
        else:
            self._approved(place, hold)

    def _approved(self, place: int, hold: Hold) -> None:
        if hold.flow == "process":
            self._becomes(place, Pending(self._object_id(place), "processing"))
            self._scheduler.after(hold.decision_seconds, partial(self._decide, place, fails=hold.fails))
        else:
            self._executes(place)

    def _decide(self, place: int, *, fails: bool) -> None:
        booking = self.bookings[place]
        if type(booking.outcome) is not Pending:
            return
        payment = booking.instruction.kind in WITH_PAYERS
        if fails or not (payment or self._is_possible(booking.instruction)):
            self._becomes(place, Declined("insufficient_funds", "It failed."))
            self._wire.reached[Goal.FAILED_LATE] += payment
        else:
            self._executes(place)

    def _executes(self, place: int) -> None:
        booking = self.bookings[place]
        charge_id = booking.instruction.gateway_charge_id or self._object_id(place)
        self._becomes(place, self.done(booking.instruction, charge_id))
        self._on_booked(self._name, self.bookings[place])

    def _becomes(self, place: int, outcome: Succeeded | Declined | Pending) -> None:
        self.bookings[place] = replace(self.bookings[place], outcome=outcome)
        self._scheduler.record(
            f"{self._name}: {self.bookings[place].instruction.gateway_reference} is {type(outcome).__name__.lower()}"
        )

    def _object_id(self, place: int) -> str:
        outcome = self.bookings[place].outcome
        assert isinstance(outcome, Pending)  # noqa: S101 - narrows the type
        return outcome.gateway_object_id

    def _place(self, instruction: Instruction) -> int | None:
        """Return where the payment's object is, by the id under which it is held."""
        for place, booking in enumerate(self.bookings):
            if booking.instruction.gateway_reference == instruction.gateway_reference and not booking.surplus:
                return place
        return None

    def hurry(self, instruction: Instruction) -> None:
        """Let a payer who races act in the next moment."""
        place, hold = self._place(instruction), self._holds[instruction.payment_method]
        if place is not None and hold.racing and hold.payer != "leaves":
            moment = self._scheduler.alive().latencies.uniform(0, HURRY_SECONDS)
            self._scheduler.after(moment, partial(self._payer_acts, place, hold))

    def withdrawn(self, instruction: Instruction) -> SubmitOutcome | None:
        """Cancel what waits, where it still can be, and return what became of it."""
        place = self._place(instruction)
        if place is None:
            return None
        booking = self.bookings[place]
        if isinstance(booking.outcome, AwaitsPayer):
            self._becomes(place, Declined(CANCELED, "It was canceled."))
        elif isinstance(booking.outcome, Succeeded) and self._voids(booking):
            # Its books keep what was authorized, and that it was voided.
            void = replace(
                instruction,
                kind=OperationKind.VOID,
                gateway_reference=f"withdrawal-{next(self._numbers)}",
                gateway_charge_id=booking.outcome.gateway_charge_id,
            )
            self.bookings.append(Booking(void, booking.outcome, self._scheduler.now_us, surplus=True))
            self.canceled.add(instruction.gateway_reference)
            self._wire.reached[Goal.AUTHORIZED_WITHDRAWN] += 1
        return self.now(self.bookings[place])

    def _voids(self, booking: Booking) -> bool:
        assert isinstance(booking.outcome, Succeeded)  # noqa: S101 - narrows the type
        if not self._voids_authorized or booking.instruction.capture_method is CaptureMethod.AUTOMATIC:
            return False
        void = replace(
            booking.instruction, kind=OperationKind.VOID, gateway_charge_id=booking.outcome.gateway_charge_id
        )
        return self._is_possible(void)

    def confirmed(self, instruction: Instruction, result: str) -> SubmitOutcome | None:
        """Take what the payer came back with, and return what became of the payment."""
        if result != GENUINE:
            return ResultRefused("forged_result", "The gateway did not issue this.")
        place = self._place(instruction)
        if place is None:
            return None
        outcome = self.bookings[place].outcome
        if isinstance(outcome, AwaitsPayer) and outcome.action and outcome.action.type is ActionType.CONFIRM:
            self._approved(place, self._holds[instruction.payment_method])
        return self.now(self.bookings[place])


def _returned(waiting: AwaitsPayer) -> NextAction:
    assert waiting.action is not None  # noqa: S101 - narrows the type
    return replace(waiting.action, type=ActionType.CONFIRM, url=None)
