"""The routes of the payer's browser: the page, and the answer that leads back to the merchant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from local.sandbox_bank import payments
from local.sandbox_bank.movements import Refused
from local.sandbox_bank.payer_page import payer_page
from local.sandbox_bank.present import page_url
from local.sandbox_bank.services import Asked, Reply, Services, route

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
}
PAY = "pay"  # what approving is called where the payer is shown what to pay


def _page(services: Services, asked: Asked) -> Reply:
    try:
        with services.books.desk(asked.bank) as desk:
            payment = payments.payment_of_page(desk, asked.parts[1])
    except Refused as refused:
        return Reply(refused.status, payer_page(None, asked.parts[1]), HEADERS)
    return Reply(200, payer_page(payment, asked.parts[1]), HEADERS)


def _answer(services: Services, asked: Asked) -> Reply:
    given = asked.form().get("answer", "")
    with services.books.desk(asked.bank) as desk:
        payment = payments.answer(desk, asked.parts[1], "approve" if given == PAY else given)
    return Reply(303, b"", {"Location": _destination(payment, asked.parts[1]), "Content-Type": "text/plain"})


def _destination(payment: Mapping[str, Any], page_id: str) -> str:
    """Return where the payer's browser goes: back to the merchant, else to the page that asks next, or this one."""
    if payment["return_url"] is None:
        asked_again = payment["status"] == "requires_action" and payment["page_id"] != page_id
        return urlsplit(page_url(payment)).path if asked_again else f"/banks/{payment['bank']}/authentication/{page_id}"
    url = urlsplit(str(payment["return_url"]))
    query = [*parse_qsl(url.query, keep_blank_values=True), ("payment_result", payment["payment_result"])]
    return url._replace(query=urlencode(query)).geturl()


ROUTES = (
    route("GET", "{bank}/authentication/(auth_[0-9a-f]+)", _page),
    route("POST", "{bank}/authentication/(auth_[0-9a-f]+)", _answer),
)
