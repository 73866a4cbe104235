"""Customers of the fake Mollie: https://docs.mollie.com/reference/customers-api."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.mollie.links import API, link

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.mollie.settings import MollieSettings

type Row = dict[str, Any]

CHANGEABLE = ("name", "email", "locale", "metadata")


class Customers:
    """All customers, oldest first. ``refuse`` makes the error to raise."""

    def __init__(
        self,
        settings: MollieSettings,
        new_id: Callable[[str], str],
        moment: Callable[[], str],
        refuse: Callable[..., Exception],
    ) -> None:
        self.rows: dict[str, Row] = {}
        self._deleted: set[str] = set()
        self._settings = settings
        self._new_id = new_id
        self._moment = moment
        self._refuse = refuse

    def create(self, asked: Row) -> Row:
        """POST /customers: every member may be missing."""
        row: Row = {"resource": "customer", "id": self._new_id("cst"), "mode": "test"}
        row |= {name: asked.get(name) for name in CHANGEABLE} | {"createdAt": self._moment()}
        self.rows[row["id"]] = row
        return row

    def get(self, identity: str) -> Row:
        """Return a customer that was made here. Raises an error of 404, or 410 for one that was deleted."""
        row = self.rows.get(identity)
        if row is None:
            status = self._settings.gone_status if identity in self._deleted else 404
            raise self._refuse(status, f"No entity exists with token '{identity}'")
        return row

    def update(self, identity: str, asked: Row) -> Row:
        """PATCH /customers/{id}."""
        row = self.get(identity)
        row |= {name: asked[name] for name in CHANGEABLE if name in asked}
        return row

    def delete(self, identity: str) -> None:
        """DELETE /customers/{id}."""
        del self.rows[self.get(identity)["id"]]
        self._deleted.add(identity)

    def need(self, identity: str) -> None:
        """Raise the error of ``get`` unless this is a customer, or may be one that was not made here."""
        if identity in self._deleted or not (self._settings.any_customer and identity.startswith("cst_")):
            self.get(identity)

    def of_payment(self, identity: str) -> None:
        """Raise an error of 422 unless a payment can be this customer's."""
        known = identity in self.rows or (self._settings.any_customer and identity not in self._deleted)
        if not known or not identity.startswith("cst_"):
            raise self._refuse(422, "The customer id is invalid", "customerId")


def shown(row: Row) -> Row:
    """Return a customer as the API shows it."""
    links = {
        "self": link(f"{API}/customers/{row['id']}"),
        "dashboard": link(f"https://my.mollie.com/{row['id']}", "text/html"),
    }
    page = link("https://docs.mollie.com/reference/get-customer", "text/html")
    return {**row, "_links": {**links, "documentation": page}}
