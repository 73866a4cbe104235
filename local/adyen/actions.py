"""What the payer has to do: the ``action`` of an answer.

https://docs.adyen.com/online-payments/build-your-integration/payment-result-codes
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from local.adyen.clock import HOUR_MS, iso8601

if TYPE_CHECKING:
    from local.adyen.books import Row
    from local.adyen.desk import Desk


def native_answer(payment: Row) -> Row:
    """Return the answer that asks for the next step of native 3D Secure 2; it has no PSP reference yet."""
    step = payment["native_step"]
    token = {"threeDSMessageVersion": "2.2.0", "threeDSServerTransID": payment["token"]}
    action = {
        "type": "threeDS2",
        "subtype": step,
        "paymentMethodType": "scheme",
        "authorisationToken": payment["token"],
        "paymentData": payment["token"],
        "token": base64.b64encode(json.dumps(token).encode()).decode(),
    }
    return {"resultCode": "ChallengeShopper" if step == "challenge" else "IdentifyShopper", "action": action}


def redirect(base_url: str, payment: Row) -> Row:
    """Return the action that sends the payer to the bank's page."""
    page = "threeDS/redirect" if payment["method"] == "scheme" else "redirect"
    return {
        "type": "redirect",
        "method": "GET",
        "paymentMethodType": payment["method"],
        "url": f"{base_url}/checkoutshopper/{page}?MD={payment['token']}",
    }


def action_of(desk: Desk, payment: Row, kind: str) -> Row:
    """Return what the payer of a method other than a card is shown."""
    expires = iso8601(desk.now_ms + desk.settings.voucher_hours * HOUR_MS)
    amount = {"value": payment["amount_minor"], "currency": payment["currency"]}
    action: Row = {"type": kind, "paymentMethodType": payment["method"]}
    if kind == "voucher":
        number = int.from_bytes(payment["token"].encode()) % 10**9
        voucher = {"reference": f"{number:09d}", "entity": "12101", "expiresAt": expires}
        return {**action, **voucher, "initialAmount": amount, "totalAmount": amount}
    if kind == "bankTransfer":
        return {**action, "reference": payment["psp_reference"], "totalAmount": amount}
    return {**action, "paymentData": payment["token"]}
