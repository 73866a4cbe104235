"""How the fake Mollie's API shows payments and amounts."""

from __future__ import annotations

from typing import Any

from local.mollie.links import API, link

type Row = dict[str, Any]

CHECKOUT = "https://www.mollie.com/checkout/select-method/"
NO_CENTS = frozenset({"ISK", "JPY"})


def no_cents(currency: str) -> bool:
    """Return whether the currency has no decimal places at Mollie."""
    return currency in NO_CENTS


def as_amount(minor: int, currency: str) -> Row:
    """Return the amount object."""
    value = str(minor) if no_cents(currency) else f"{minor // 100}.{minor % 100:02}"
    return {"currency": currency, "value": value}


def payment_shown(row: Row, found: Row, taken: tuple[int, int], refunds: list[Row], embed: str) -> Row:
    """Return a payment as the API shows it.

    ``found`` is what is shown of its row as it is, ``taken`` what was captured and what of that is refunded, and
    ``refunds`` are its refunds as they are shown.
    """
    currency, (captured, refunded) = row["currency"], taken
    links: Row = {"self": link(f"{API}/payments/{row['id']}")}
    links["dashboard"] = link(f"https://my.mollie.com/dashboard/payments/{row['id']}", "text/html")
    if row["status"] == "open":
        links["checkout"] = link(CHECKOUT + row["id"], "text/html")
    if row.get("customerId"):
        links["customer"] = link(f"{API}/customers/{row['customerId']}")
    if row.get("mandateId"):
        links["mandate"] = link(f"{API}/customers/{row['customerId']}/mandates/{row['mandateId']}")
    if row.get("captureMode") == "manual":
        found["amountCaptured"] = as_amount(captured, currency)
    if captured:
        found["amountRefunded"] = as_amount(refunded, currency)
        found["amountRemaining"] = as_amount(captured - refunded, currency)
    if row["chargebacks"]:
        back = sum(_minor(one) for one in row["chargebacks"] if not one["reversedAt"])
        found["amountChargedBack"] = as_amount(back, currency)
    wanted = embed.split(",")
    embedded = {
        name: shown for name, shown in (("refunds", refunds), ("chargebacks", row["chargebacks"])) if name in wanted
    }
    if embedded:
        found["_embedded"] = embedded
    return found | {"_links": links}


def _minor(one: Row) -> int:
    return int(one["amount"]["value"].replace(".", ""))
