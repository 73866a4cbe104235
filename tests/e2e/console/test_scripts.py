"""Scripts in every field that merchants, payers, gateways, banks and operators fill: they stay text on every page.

A page's policy may hide a hole, so that the pages are also read with the policy switched off, and each page's elements
are held to a list: what a payload makes of itself, an element or a handler, is found even if nothing ran.
"""

from __future__ import annotations

import os
import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.e2e.console.crawl import crawl
from tests.e2e.console.hostile import FILE_NAME, Hostile, all_texts, bank_file, gateway_file, plant
from tests.e2e.console.payloads import ATTRIBUTE, DRAWN, EVALUATED, TEXT, URLS, cut, own, public
from tests.e2e.console.test_cases_journey import accept, upload
from tests.e2e.console.world import Shop, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person

FULL = os.environ.get("PAYONCE_CONSOLE") == "full"
# CI plants one payload of each context and the public polyglots; all of ours are planted with PAYONCE_CONSOLE=full.
SLICE = [TEXT[1], TEXT[4], ATTRIBUTE[0], ATTRIBUTE[1], URLS[0], DRAWN[0], DRAWN[1], EVALUATED[0], EVALUATED[1]]
EVENTS = ["onclick", "onload", "onfocus", "onerror", "onmouseover", "onbegin", "ontoggle", "oninput", "onpointerover"]
# What a page of the console is made of. Anything else has come from a payload.
FOUND = """() => {
  const bad = [];
  const own = new Set([...document.scripts].filter(one => one.src.startsWith(location.origin)));
  for (const one of document.querySelectorAll('*')) {
    const name = one.localName;
    if (['iframe','frame','frameset','object','embed','applet','base','foreignobject','animate','set','template',
         'noembed','xmp','marquee','audio','video','math'].includes(name.toLowerCase())) bad.push(one.outerHTML);
    if (name === 'script' && !own.has(one)) bad.push(one.outerHTML);
    if (name === 'style' || name === 'img' && !one.src.startsWith(location.origin)) bad.push(one.outerHTML);
    if (name === 'meta' && one.httpEquiv) bad.push(one.outerHTML);
    for (const {name: key, value} of one.attributes) {
      if (/^on|^(data-)?hx-on|^style$|^srcdoc$/i.test(key)) bad.push(one.outerHTML);
      if (/^(href|src|action|formaction|xlink:href|(data-)?hx-(get|post|put|delete|patch))$/i.test(key)) {
        const there = new URL(value, location.href);
        if (there.origin !== location.origin && !/^https?:/.test(there.protocol)) bad.push(one.outerHTML);
        if (one.localName === 'form' && there.origin !== location.origin) bad.push(one.outerHTML);
      }
    }
  }
  return bad.map(one => one.slice(0, 200));
}"""
ALL_TEXT = "() => document.body.textContent + [...document.querySelectorAll('input')].map(one => one.value).join('\\n')"


@pytest.fixture(scope="module")
def hostile(stack: Stack) -> Hostile:
    """A shop full of scripts."""
    shop = Shop.opened(stack, "Script Shop")
    return plant(stack, shop, all_texts() if FULL else [*SLICE, *public()])


def check(person: Person, where: str) -> None:
    """Assert that nothing of a payload has become an element, a handler or an address, and that no script ran."""
    assert person.page.evaluate(FOUND) == [], where
    for name in EVENTS:
        assert person.page.locator(f"[{name}]").count() == 0, where
    assert person.violations() == [], where
    assert [one for one in person.problems if "Failed to load resource" not in one] == [], where


@pytest.mark.parametrize("bypass", [False, True], ids=["with the policy", "without the policy"])
def test_what_payments_carry_stays_text(
    visit: Callable[..., Person], keys: dict[str, str], hostile: Hostile, bypass: bool
) -> None:
    """The list, each payment, its key, its search; every text is shown as it was sent."""
    person = visit(keys["approver"], bypass_policy=bypass)
    query = {"merchant": hostile.shop.merchant_id}
    person.open("/payments", query)
    check(person, "the list of payments")
    shown = person.page.evaluate(ALL_TEXT)
    assert sum(cut(text, 100) in shown for text in hostile.payments) > len(hostile.payments) // 3
    for text, payment_id in list(hostile.payments.items())[: None if FULL else 12]:
        person.open(f"/payments/{payment_id}", query)
        check(person, f"the payment of {text!r}")
        if not text.startswith("declined "):
            shown = person.page.evaluate(ALL_TEXT)
            assert cut(text, 100) in shown, text
            assert cut(text, 200) in shown, text
        person.page.mouse.move(400, 300)
        person.page.keyboard.press("Tab")
    for text, key in list(hostile.keys.items())[:6]:
        person.open("/keys", {**query, "key": key})
        check(person, f"the key of {text!r}")
    person.open(f"/payments/{hostile.in_doubt}", query)
    check(person, "a payment in doubt")
    person.open(f"/payments/{hostile.disputed}", query)
    check(person, "a disputed payment")


