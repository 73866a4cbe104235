"""The books of the fake Mollie: payments, captures, releases, refunds and chargebacks, as its API shows them."""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local.mollie.customers import Customers
from local.mollie.mandates import Mandates
from local.mollie.settings import MollieSettings
from local.mollie.showing import as_amount, no_cents, payment_shown

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON_SECONDS = 5  # captures and releases
DEBIT_SECONDS = 2 * 86_400
REFUND_SECONDS = 86_400
EXPIRY_SECONDS = {"creditcard": 900}  # the "session timeout" of https://docs.mollie.com/docs/cards
OTHER_EXPIRY_SECONDS = 12 * 86_400
# fmt: off
METHODS = frozenset(
    {
        "alma", "applepay", "bacs", "bancomatpay", "bancontact", "banktransfer", "belfius", "billie", "billink",
        "bizum", "blik", "creditcard", "directdebit", "eps", "giftcard", "ideal", "in3", "kbc", "klarna", "mbway",
        "mobilepay", "multibanco", "mybank", "paybybank", "paypal", "paysafecard", "pointofsale", "przelewy24",
        "riverty", "satispay", "swish", "trustly", "twint", "vipps", "voucher",
    }
)
# fmt: on
HOLDS = frozenset({"creditcard", "klarna", "billie", "riverty", "vipps", "mobilepay"})

type Row = dict[str, Any]


class RefusedError(Exception):
    """The API answers an error. ``args``: the status, the detail, and the field or ``None``."""


def refuse(status: int, detail: str, field_name: str | None = None) -> RefusedError:
    """Return the error to raise."""
    return RefusedError(status, detail, field_name)


def cents(amount: Any, name: str = "amount") -> int:
    """Return the minor units of an amount object. Raises ``RefusedError``, 422."""
    value, currency = (amount.get("value"), amount.get("currency")) if isinstance(amount, dict) else (None, None)
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        raise refuse(422, "The amount contains an invalid currency", f"{name}.currency")
    form = r"\d+" if no_cents(currency) else r"\d+\.\d\d"
    if not isinstance(value, str) or not re.fullmatch(form, value):
        raise refuse(422, "The amount contains an invalid value", name)
    return int(value.replace(".", ""))


