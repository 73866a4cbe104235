"""What happens by itself in time: decisions, captures, closed offers and expired authorisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.adyen.authorisation import authorise, capture_automatically, end
from local.adyen.desk import Desk
from local.adyen.modifications import decide, fail_later
from local.adyen.notifications import notify
from local.adyen.vocabulary import decision_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.adyen.behaviour import Settings
    from local.adyen.books import Books, Row

_OPEN = {"waiting", "shown", "received", "pending", "presented"}


def do_due(books: Books, settings: Settings, now_ms: int) -> int:
    """Do every task that is due at ``now_ms``, each at its own time, oldest first; return their number."""
    done = 0
    while True:
        with books.transaction() as ledger:
            task = ledger.next_due("tasks", "at_ms", now_ms)
            if task is None:
                return done
            ledger.delete("tasks", id=task["id"])
            desk = Desk(ledger, settings, task["at_ms"])
            of_operation = task["task"] in _OF_OPERATIONS
            table, tasks = ("operations", _OF_OPERATIONS) if of_operation else ("payments", _OF_PAYMENTS)
            row = ledger.one(table, psp_reference=task["psp_reference"])
            if row is not None:
                tasks[task["task"]](desk, row)
        done += 1


def decide_payment(desk: Desk, payment: Row) -> None:
    """Let the bank or the issuer decide on a payment that was received, pending or presented to its payer."""
    if payment["state"] not in {"received", "pending", "presented"}:
        return
    decision = decision_of(payment["holder_name"])
    (authorise if decision.authorised else end)(desk, payment, decision)


def capture_payment(desk: Desk, payment: Row) -> None:
    """Capture automatically what was neither captured nor cancelled."""
    if payment["state"] == "authorised" and not payment["captured_minor"] and not payment["released_minor"]:
        capture_automatically(desk, payment)


def close_offer(desk: Desk, payment: Row) -> None:
    """Close a payment that its payer did not finish: ``OFFER_CLOSED``."""
    if payment["state"] not in _OPEN:
        return
    key = {"psp_reference": payment["psp_reference"]}
    desk.ledger.update("payments", key, state="closed")
    desk.ledger.update("operations", key, status="failed", reason="offer closed")
    notify(desk.ledger, payment, "OFFER_CLOSED", desk.now_ms)


def expire(desk: Desk, payment: Row) -> None:
    """Let the uncaptured rest of an authorisation expire: ``EXPIRE``, with the amount that was authorised."""
    rest_minor = payment["amount_minor"] - payment["captured_minor"] - payment["released_minor"]
    if payment["state"] != "authorised" or rest_minor == 0:
        return
    desk.ledger.add(payment, released=rest_minor)
    if not payment["captured_minor"]:
        desk.ledger.update("payments", {"psp_reference": payment["psp_reference"]}, state="expired")
    notify(desk.ledger, payment, "EXPIRE", desk.now_ms)


def fail_modification(desk: Desk, operation: Row) -> None:
    """Let the scheme reject a modification later, if nothing else has undone it meanwhile."""
    if operation["status"] == "succeeded":
        fail_later(desk, operation)


_OF_OPERATIONS: dict[str, Callable[[Desk, Row], None]] = {
    "modify": decide,
    "fail_capture": fail_modification,
    "fail_refund": fail_modification,
}
_OF_PAYMENTS: dict[str, Callable[[Desk, Row], None]] = {
    "decide": decide_payment,
    "capture": capture_payment,
    "close_offer": close_offer,
    "expire": expire,
}
