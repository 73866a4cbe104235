"""Payments from the merchant's side: begun, cancelled, confirmed; and answered by the payer.

All but the beginning is the same of a set-up (``setups``).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.sandbox_bank import events, results, saved
from local.sandbox_bank.desk import schedule, unschedule
from local.sandbox_bank.movements import Refused, insert_charge, insert_operation, move, new_charge_id
from local.sandbox_bank.present import payment_of, shown
from local.sandbox_bank.states import TYPES, ask_payer, change, fail, start_debit, succeed
from local.sandbox_bank.tokens import PREFIX, Flow, Token, checked_method_type, token_of, token_of_payment

if TYPE_CHECKING:
    from local.sandbox_bank.desk import Desk

type Answer = tuple[int, dict[str, Any]]

FURTHER = ("method_type", "return_url", "payer", "customer", "description", "save_method")
SAVED_CHARGED = "tok_ok"  # a mandate stands for the payer who is absent: a saved method is charged as this token
_OBJECTS = {"payment": "charge", "setup": "setup"}
ANSWERS = {Flow.REDIRECT: ("approve", "decline", "leave"), Flow.DISPLAY: ("approve", "leave")}


def new_operation(desk: Desk, operation: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a new row of the operations, with the values of ``operation``, then ``values``."""
    return {
        "operation_id": f"op_{uuid.uuid4().hex}",
        "bank": desk.bank,
        **{name: operation[name] for name in ("reference", "amount_minor", "currency", "payment_method")},
        "code": None,
        "created_at_ms": desk.at_ms,
        "visible_at_ms": desk.at_ms + operation.get("visible_after_ms", 0),
        **values,
    }


def begin(desk: Desk, operation: dict[str, Any]) -> Answer:
    """Book a payment as its token says.

    Raises ``Refused`` for a token or a method type that is not possible, ``ValueError`` for an invalid value, and
    ``KeyError`` for a missing one. Then nothing is booked.
    """
    name, code, operation = _effective(desk, operation)
    token = token_of(name)
    method_type = checked_method_type(token, operation.get("method_type"), operation["capture"])
    if operation.get("save_method"):
        saved.check_saving(method_type, operation)
    code = declined_at_once(token, operation) or code
    charge_id = new_charge_id()
    at_once = code or token.flow is Flow.AT_ONCE
    status = "declined" if code else "succeeded" if at_once else "requires_action"
    row = new_operation(desk, operation, charge_id=charge_id, kind="payment", status=status, code=code)
    captured = status == "succeeded" and operation["capture"] == "automatic"
    if not code:
        insert_charge(desk.connection, desk.bank, charge_id, operation, operation["amount_minor"] if captured else 0)
    insert_operation(desk.connection, row)
    known = name != operation["payment_method"] or name.startswith(PREFIX)
    if known or any(operation.get(each) is not None for each in FURTHER):
        insert_details(desk, charge_id, operation, method_type, name)
    if captured:
        move(desk.connection, row, desk.terms)
    if status == "succeeded" and operation.get("save_method"):
        saved.finish_saving(desk, payment_of(desk, charge_id))
    if at_once:
        events.record(desk, TYPES[status], "payment", row["operation_id"], row)
    else:
        (start_debit if token.flow is Flow.DEBIT else ask_payer)(desk, payment_of(desk, charge_id))
    booked = shown(desk, payment_of(desk, charge_id))
    if code:
        return 402, {"error": {"code": code, "message": "the issuer declined"}, "operation": booked}
    return 201, booked


