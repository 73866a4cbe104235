"""What clients do: requests at their times, a surplus charge and who corrects it, and somebody at a dashboard."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.domain.gateway import OperationKind, Succeeded
from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.idempotency.keys import record_id
from payonce.payments.cancel_waiting import PAYER_WAS_FASTER
from payonce.ports import Deadline, Table
from payonce.reconciliation.cases.case import CaseChange, opened
from payonce.reconciliation.cases.case_items import case_writes
from payonce.reconciliation.model import Break
from payonce.reconciliation.taxonomy import BreakClass
from simulation.facts import Answered
from simulation.goals import Goal
from simulation.requests import event_of
from simulation.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from simulation.drawing import Attempt, Operation
    from simulation.gateway import SimulatedGateway
    from simulation.gateway_books import Booking
    from simulation.plan import Plan


REQUEST_SECONDS = 25  # timeouts of template.yaml
CORRECT_SECONDS = 60
EVENTS_AFTER_SECONDS = (1, 2, 40, 900)  # the gateway's event about a refund that came back, its copies, and a late one
OPERATIONS = {
    "create": "create_payment",
    "capture": "capture_payment",
    "refund": "refund_payment",
    "cancel": "cancel_payment",
    "confirm": "confirm_payment",
    "stranger": "get_payment",
    "surplus": "correct_break",
    "dashboard": "dashboard",
    "setup": "create_setup",
    "setup_confirm": "confirm_setup",
    "setup_cancel": "cancel_setup",
    "charge": "create_payment",
    "revoke": "revoke_payment_method",
}


class Cast(Workers):
    """All actors of a run: clients and workers."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.breaks: dict[str, Break] = {}
        self._correcting: set[str] = set()

    def schedule(self) -> None:
        """Put every operation of the plan, and the workers' rounds, on the schedule."""
        for operation in self.plan.operations:
            if operation.kind == "surplus":
                self.scheduler.after(operation.attempts[0].at_ms / 1000, partial(self._surplus, operation))
            if operation.kind == "dashboard":
                self.scheduler.after(operation.attempts[0].at_ms / 1000, partial(self._dashboard, operation))
                continue
            for attempt in operation.attempts:
                at_seconds = attempt.at_ms / 1000 + (1 if operation.kind == "surplus" else 0)
                self.scheduler.after(
                    at_seconds, partial(self.ask, operation, attempt, f"{operation.name}.{attempt.number}")
                )
        self.begin()

    def ask(self, operation: Operation, attempt: Attempt, name: str) -> None:
        """Start the actor of one request."""
        payment_id = self.payment_id(operation)
        if operation.of and payment_id is None:
            return
        if operation.kind == "surplus":
            if operation.name in self.breaks:
                self._start(name, partial(self._correct, operation), CORRECT_SECONDS, attempt)
            return
        call = partial(self._request, operation, attempt, name, payment_id)
        self._start(name, call, REQUEST_SECONDS, attempt)

    def payment_id(self, operation: Operation) -> str | None:
        """Return the payment or set-up that an operation is about, once its merchant can know it."""
        created = self.world.facts.operations.get(operation.of)
        if created is None:
            return None
        known = record_id(created.merchant, OPERATIONS[created.kind], created.key)
        item = self.world.database.item(Table.IDEMPOTENCY, {"id": known})
        return None if item is None or "response_status" not in item else item["claim_id"]

    def _start(self, name: str, work: Callable[[], object], seconds: float, attempt: Attempt) -> None:
        self.scheduler.start(name, work, host=attempt.host, timeout_seconds=seconds, skew_ms=attempt.skew_ms)

    def _request(self, operation: Operation, attempt: Attempt, name: str, payment_id: str | None) -> None:
        world = self.world
        known = record_id(operation.merchant, OPERATIONS[operation.kind], operation.key)
        began_us = self.scheduler.now_us
        world.facts.unsettled[known].add(name)
        world.facts.promised.discard(known)
        event = event_of(operation, attempt, payment_id)
        asked = event["body"] or ""
        world.facts.bodies[known].add(asked)
        self.scheduler.record(f"{operation.merchant} asks: {operation.kind} {operation.key} {asked}")
        response = serve(ROUTES[OPERATIONS[operation.kind]], world.application, event, _Context(self.scheduler))
        self.scheduler.record(f"answer {response['statusCode']} {response['body'][:160]}")
        document = json.loads(response["body"])
        self._note(response["statusCode"], document)
        answer = Answered(
            operation=operation,
            asked=asked,
            status=response["statusCode"],
            headers=response["headers"],
            body=response["body"],
            document=document,
            record_id=known,
            actor=name,
            began_us=began_us,
        )
        world.answered(answer)

    def _note(self, status: int, document: Mapping[str, Any]) -> None:
        reached = self.scheduler.history.reached
        kind = str(document.get("type", "")).rpartition(":")[2]
        for slug, goal in (
            ("key-reused", Goal.KEY_REUSED),
            ("key-in-progress", Goal.KEY_IN_PROGRESS),
            ("key-expired", Goal.KEY_EXPIRED),
            ("amount-exceeds-available", Goal.RESERVATION_REFUSED),
            ("setup-state", Goal.CHARGE_MET_REVOCATION),
        ):
            reached[goal] += kind == slug
        reached[Goal.PAYER_FASTER] += document.get("code") == PAYER_WAS_FASTER
        if status == 500:
            self.world.check_no_defect(AssertionError(str(document)))

    def _correct(self, operation: Operation) -> None:
        found = self.breaks[operation.name]
        reached = self.scheduler.history.reached
        reached[Goal.CORRECTION_CONTENDED] += operation.name in self._correcting
        self._correcting.add(operation.name)
        try:
            step = self.world.corrections.advance(found, Deadline(self.scheduler.now_ms() + REQUEST_SECONDS * 1000))
            self.scheduler.record(f"correction is {step.correction.status} {step.correction.outcome}")
            reached[Goal.CORRECTED] += step.correction.outcome == "executed"
        except PayonceError as error:
            # The state machine of the workflow retries a step that raises.
            self.scheduler.record(f"step raises {type(error).__name__}: {error}")
            self.world.check_no_defect(error)
        finally:
            self._correcting.discard(operation.name)

    def _surplus(self, operation: Operation) -> None:
        """Let the gateway charge a payment once more, and a reconciliation run find it."""
        charge = self._charge(operation)
        if charge is None:
            return
        gateway, booking = charge
        found = self._break(operation, gateway.name, booking, gateway.charge_again(booking))
        self.breaks[operation.name] = found
        case = opened(found, run_id="run_1", at_ms=self.scheduler.true_ms())
        self.world.database.apply(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))

    def _dashboard(self, operation: Operation) -> None:
        """Let somebody refund or void a charge at the gateway, and not through the API, or a refund of it come back."""
        charge = self._charge(operation)
        if charge is None:
            return
        gateway, booking = charge
        if gateway.give_back(booking) is not None:
            self.scheduler.history.reached[Goal.REFUND_CAME_BACK] += 1
            for seconds in EVENTS_AFTER_SECONDS:
                self.event_about(operation.merchant, booking.instruction.payment_id, gateway, after_seconds=seconds)
            return
        for kind in (OperationKind.REFUND, OperationKind.VOID):
            if gateway.from_dashboard(booking, kind, operation.amount_minor):
                self.world.facts.touched.add(booking.instruction.payment_id)
                return

    def _charge(self, operation: Operation) -> tuple[SimulatedGateway, Booking] | None:
        payment_id = self.payment_id(operation)
        for gateway in self.world.gateways.values():
            for booking in gateway.bookings:
                if payment_id is not None and _is_charge_of(booking, payment_id):
                    return gateway, booking
        return None

    def _break(self, operation: Operation, gateway: str, booking: Booking, charge_id: str) -> Break:
        return Break(
            break_class=BreakClass.DUPLICATE_CAPTURE,
            subject=(gateway, booking.instruction.gateway_reference, charge_id),
            amount_minor=booking.instruction.money.amount_minor,
            currency=booking.instruction.money.currency,
            occurred_at_ms=self.scheduler.true_ms(),
            merchant_id=operation.merchant,
            payment_id=booking.instruction.payment_id,
            gateway=gateway,
            surplus_gateway_payment_id=charge_id,
        )


class _Context:
    """What Lambda gives a function beside its event."""

    aws_request_id = "request-1"

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler

    def get_remaining_time_in_millis(self) -> int:
        """The time of an execution that has just begun."""
        return REQUEST_SECONDS * 1000


def _is_charge_of(booking: Booking, payment_id: str) -> bool:
    instruction = booking.instruction
    charged = instruction.kind is OperationKind.PAYMENT and isinstance(booking.outcome, Succeeded)
    return charged and instruction.payment_id == payment_id and not booking.surplus
