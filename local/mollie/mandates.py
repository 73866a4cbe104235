"""Customers' mandates of the fake Mollie: made by a first payment or asked for, used by recurring ones, revoked.

https://docs.mollie.com/docs/recurring-payments and https://docs.mollie.com/reference/mandates-api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.mollie.links import API, link
from local.mollie.settings import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.mollie.settings import MollieSettings

type Row = dict[str, Any]

# What a first payment's method becomes: the account behind the others is debited directly.
OF_METHOD = {"creditcard": "creditcard", "applepay": "creditcard", "paypal": "paypal"}
DEBITED = frozenset({"bancontact", "belfius", "eps", "ideal", "kbc", "mybank", "paybybank", "trustly"})
# "With credit card and Paypal you can even use a payment of € 0,-":
# https://help.mollie.com/hc/en-us/articles/214072489-How-do-I-use-Mollie-Recurring
FREE = frozenset({"creditcard", "paypal"})
CREATED = {"directdebit": "consumerAccount", "paypal": "consumerEmail"}  # and the field that each needs
AGREEMENTS = ("paypalBillingAgreementId", "payPalVaultId")  # of which a PayPal mandate needs one
UNSUITABLE = "No suitable mandates found for customer."
_CARD = {"cardHolder": "T. TEST", "cardNumber": "6787", "cardExpiryDate": "2030-03-31", "cardLabel": "Mastercard"}
_DETAILS: dict[str, Row] = {
    "creditcard": {**_CARD, "cardFingerprint": "fHB3CCKx9REkz8fPplT8N4nq"},
    "directdebit": {"consumerName": "T. TEST", "consumerAccount": "NL55INGB0000000000", "consumerBic": "INGBNL2A"},
    "paypal": {"consumerName": "T. TEST", "consumerAccount": "test@example.org"},
}


class Mandates:
    """The mandates of all customers, oldest first. ``refuse`` makes the error to raise.

    ``failing`` has the ids of those that stay valid and charge nothing: the account is empty, the card refused.
    """

    def __init__(
        self,
        settings: MollieSettings,
        new_id: Callable[[str], str],
        moment: Callable[[], str],
        refuse: Callable[..., Exception],
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.failing: set[str] = set()
        self._due: dict[str, float] = {}
        self._revoked: set[str] = set()
        self._settings = settings
        self._new_id = new_id
        self._moment = moment
        self._refuse = refuse

    def named(self, asked: Row, amount_minor: int) -> Row:
        """Return what is asked of a payment with its mandate, if it has one by now. Raises an error of 422."""
        match asked.get("sequenceType"):
            case "first":
                self._check_first(asked, amount_minor)
                if self._settings.mandate_named == AT_ONCE:
                    return {**asked, "mandateId": self._of_first(asked, "pending")["id"]}
            case "recurring":
                return {**asked, "mandateId": self.of_recurring(asked)}
        return asked

    def _check_first(self, asked: Row, amount_minor: int) -> None:
        method = str(asked.get("method") or "creditcard")
        if method not in OF_METHOD and method not in DEBITED:
            raise self._refuse(422, "The payment method does not support first payments", "method")
        if not amount_minor and method not in FREE:
            raise self._refuse(422, "The amount is lower than the minimum", "amount")

    def _of_first(self, payment: Row, status: str) -> Row:
        method = OF_METHOD.get(str(payment.get("method") or "creditcard"), "directdebit")
        return self._add(str(payment["customerId"]), method, status, {"signatureDate": self._moment()[:10]})

    def create(self, customer: str, asked: Row) -> Row:
        """POST /customers/{customerId}/mandates: of an account or of PayPal, never of a card."""
        method = str(asked.get("method"))
        if method not in CREATED:
            raise self._refuse(422, "The payment method is invalid", "method")
        for name in ("consumerName", CREATED[method]):
            if not isinstance(asked.get(name), str):
                raise self._refuse(422, f"The '{name}' field is missing", name)
        if method == "paypal" and sum(name in asked for name in AGREEMENTS) != 1:
            raise self._refuse(422, f"Either '{AGREEMENTS[0]}' or '{AGREEMENTS[1]}' is needed", AGREEMENTS[0])
        details = {"consumerName": asked["consumerName"], "consumerAccount": asked[CREATED[method]]}
        return self._add(customer, method, "valid", {**asked, "details": details})

    def _add(self, customer: str, method: str, status: str, asked: Row) -> Row:
        row: Row = {"resource": "mandate", "id": self._new_id("mdt"), "mode": "test", "status": status}
        row |= {"method": method, "customerId": customer, "createdAt": self._moment()}
        row |= {name: asked.get(name) for name in ("mandateReference", "signatureDate")}
        row["details"] = asked.get("details") or dict(_DETAILS[method])
        self.rows[row["id"]] = row
        return row

    def decide(self, payment: Row, now: float, *, approved: bool) -> None:
        """Let a first payment that has ended make or decide its mandate."""
        if payment["sequenceType"] != "first":
            return
        row = self.rows.get(str(payment.get("mandateId")))
        if not approved:
            if row is not None and row["status"] == "pending":
                row["status"] = self._settings.unpaid_mandate
            return
        if row is None and payment.get("mandateId") is None:
            row = self._of_first(payment, "pending")
        if row is None or row["status"] != "pending":
            return  # it was revoked before its payment was paid
        payment["mandateId"] = row["id"]
        if payment["later"]:
            self.failing.add(row["id"])
        self._due[row["id"]] = now + self._settings.iban_seconds.get(str(payment.get("method")), 0)
        self.settle(now)

    def settle(self, now: float) -> None:
        """Let those be valid of which all has arrived."""
        for identity in [one for one, due in self._due.items() if due <= now]:
            del self._due[identity]
            if identity in self.rows:
                self.rows[identity]["status"] = "valid"

    def invalidate(self, identity: str) -> None:
        """Let a mandate become invalid by itself, as that of an expired card does. There is no request for it."""
        self.rows[identity]["status"] = "invalid"

    def of_recurring(self, asked: Row) -> str:
        """Return the mandate that a recurring payment uses: the one that it names, or the customer's newest.

        A mandate that was not made here is taken as it is. Raises an error of 422 if none is valid.
        """
        named = asked.get("mandateId")
        if named is not None and named not in self.rows and named not in self._revoked:
            return str(named)
        method = asked.get("method")
        suitable = [
            row["id"]
            for row in self.of_customer(str(asked["customerId"]))
            if row["status"] == "valid" and named in {None, row["id"]} and method in {None, row["method"]}
        ]
        if not suitable:
            raise self._refuse(422, UNSUITABLE, "mandateId" if named else "customerId")
        return str(suitable[0])

    def of_customer(self, customer: str) -> list[Row]:
        """Return a customer's mandates, newest first."""
        return [row for row in reversed(self.rows.values()) if row["customerId"] == customer]

    def get(self, customer: str, identity: str) -> Row:
        """Return a mandate. Raises an error of 404 (410 if it was revoked) for one that this customer has not."""
        row = self.rows.get(identity)
        if row is None or row["customerId"] != customer:
            status = self._settings.gone_status if identity in self._revoked else 404
            raise self._refuse(status, f"No entity exists with token '{identity}'")
        return row

    def revoke(self, customer: str, identity: str) -> None:
        """DELETE /customers/{customerId}/mandates/{mandateId}: it charges nothing more, and is no longer there."""
        del self.rows[self.get(customer, identity)["id"]]
        self._revoked.add(identity)

    def revoke_all(self, customer: str) -> None:
        """Revoke what a deleted customer has."""
        for row in self.of_customer(customer):
            self.revoke(customer, row["id"])


def shown(row: Row) -> Row:
    """Return a mandate as the API shows it."""
    of_customer = f"{API}/customers/{row['customerId']}"
    links = {"self": link(f"{of_customer}/mandates/{row['id']}"), "customer": link(of_customer)}
    page = link("https://docs.mollie.com/reference/get-mandate", "text/html")
    return {**row, "scopes": ["customer-present", "customer-not-present"], "_links": {**links, "documentation": page}}