def _effective(desk: Desk, operation: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
    """Return the token that decides a payment, the code by which a saved method declines it, and what is asked."""
    name = str(operation["payment_method"])
    if not name.startswith(saved.PREFIX):
        return name, None, operation
    method, code = saved.chargeable(desk, operation)
    spared = token_of(method["token"]).needs_payer and operation.get("payer") == "absent"
    of_method = {each: method[each] for each in ("customer", "method_type")}
    return SAVED_CHARGED if spared else method["token"], code, {**operation, **of_method}


def declined_at_once(token: Token, operation: dict[str, Any]) -> str | None:
    """Return the code with which a payment or set-up is declined before anybody is asked, or ``None``.

    Raises ``ValueError`` for an invalid ``payer`` or ``return_url``.
    """
    absent = _payer_is_absent(operation)
    if operation.get("decline_code") is not None:
        return str(operation["decline_code"])
    if token.needs_payer and absent:
        return "authentication_required"
    return token.code if token.flow is Flow.AT_ONCE else None


def _payer_is_absent(operation: dict[str, Any]) -> bool:
    payer, return_url = operation.get("payer") or "present", operation.get("return_url")
    if payer not in {"present", "absent"}:
        raise ValueError("payer is present or absent")
    if return_url is not None and urlsplit(return_url).scheme not in {"http", "https"}:
        raise ValueError("return_url is no http or https URL")
    return bool(payer == "absent")


def insert_details(desk: Desk, charge_id: str, operation: dict[str, Any], method_type: str, token: str) -> None:
    """Insert the details of a payment or set-up; ``token`` is what decides it."""
    given = [operation.get(name) for name in ("return_url", "customer", "description")]
    saves = bool(operation.get("save_method"))
    base_url = operation.get("base_url", "")  # only who books without HTTP has none
    desk.connection.execute(
        "INSERT INTO details VALUES (?,?,?,?,?,?,?,?,NULL,NULL,?,?)",
        (charge_id, token, method_type, operation["capture"], *given, base_url, desk.at_ms, saves),
    )


def answer(desk: Desk, page_id: str, given: str) -> dict[str, Any]:
    """Take the payer's answer on a page: the first one counts, and only while the payment waits for it.

    Return the payment with the ``payment_result`` of the page. Raises ``Refused`` for an unknown page, ``ValueError``
    for an answer that the page does not offer.
    """
    payment = payment_of_page(desk, page_id)
    token = token_of_payment(payment)
    if given not in ANSWERS[token.flow]:
        raise ValueError(f"the answer is one of {', '.join(ANSWERS[token.flow])}")
    waits = payment["status"] == "requires_action" and payment["page_id"] == page_id and payment["answer"] is None
    if waits and given != "leave":
        desk.connection.execute("UPDATE pages SET answer=? WHERE page_id=?", (given, page_id))
        if token.late:
            unschedule(desk, payment["charge_id"])
            schedule(desk, "apply_answer", payment["charge_id"], desk.at_ms + desk.settings.late_answer_ms)
        elif not token.confirmed:
            apply_answer(desk, payment["charge_id"])
    kept = desk.connection.execute("SELECT answer FROM pages WHERE page_id=?", (page_id,)).fetchone()["answer"]
    result = results.issue(desk.connection, payment["charge_id"], page_id, kept or "leave")
    return {**payment_of(desk, payment["charge_id"]), "payment_result": result}


def payment_of_page(desk: Desk, page_id: str) -> dict[str, Any]:
    """Return the payment that a page asks about. Raises ``Refused`` (404) if there is none."""
    page = desk.connection.execute(
        "SELECT charge_id FROM pages WHERE bank=? AND page_id=?", (desk.bank, page_id)
    ).fetchone()
    if page is None:
        raise Refused(404, "no_such_page", "no such page")
    return payment_of(desk, page["charge_id"])


def apply_answer(desk: Desk, charge_id: str, decline_code: str | None = None) -> None:
    """Let the answer on the payment's page take effect; an approval may be declined by the issuer all the same."""
    payment = payment_of(desk, charge_id)
    token = token_of_payment(payment)
    rounds = desk.connection.execute("SELECT COUNT(*) AS pages FROM pages WHERE charge_id=?", (charge_id,)).fetchone()
    if payment["answer"] == "decline":
        fail(desk, charge_id, "authentication_failed")
    elif decline_code or (token.code and rounds["pages"] >= token.rounds):
        fail(desk, charge_id, decline_code)
    elif rounds["pages"] < token.rounds:
        ask_payer(desk, payment)
    else:
        succeed(desk, charge_id)


def confirm(desk: Desk, charge_id: str, operation: dict[str, Any]) -> Answer:
    """Take the second step with the ``payment_result`` of the payer's return; a second time it changes nothing.

    Raises ``Refused`` for an unknown charge or a forged result, and ``KeyError`` without a result.
    """
    payment = payment_of(desk, charge_id)
    page_id, given = results.opened(desk.connection, charge_id, str(operation["payment_result"]))
    waits = payment["status"] == "requires_action" and token_of_payment(payment).confirmed
    if waits and payment["page_id"] == page_id and payment["answer"] == given:
        apply_answer(desk, charge_id, operation.get("decline_code"))
    return 200, shown(desk, payment_of(desk, charge_id))


def cancel(desk: Desk, charge_id: str, operation: dict[str, Any]) -> Answer:
    """Withdraw a payment that waits for its payer. Raises ``Refused`` (409) for one that does not.

    With the same reference it answers the same; of a canceled payment every further cancellation succeeds, too.
    """
    payment = payment_of(desk, charge_id)
    reference = operation.get("reference") or f"cancellation-{charge_id}"
    known = desk.connection.execute(
        "SELECT * FROM operations WHERE charge_id=? AND kind='cancellation' AND reference=? AND status='succeeded'",
        (charge_id, reference),
    ).fetchone()
    if known is not None:
        return 201, dict(known)
    code = operation.get("decline_code")
    if payment["status"] != "canceled":
        if not _can_be_withdrawn(payment):
            message = "the payment does not wait for its payer"
            raise Refused(409, "not_possible", message, **{f"{_OBJECTS[payment['kind']]}_status": payment["status"]})
        if not code:
            change(desk, payment, "canceled")
    again = {**payment, "reference": reference, "visible_after_ms": operation.get("visible_after_ms", 0)}
    status = "declined" if code else "succeeded"
    row = new_operation(desk, again, charge_id=charge_id, kind="cancellation", status=status, code=code)
    insert_operation(desk.connection, row)
    if code:
        return 402, {"error": {"code": code, "message": "the issuer declined"}, "operation": row}
    return 201, row


def _can_be_withdrawn(payment: dict[str, Any]) -> bool:
    """Return whether the payment waits, and no answer is on its way that lookups do not show yet."""
    token: Token = token_of_payment(payment)
    on_its_way = token.late and payment["answer"] is not None
    return payment["status"] == "requires_action" and not on_its_way