@dataclass
class MollieBooks:
    """All that the fake remembers. ``ahead_seconds`` moves its clock. Thread-safe by ``lock``."""

    payments: dict[str, Row] = field(default_factory=dict)
    ahead_seconds: float = 0
    can_cancel: bool = True
    settings: MollieSettings = field(default_factory=MollieSettings)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.mandates = Mandates(self.settings, self._id, self.moment, refuse)
        self.customers = Customers(self.settings, self._id, self.moment, refuse)

    def now(self) -> float:
        """Return the fake's time in epoch seconds."""
        return time.time() + self.ahead_seconds

    def moment(self, seconds: float | None = None) -> str:
        """Return a moment as Mollie writes it."""
        at = datetime.fromtimestamp(self.now() if seconds is None else seconds, UTC)
        return at.isoformat(timespec="seconds")

    def _id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):010}"

    # What the API is asked to do.

    def create_payment(self, asked: Row) -> Row:
        """POST /payments."""
        amount, method = cents(asked.get("amount")), asked.get("method")
        recurring, bound = asked.get("sequenceType") == "recurring", asked.get("sequenceType") in {"recurring", "first"}
        if not isinstance(asked.get("description"), str):
            raise refuse(422, "The 'description' field is missing", "description")
        if method is not None and method not in METHODS:
            raise refuse(422, "The payment method is invalid", "method")
        if not recurring and not asked.get("redirectUrl"):
            raise refuse(422, "The 'redirectUrl' field is missing", "redirectUrl")
        if (bound or asked.get("mandateId")) and not asked.get("customerId"):
            raise refuse(422, "The 'customerId' field is missing", "customerId")
        if method == "directdebit" and not recurring:
            raise refuse(422, "The payment method is not enabled for one-off payments", "method")
        if asked.get("captureMode") == "manual" and method not in HOLDS:
            raise refuse(422, "The payment method does not support manual captures", "captureMode")
        if asked.get("customerId"):
            self.customers.of_payment(str(asked["customerId"]))
        asked = self.mandates.named(asked, amount)
        currency = asked["amount"]["currency"]
        row: Row = {"resource": "payment", "id": self._id("tr"), "mode": "test", "createdAt": self.moment()}
        row |= {name: asked.get(name) for name in ("amount", "description", "metadata", "method", "redirectUrl")}
        row |= {"sequenceType": asked.get("sequenceType", "oneoff"), "profileId": "pfl_fake", "status": "open"}
        row |= {name: asked[name] for name in ("captureMode", "customerId", "mandateId", "webhookUrl") if name in asked}
        row |= {"captures": [], "refunds": [], "chargebacks": [], "releases": 0, "minor": amount, "currency": currency}
        self.payments[row["id"]] = row
        who = str(asked.get("cardToken") or asked.get("mandateId") or "")
        row["later"] = who.endswith("_later")
        row["fails"] = who.endswith(("_declined", "_debitfails")) or who in self.mandates.failing
        if method == "directdebit":
            row |= {"status": "pending", "due": self.now() + DEBIT_SECONDS, "details": {}}
        elif recurring or row["fails"]:
            self.executed(row, approve=not row["fails"], reason="insufficient_funds")
        else:
            row["due"] = self.now() + EXPIRY_SECONDS.get(str(method), OTHER_EXPIRY_SECONDS)
            row["expiresAt"] = self.moment(row["due"])
        return row

    def cancel(self, row: Row) -> Row:
        """DELETE /payments/{id}."""
        if row["status"] != "open" or not self.can_cancel:
            raise refuse(422, "The payment cannot be cancelled")
        row |= {"status": "canceled", "canceledAt": self.moment()}
        self.mandates.decide(row, self.now(), approved=False)
        return row

    def capture(self, row: Row, asked: Row) -> Row:
        """POST /payments/{id}/captures."""
        amount = cents(asked["amount"]) if asked.get("amount") else row["minor"] - self.captured(row)
        taken = sum(one["minor"] for one in row["captures"] if one["status"] != "failed")
        if row["status"] != "authorized" or row["releases"]:
            raise refuse(422, "The payment is not in the authorized state")
        if amount < 1 or amount > row["minor"] - taken:
            raise refuse(422, "The amount is higher than the authorized amount", "amount")
        return self._operation(row, "capture", "cpt", amount, asked, self.now() + SOON_SECONDS, "pending")

    def release(self, row: Row) -> None:
        """POST /payments/{id}/release-authorization."""
        if row["status"] != "authorized":
            raise refuse(422, "Authorization cannot be released because the payment is not in the authorized state.")
        row["releases"] += 1
        row["due"] = self.now() + SOON_SECONDS

    def refund(self, row: Row, asked: Row) -> Row:
        """POST /payments/{id}/refunds."""
        amount = cents(asked.get("amount"))
        if amount < 1 or amount > self.captured(row) - self.refunded(row):
            raise refuse(422, "The amount is higher than the maximum", "amount")
        return self._operation(row, "refund", "re", amount, asked, self.now() + REFUND_SECONDS, "pending")

    def give_back(self, identity: str) -> None:
        """Let a refund fail that was processed, as the payer's bank does. There is no request for it."""
        refunds = [one for row in self.payments.values() for one in row["refunds"] if one["id"] == identity]
        for one in refunds:
            one["status"] = "failed"

    def charge_back(self, identity: str, minor: int) -> Row:
        """Take back ``minor`` as the payer's bank does. There is no request for it."""
        row = self.payments[identity]
        one: Row = {"resource": "chargeback", "id": self._id("chb"), "amount": as_amount(minor, row["currency"])}
        one |= {"createdAt": self.moment(), "paymentId": identity, "reversedAt": None}
        if row["method"] == "directdebit":
            one["reason"] = {"code": "AC01", "description": "Account identifier incorrect"}
        row["chargebacks"].append(one)
        return one

    def _operation(self, row: Row, resource: str, prefix: str, amount: int, asked: Row, due: float, status: str) -> Row:
        one: Row = {"resource": resource, "id": self._id(prefix), "mode": "test", "status": status, "due": due}
        one |= {"amount": as_amount(amount, row["currency"]), "minor": amount, "paymentId": row["id"]}
        one |= {"metadata": asked.get("metadata"), "description": asked.get("description"), "createdAt": self.moment()}
        row[f"{resource}s"].insert(0, one)  # newest first
        return one

    # What happens without a request.

    def executed(self, row: Row, *, approve: bool, reason: str = "card_declined") -> None:
        """Pay, hold or fail the payment, as the payer or the payer's bank decides."""
        self.mandates.decide(row, self.now(), approved=approve)
        if not approve:
            row |= {"status": "failed", "failedAt": self.moment()}
            row["details"] = {"bankReasonCode": "AM04"} if row["method"] == "directdebit" else {"failureReason": reason}
        elif row.get("captureMode") == "manual":
            row |= {"status": "authorized", "authorizedAt": self.moment()}
        else:
            row |= {"status": "paid", "paidAt": self.moment()}

    def pay(self, identity: str, *, approve: bool) -> None:
        """Do what the payer does on Mollie's page. Raises ``RefusedError`` where the page is closed."""
        row = self.payments[identity]
        if row["status"] != "open":
            raise refuse(404, "The page is closed")
        self.executed(row, approve=approve)

    def settle(self) -> None:
        """Let all happen that is due."""
        now = self.now()
        self.mandates.settle(now)
        for row in self.payments.values():
            for one in (*row["captures"], *row["refunds"]):
                if one["status"] == "pending" and one["due"] <= now:
                    one["status"] = "succeeded" if one["resource"] == "capture" else "refunded"
            if row["status"] == "authorized" and self.captured(row) == row["minor"]:
                row |= {"status": "paid", "paidAt": self.moment()}
            elif row["status"] == "authorized" and row["releases"] and row["due"] <= now:
                row |= {"status": "paid" if self.captured(row) else "canceled", "canceledAt": self.moment()}
            elif row["status"] == "open" and row["due"] <= now:
                row |= {"status": "expired", "expiredAt": self.moment()}
                self.mandates.decide(row, self.now(), approved=False)
            elif row["status"] == "pending" and row["due"] <= now:
                self.executed(row, approve=not row["fails"])

    @staticmethod
    def captured(row: Row) -> int:
        """Return what was captured of a payment."""
        if row.get("captureMode") == "manual":
            return sum(one["minor"] for one in row["captures"] if one["status"] == "succeeded")
        return int(row["minor"]) if row["status"] == "paid" else 0

    @staticmethod
    def refunded(row: Row) -> int:
        """Return what was refunded of a payment, or is being refunded."""
        return sum(one["minor"] for one in row["refunds"] if one["status"] not in {"failed", "canceled"})

    # What the API shows.

    def shown(self, row: Row, embed: str = "") -> Row:
        """Return an object as the API shows it."""
        hidden = {"captures", "refunds", "chargebacks", "releases", "minor", "currency", "due", "fails", "later"}
        found = {name: value for name, value in row.items() if name not in hidden}
        if row["resource"] != "payment":
            return found
        found["isCancelable"] = row["status"] == "open" and self.can_cancel
        refunds = [self.shown(one) for one in row["refunds"] if one["status"] != "canceled"]
        return payment_shown(row, found, (self.captured(row), self.refunded(row)), refunds, embed)
