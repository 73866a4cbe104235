"""What a role may do, and which merchants an operator sees: raw HTTP, past every button that a page hides."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.e2e.console.crawl import LISTS, PAGES, Crawl, crawl, pattern_of
from tests.e2e.console.test_forgery import acted, token_of
from tests.e2e.console.world import BANK, Shop, report, wait_for

if TYPE_CHECKING:
    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.raw import Raw

REFUSED, HIDDEN = 403, 404
SESSION = re.compile("sign|theme|times")  # what everybody may do


@pytest.fixture(scope="module")
def theirs(stack: Stack) -> Shop:
    """Another merchant with one of everything."""
    shop = Shop.opened(stack, "Other Merchant")
    payment_id = shop.charged_twice(6_543)
    shop.endpoint(description="theirs alone")
    shop.doubtful(reference="theirs-alone")
    report(stack)
    break_id = shop.break_of(payment_id)
    wait_for(lambda: shop.correction(break_id).get("status") == "awaiting_approval", "a decision is awaited")
    return shop


@pytest.fixture(scope="module")
def everything(console: Console, keys: dict[str, str], theirs: Shop) -> Crawl:
    """All pages and acts that an approver of the whole platform finds about the other merchant."""
    found = crawl(console.raw(keys["approver"]), merchant_id=theirs.merchant_id, each=2)
    assert len([one for one in found.actions if not SESSION.search(one)]) >= 6, found.actions.keys()
    return found


def token(raw: Raw) -> tuple[str, str]:
    """Return name and value of the session's own token."""
    for form in crawl(raw, each=1, limit=3).forms.values():
        if form.method == "post":
            name = token_of(form)
            return name, form.fields[name]
    raise AssertionError("no form has a token")


def test_a_viewer_does_nothing(console: Console, keys: dict[str, str], everything: Crawl, stack: Stack) -> None:
    """Every act that an approver is offered, sent by a viewer with a true token: 403, and nothing is done."""
    viewer = console.raw(keys["viewer"])
    name, value = token(viewer)
    before = acted(stack)
    for pattern, form in everything.actions.items():
        if SESSION.search(pattern):
            continue
        answer = viewer.post(form.action, {**form.filled(), name: value})
        assert answer.status == REFUSED, (pattern, answer.status, answer.text[:300])
    assert acted(stack) == before


def test_a_viewer_is_offered_nothing(console: Console, keys: dict[str, str], theirs: Shop) -> None:
    """No button for what is refused: a page is honest about what its reader may do."""
    found = crawl(console.raw(keys["viewer"]), merchant_id=theirs.merchant_id, each=1)
    assert [pattern for pattern in found.actions if not SESSION.search(pattern)] == []


def test_an_operator_decides_nothing(console: Console, keys: dict[str, str], everything: Crawl) -> None:
    """What takes an approver is refused to an operator, and not offered."""
    operator = console.raw(keys["operator"])
    offered = crawl(operator, each=2).actions
    name, value = token(operator)
    decisions = {pattern: form for pattern, form in everything.actions.items() if re.search("approv|reject", pattern)}
    assert decisions
    for pattern, form in decisions.items():
        assert pattern not in offered
        assert operator.post(form.action, {**form.fields, name: value}).status == REFUSED, pattern


def test_what_is_the_whole_platforms_is_hidden_from_a_merchants_operator(
    console: Console, shop: Shop, everything: Crawl
) -> None:
    """Gateways are not one merchant's to drain."""
    bound = console.raw(console.add(f"bound {uuid.uuid4().hex[:4]}", "approver", merchant_id=shop.merchant_id))
    name, value = token(bound)
    routing = {pattern: form for pattern, form in everything.actions.items() if pattern.startswith("/gateways")}
    assert routing
    for pattern, form in routing.items():
        assert bound.post(form.action, {**form.filled(), name: value}).status in (REFUSED, HIDDEN), pattern