def test_what_every_other_page_shows_stays_text(
    visit: Callable[..., Person], keys: dict[str, str], hostile: Hostile, console: Console
) -> None:
    """Keys, webhooks with their address and deliveries, balances, audit: whatever the pages link to."""
    found = crawl(console.raw(keys["approver"]), merchant_id=hostile.shop.merchant_id, each=3)
    person = visit(keys["approver"], bypass_policy=True)
    for address, answer in found.answers.items():
        if answer.status == 200 and "html" in answer.header("content-type"):
            with person.expecting_refusals():
                person.page.goto(address)
            check(person, address)
            for opener in person.page.locator("summary").all()[:5]:
                opener.click()
            check(person, address)


def test_what_a_bank_file_carries_stays_text(
    visit: Callable[..., Person], keys: dict[str, str], hostile: Hostile, stack: Stack, console: Console
) -> None:
    """Every column of text, and the file's name: where it is listed, in what is said of it, and in its breaks."""
    texts = [text for text in (all_texts() if FULL else [*SLICE, *public()]) if "\u2028" not in text]
    person = visit(keys["approver"], bypass_policy=True)
    with person.expecting_refusals():
        upload(person, FILE_NAME, gateway_file(texts))
        check(person, "the gateway's file")
        accepted = accept(person)
        upload(person, f"bank {FILE_NAME}", bank_file(texts))
        check(person, "the bank's file")
        upload(person, "=cmd|' /C calc'!A0.csv", b"kind,<script>alert()</script>\n=1+1,<svg onload=alert()>\n")
        check(person, "a file that is none")

    def breaks() -> list[str]:
        raw = console.raw(keys["approver"])
        found = re.findall(r"brk_[0-9A-Za-z]+", raw.get("/breaks", **{"class": "missing_in_ledger"}).text)
        return [*dict.fromkeys([*found, *re.findall(r"brk_[0-9A-Za-z]+", raw.get("/breaks").text)])]

    listed = wait_for(breaks, "the breaks of the hostile file") if accepted else []
    for path in ("/files", "/runs", "/breaks", *(f"/breaks/{one}" for one in listed[: None if FULL else 10])):
        person.open(path)
        check(person, path)


def test_what_colleagues_write_stays_text(
    visit: Callable[..., Person], keys: dict[str, str], console: Console, shop: Shop
) -> None:
    """Comments, reasons, names: an operator may be the attacker."""
    person = visit(keys["approver"])
    found = crawl(console.raw(keys["approver"]), merchant_id=shop.merchant_id, each=1)
    raw = console.raw(keys["approver"])
    for pattern, form in found.actions.items():
        if re.search("sign", pattern):
            continue
        texts = [name for name, kind in form.kinds.items() if kind in ("text", "textarea", "search")]
        if texts and not form.multipart:
            page = raw.ask("GET", form.page)
            del page
            raw.submit(form, **dict.fromkeys(texts, f'{uuid.uuid4().hex}"><img src=x onerror=alert()>'))
    for address, answer in crawl(raw, merchant_id=shop.merchant_id, each=1).answers.items():
        if answer.status == 200 and "html" in answer.header("content-type"):
            person.page.goto(address)
            check(person, address)


@pytest.mark.parametrize("text", [*TEXT[:2], *ATTRIBUTE[:2], EVALUATED[1], "\r\nSet-Cookie: planted=1", "%0d%0aX: y"])
def test_what_is_in_an_address_stays_text(
    visit: Callable[..., Person], keys: dict[str, str], console: Console, shop: Shop, text: str
) -> None:
    """Reflected: filters, ids, cursors, paths, the merchant, and where a sign-in leads."""
    person = visit(keys["approver"], bypass_policy=True)
    names = (
        "q",
        "search",
        "status",
        "reference",
        "cursor",
        "merchant",
        "class",
        "from",
        "until",
        "format",
        "next",
        "said",
    )
    with person.expecting_refusals():
        for path in ("/payments", "/breaks", "/keys", "/webhooks", "/audit", "/sign-in"):
            person.open(path, {"merchant": shop.merchant_id, **dict.fromkeys(names[:5], text)})
            check(person, path)
            for name in names:
                answer = console.raw(keys["viewer"]).get(path, **{name: text})
                assert "planted" not in answer.header("set-cookie")
                assert "x" not in answer.headers
                assert answer.status < 500, (path, name)
        for path in ("/payments/", "/keys/", "/webhooks/", "/breaks/", "/no-such-page/"):
            person.open(path + quote(text, safe=""), {"merchant": shop.merchant_id})
            check(person, path)


def test_an_address_of_a_webhook_is_no_script(
    visit: Callable[..., Person], keys: dict[str, str], hostile: Hostile
) -> None:
    """It is shown as text, or as a link that is http(s) and opens without a referrer."""
    person = visit(keys["viewer"])
    person.open("/webhooks", {"merchant": hostile.shop.merchant_id})
    links = person.page.evaluate("() => [...document.links].map(one => [one.protocol, one.origin, one.rel])")
    here = person.page.evaluate("location.origin")
    assert all(protocol in ("http:", "https:") for protocol, _, _ in links)
    assert all(origin == here or "noreferrer" in rel for _, origin, rel in links), links


def test_payloads_are_many_and_of_every_context() -> None:
    """Fails when a list is empty: nothing would be tried."""
    contexts: list[Any] = [TEXT, ATTRIBUTE, URLS, DRAWN, EVALUATED, public()]
    assert all(len(one) >= 4 for one in contexts)
    assert len({*own(), *public()}) >= 40
