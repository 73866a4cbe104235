"""``POST /payments/details``: the result of a redirect, or of a step of native 3D Secure 2."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from local.adyen.actions import native_answer
from local.adyen.authorisation import authorise, end, finished_answer
from local.adyen.vocabulary import (
    NOT_AUTHENTICATED,
    SHOPPER_CANCELLED,
    Decision,
    Refused,
    decision_of,
)

if TYPE_CHECKING:
    from local.adyen.books import Row
    from local.adyen.desk import Desk

APPROVED, REFUSED, CANCELLED = "approved", "refused", "cancelled"
ALREADY = (422, "704", "request already processed or in progress")
_INVALID = (422, "000", "The details are invalid")


def submit_details(desk: Desk, company: str, body: dict[str, Any]) -> Row:
    """Finish a payment with what its payer did. Raises ``Refused`` for details that are unknown or were submitted."""
    details = body.get("details")
    if not isinstance(details, dict):
        raise Refused(400, "702", "Required field 'details' is not provided.")
    if "redirectResult" in details:
        return _redirected(desk, company, str(details["redirectResult"]))
    if "threeDSResult" in details:
        return _native(desk, company, str(details["threeDSResult"]))
    raise Refused(*_INVALID)


def redirect_result(payment: Row) -> str:
    """Return what the payer brings back to the ``returnUrl`` as ``redirectResult``."""
    return f"X6XtfGC3!{payment['token']}"


def payer_answers(desk: Desk, token: str, said: str) -> Row | None:
    """Note what the payer did on the page, and return the payment; the first answer stays.

    A payment whose offer was closed or that is final is returned unchanged. Methods other than cards are decided here,
    whether their details are submitted or not.
    """
    payment = desk.ledger.one("payments", token=token)
    if payment is None or payment["state"] != "waiting":
        return payment
    payment |= {"payer_said": said, "state": "shown"}
    desk.ledger.update("payments", {"psp_reference": payment["psp_reference"]}, payer_said=said, state="shown")
    if payment["method"] != "scheme":
        _decide(desk, payment)
    return payment


def decided(payment: Row) -> Decision:
    """Return what came of a payment whose payer has answered."""
    if payment["payer_said"] == CANCELLED:
        return SHOPPER_CANCELLED
    if payment["payer_said"] == REFUSED:
        return NOT_AUTHENTICATED if payment["method"] == "scheme" else decision_of("DECLINED")
    return decision_of(payment["holder_name"])


def _decide(desk: Desk, payment: Row) -> Decision:
    decision = decided(payment)
    (authorise if decision.authorised else end)(desk, payment, decision)
    return decision


def _redirected(desk: Desk, company: str, result: str) -> Row:
    prefix = redirect_result({"token": ""})
    payment = desk.ledger.one("payments", company=company, token=result.removeprefix(prefix))
    if payment is None or not result.startswith(prefix) or payment["payer_said"] is None:
        raise Refused(*_INVALID)
    return _finish(desk, payment)


def _finish(desk: Desk, payment: Row) -> Row:
    """Give the final answer once; a second submission is refused, as the first answer is kept under its key alone."""
    if payment["details_done"]:
        raise Refused(*ALREADY)
    desk.ledger.update("payments", {"psp_reference": payment["psp_reference"]}, details_done=1)
    if payment["state"] == "closed":
        return finished_answer(desk, payment, SHOPPER_CANCELLED)
    decision = _decide(desk, payment) if payment["state"] == "shown" else decided(payment)
    return finished_answer(desk, payment, decision)


def _native(desk: Desk, company: str, encoded: str) -> Row:
    try:
        result = json.loads(base64.b64decode(encoded, validate=True))
        token, status = result["authorisationToken"], result.get("transStatus")
    except (binascii.Error, ValueError, TypeError, KeyError, AttributeError):
        raise Refused(*_INVALID) from None
    payment = desk.ledger.one("payments", company=company, token=token)
    if payment is None or payment["native_step"] is None:
        raise Refused(*_INVALID)
    key = {"psp_reference": payment["psp_reference"]}
    if payment["state"] == "waiting" and payment["native_step"] == "fingerprint":
        desk.ledger.update("payments", key, native_step="challenge")
        return native_answer({**payment, "native_step": "challenge"})
    if payment["state"] == "waiting":
        payment |= {"state": "shown", "payer_said": APPROVED if status == "Y" else REFUSED}
        desk.ledger.update("payments", key, state="shown", payer_said=payment["payer_said"])
    return _finish(desk, payment)