def test_another_merchants_pages_are_not_there(console: Console, shop: Shop, theirs: Shop, everything: Crawl) -> None:
    """Payments, keys, endpoints, deliveries, breaks, runs, files and exports: 404, and not a word of them."""
    bound = console.raw(console.add(f"bound {uuid.uuid4().hex[:4]}", "approver", merchant_id=shop.merchant_id))
    with_ids = [
        address
        for address in everything.answers
        if "{}" in pattern_of(bound, address) and "/gateways" not in address and "/assets" not in address
    ]
    about = [address for address in with_ids if _about(everything.answers[address].text, theirs)]
    assert len({pattern_of(bound, one) for one in about}) >= 4, about
    for address in about:
        for asked in (address, re.sub(r"merchant=[^&]*", f"merchant={shop.merchant_id}", address)):
            answer = bound.ask("GET", asked)
            assert answer.status == HIDDEN, (asked, answer.status)
            assert not _about(answer.text, theirs), asked
    for path in PAGES.values():
        answer = bound.get(path, merchant=theirs.merchant_id)
        assert answer.status == HIDDEN, (path, answer.status)
    for path in LISTS:
        for kind in ("csv", "xlsx"):
            answer = bound.get(path, merchant=theirs.merchant_id, format=kind)
            assert answer.status == HIDDEN, (path, kind)


def test_its_own_lists_have_nothing_of_others(console: Console, shop: Shop, theirs: Shop) -> None:
    """Every page and export of an operator of one merchant, searched for the other's name, ids and words."""
    bound = console.raw(console.add(f"bound {uuid.uuid4().hex[:4]}", "approver", merchant_id=shop.merchant_id))
    found = crawl(bound, *(f"{path}?format=csv" for path in LISTS))
    assert any(shop.merchant_id in answer.text or "order-paid" in answer.text for answer in found.answers.values())
    for address, answer in found.answers.items():
        assert not _about(answer.text, theirs), address
        assert answer.status < 500, address


def test_another_merchants_things_are_not_acted_on(
    console: Console, shop: Shop, theirs: Shop, everything: Crawl, stack: Stack
) -> None:
    """The acts on the other's payments, keys, endpoints and breaks, by an approver who is not theirs."""
    bound = console.raw(console.add(f"bound {uuid.uuid4().hex[:4]}", "approver", merchant_id=shop.merchant_id))
    name, value = token(bound)
    before = acted(stack)
    tried = 0
    for pattern, form in everything.actions.items():
        if SESSION.search(pattern) or "{}" not in pattern:
            continue
        for merchant in (theirs.merchant_id, shop.merchant_id):
            action = re.sub(r"merchant=[^&]*", f"merchant={merchant}", form.action)
            answer = bound.post(action, {**form.filled(), "merchant": merchant, name: value})
            assert answer.status in (REFUSED, HIDDEN), (pattern, merchant, answer.status)
            tried += 1
    assert tried >= 6
    assert acted(stack) == before
    assert not [row for row in stack.bank.books(kind="refund", bank=BANK) if row["amount_minor"] == 6_543]


def test_a_search_for_another_merchants_things_finds_nothing(console: Console, shop: Shop, theirs: Shop) -> None:
    bound = console.raw(console.add(f"bound {uuid.uuid4().hex[:4]}", "viewer", merchant_id=shop.merchant_id))
    (payment, *_) = theirs.ask("GET", "/payments?limit=1").json()["data"]
    for held in (payment["id"], f"{payment['id']}-1", payment["reference"] or "theirs-alone", "pm_sandbox_visa"):
        for name in ("q", "search", "reference", "id", "key"):
            answer = bound.get("/payments", **{name: held})
            body = answer.text.replace(held, "")
            assert not _about(body, theirs), (name, held)
            assert answer.status in (200, 302, 303, 400, 404)


def test_a_cursor_of_another_list_is_refused(console: Console, keys: dict[str, str], shop: Shop, theirs: Shop) -> None:
    """A cursor is bound to its list and merchant."""
    for number in range(55):
        theirs.pay(1_000 + number)
    raw = console.raw(keys["viewer"])
    page = raw.get("/payments", merchant=theirs.merchant_id).text
    (cursor, *_) = re.findall(r"cursor=([^&\"]+)", page)
    bound = console.raw(console.add(f"bound {uuid.uuid4().hex[:4]}", "viewer", merchant_id=shop.merchant_id))
    answer = bound.ask("GET", f"/payments?cursor={cursor}")
    assert answer.status in (400, 404)
    assert not _about(answer.text, theirs)
    for path in ("/breaks", "/audit"):
        assert raw.ask("GET", f"{path}?merchant={theirs.merchant_id}&cursor={cursor}").status in (400, 404), path


def _about(text: str, shop: Shop) -> bool:
    return any(one in text for one in (shop.merchant_id, shop.name, "theirs-alone", "theirs alone"))
