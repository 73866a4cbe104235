"""Customers' mandates of the fake Mollie: made by a first payment or asked for, used by recurring ones, revoked.

https://docs.mollie.com/docs/recurring-payments and https://docs.mollie.com/reference/mandates-api
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

type Row = dict[str, Any]

API = "https://api.mollie.com/v2"
# What a first payment's method becomes: the account behind the others is debited directly.
OF_METHOD = {"creditcard": "creditcard", "applepay": "creditcard", "paypal": "paypal"}
DEBITED = frozenset({"bancontact", "belfius", "eps", "ideal", "kbc", "mybank", "paybybank", "trustly"})
FREE = frozenset({"creditcard", "paypal"})  # a first payment of these may be one of nothing
CREATED = {"directdebit": "consumerAccount", "paypal": "consumerEmail"}  # and the field that each needs
UNSUITABLE = "No suitable mandates found for customer."


class Mandates:
    """The mandates of all customers, oldest first. ``refuse`` makes the error to raise."""

    def __init__(
        self, new_id: Callable[[str], str], moment: Callable[[], str], refuse: Callable[..., Exception]
    ) -> None:
        self.rows: dict[str, Row] = {}
        self._revoked: set[str] = set()
        self._new_id = new_id
        self._moment = moment
        self._refuse = refuse

    def named(self, asked: Row, amount_minor: int) -> Row:
        """Return what is asked of a payment with its mandate, if its sequence has one. Raises an error of 422."""
        match asked.get("sequenceType"):
            case "first":
                return {**asked, "mandateId": self.of_first_payment(asked, amount_minor)["id"]}
            case "recurring":
                return {**asked, "mandateId": self.of_recurring(asked)}
        return asked

    def of_first_payment(self, asked: Row, amount_minor: int) -> Row:
        """Return the pending mandate of a first payment. Raises an error of 422 for a method that makes none."""
        method = str(asked.get("method") or "creditcard")
        if method not in OF_METHOD and method not in DEBITED:
            raise self._refuse(422, "The payment method does not support first payments", "method")
        if not amount_minor and method not in FREE:
            raise self._refuse(422, "The amount is lower than the minimum", "amount")
        return self._add(str(asked["customerId"]), OF_METHOD.get(method, "directdebit"), "pending", {})

    def create(self, customer: str, asked: Row) -> Row:
        """POST /customers/{customerId}/mandates: of an account or of PayPal, never of a card."""
        method = str(asked.get("method"))
        if method not in CREATED:
            raise self._refuse(422, "The payment method is invalid", "method")
        for name in ("consumerName", CREATED[method]):
            if not isinstance(asked.get(name), str):
                raise self._refuse(422, f"The '{name}' field is missing", name)
        details = {"consumerName": asked["consumerName"], "consumerAccount": asked[CREATED[method]]}
        return self._add(customer, method, "valid", {**asked, "details": details})

    def _add(self, customer: str, method: str, status: str, asked: Row) -> Row:
        row: Row = {"resource": "mandate", "id": self._new_id("mdt"), "mode": "test", "status": status}
        row |= {"method": method, "customerId": customer, "createdAt": self._moment()}
        row |= {name: asked.get(name) for name in ("mandateReference", "signatureDate")}
        row["details"] = asked.get("details") or {}
        self.rows[row["id"]] = row
        return row

    def decide(self, payment: Row, *, approved: bool) -> None:
        """Let a first payment that has ended decide its mandate."""
        row = self.rows.get(str(payment.get("mandateId")))
        if row is not None and payment["sequenceType"] == "first" and row["status"] == "pending":
            row["status"] = "valid" if approved else "invalid"

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
        """Return a mandate. Raises an error of 404 for one that is unknown, revoked or another customer's."""
        row = self.rows.get(identity)
        if row is None or row["customerId"] != customer:
            raise self._refuse(404, f"No entity exists with token '{identity}'")
        return row

    def revoke(self, customer: str, identity: str) -> None:
        """DELETE /customers/{customerId}/mandates/{mandateId}: it charges nothing more, and is no longer there."""
        del self.rows[self.get(customer, identity)["id"]]
        self._revoked.add(identity)


def shown(row: Row) -> Row:
    """Return a mandate as the API shows it."""
    of_customer = f"{API}/customers/{row['customerId']}"
    links = {"self": f"{of_customer}/mandates/{row['id']}", "customer": of_customer}
    found = {name: {"href": address, "type": "application/hal+json"} for name, address in links.items()}
    page = {"href": "https://docs.mollie.com/reference/get-mandate", "type": "text/html"}
    return {**row, "scopes": ["customer-present", "customer-not-present"], "_links": {**found, "documentation": page}}
