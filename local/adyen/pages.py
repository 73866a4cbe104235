"""The page of the payer's bank that a redirect leads to. It needs no script: a person or a test follows its links."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from local.adyen.details import APPROVED, CANCELLED, REFUSED, redirect_result
from local.adyen.vocabulary import major_units

if TYPE_CHECKING:
    from local.adyen.books import Row

ANSWERS = {APPROVED: "Approve", REFUSED: "Refuse", CANCELLED: "Cancel"}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your bank</title></head>
<body><h1>Your bank</h1>
<p>{merchant} asks {wish} for order {reference}.</p>
{choice}
</body></html>
"""
_OVER = "<p>This payment is over. You can close this page.</p>"


def bank_page(payment: Row, path: str) -> bytes:
    """Return the page that asks the payer; a payment that does not wait any longer says so."""
    links = [
        f'<p><a id="{said}" href="{escape(path)}/{said}?{urlencode({"MD": payment["token"]})}">{label}</a></p>'
        for said, label in ANSWERS.items()
    ]
    page = _PAGE.format(
        merchant=escape(payment["merchant_account"]),
        wish=_wish(payment),
        reference=escape(payment["reference"]),
        choice="\n".join(links) if payment["state"] == "waiting" else _OVER,
    )
    return page.encode()


def _wish(payment: Row) -> str:
    if not payment["amount_minor"]:
        return "to keep your card, without a payment,"
    amount = major_units(payment["amount_minor"], payment["currency"])
    return f"you to pay <strong>{amount} {escape(payment['currency'])}</strong>"


def way_back(payment: Row) -> str:
    """Return the merchant's ``returnUrl`` with the ``redirectResult`` that the merchant has to submit."""
    url = urlsplit(payment["return_url"])
    query = "&".join(part for part in (url.query, urlencode({"redirectResult": redirect_result(payment)})) if part)
    return urlunsplit(url._replace(query=query))
