"""The payer's page as a browser and a screen reader find it."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.sandbox_bank.conftest import RETURN_URL

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till


class Page(HTMLParser):
    """The elements of a page, with their attributes and texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.setdefault(self._open, []).append(data.strip())

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element with this tag."""
        return [attributes for name, attributes in self.elements if name == tag]


def opened(till: Till, operation: dict[str, Any]) -> Page:
    status, html, headers = till.see(operation["next_action"]["url"])
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return Page(html)


def test_the_page_says_who_wants_how_much_and_offers_three_answers(till: Till) -> None:
    """Fails when the payer can't see what is approved, or an answer has no button that a keyboard reaches."""
    page = opened(till, till.pay("tok_3ds", description="Two chairs"))
    assert page.texts["dt"] == ["Merchant", "Amount", "For", "Reference"]
    assert page.texts["dd"] == ["payonce merchant", "10.00 EUR", "Two chairs", "pay_1"]
    assert page.texts["h1"] == ["Approve this payment?"]
    assert [button["value"] for button in page.of("button")] == ["approve", "decline", "leave"]
    assert page.texts["button"] == ["Approve", "Decline", "Leave"]
    assert page.of("form") == [{"method": "post"}]


def test_the_page_is_for_small_screens_and_for_screen_readers(till: Till) -> None:
    """Fails when the page has no language, title, landmark or heading, or is zoomed out on a telephone."""
    page = opened(till, till.pay("tok_3ds"))
    assert page.of("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.of("meta")
    assert page.texts["title"] == ["Approve this payment? – Sandbox bank"]
    assert len(page.of("main")) == len(page.of("h1")) == 1
    assert page.of("script") == page.of("img") == page.of("link") == []


@pytest.mark.parametrize(("token", "title"), [("tok_voucher", "voucher"), ("tok_transfer", "transfer")])
def test_what_is_shown_can_be_paid_or_left(till: Till, token: str, title: str) -> None:
    """Fails when a voucher asks for an approval."""
    page = opened(till, till.pay(token))
    assert title in page.texts["h1"][0]
    assert [button["value"] for button in page.of("button")] == ["pay", "leave"]


def test_what_a_merchant_writes_is_text(till: Till) -> None:
    """Fails when a description becomes part of the page, or the page could run scripts."""
    waiting = till.pay("tok_3ds", "<i>pay</i>", description="<script>alert(1)</script>")
    page = opened(till, waiting)
    assert page.of("script") == page.of("i") == []
    assert page.texts["dd"][2:] == ["<script>alert(1)</script>", "<i>pay</i>"]
    headers = till.see(waiting["next_action"]["url"])[2]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("answer", "text"), [("approve", "The payment is approved."), ("decline", "The payment was declined.")]
)
def test_without_a_return_url_the_page_shows_the_result(till: Till, answer: str, text: str) -> None:
    """Fails when the payer's browser is sent nowhere, or is asked again after the answer."""
    waiting = till.pay("tok_3ds")
    html = till.see(till.press(waiting["next_action"]["url"], answer))[1]
    page = Page(html)
    assert page.of("form") == []
    assert page.texts["p"][-1].startswith(text)
    assert {"role": "status"} in page.of("p")


def test_without_a_return_url_the_second_question_follows_the_first(till: Till) -> None:
    """Fails when a payer who is asked twice has no way to the second page."""
    waiting = till.pay("tok_3ds_twice")
    location = till.press(waiting["next_action"]["url"], "approve")
    assert till.operation()["next_action"]["url"].endswith(location)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("confirm", "Your answer is with the bank."),
        ("cancel", "The merchant has cancelled"),
        ("expire", "The time for this payment is over."),
    ],
)
def test_a_page_whose_time_is_over_asks_nothing(till: Till, end: str, text: str) -> None:
    """Fails when a page offers buttons that do nothing."""
    waiting = till.pay("tok_3ds_confirm", return_url=RETURN_URL)
    if end == "confirm":
        till.press(waiting["next_action"]["url"], "approve")
    elif end == "cancel":
        till.ask("POST", f"/charges/{waiting['charge_id']}/cancellations", {})
    else:
        till.handle.advance(till.bank, days=1)
    page = opened(till, waiting)
    assert page.of("form") == []
    assert page.texts["p"][-1].startswith(text)


def test_an_unknown_page_is_a_page_too(till: Till) -> None:
    """Fails when a payer with an old link sees JSON."""
    status, html, headers = till.see(f"/banks/{till.bank}/authentication/auth_00")
    assert (status, headers["Content-Type"]) == (404, "text/html; charset=utf-8")
    assert Page(html).texts["h1"] == ["Unknown payment"]


def test_an_answer_that_the_page_does_not_offer_is_refused(till: Till) -> None:
    """Fails when a mistake is an answer."""
    waiting = till.pay("tok_voucher")
    for answer in ("decline", ""):
        with pytest.raises(AssertionError, match="the answer is one of"):
            till.press(waiting["next_action"]["url"], answer)
    assert till.status() == ("requires_action", None)
