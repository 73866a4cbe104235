"""Who has signed out, or never signed in, sees nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.console.crawl import PAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person
    from tests.e2e.console.world import Shop


def test_signing_out_leaves_nothing_behind(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop, console: Console
) -> None:
    """Neither the page, nor the back button, nor a second tab, nor the cookie that somebody has kept."""
    person = visit(keys["viewer"])
    person.open("/payments", {"merchant": shop.merchant_id})
    expect(person.main().get_by_text("order-paid").first).to_be_visible()
    stolen = {name: str(one["value"]) for name, one in person.cookies().items()}
    kept = console.raw()
    assert kept.ask("GET", "/payments", cookies=stolen).status == 200
    other = person.tab()
    other.goto(person.url("/payments", {"merchant": shop.merchant_id}))
    person.sign_out()
    with person.expecting_refusals():
        person.page.go_back()
        person.page.wait_for_load_state("load")
        expect(person.page.get_by_text("order-paid")).to_have_count(0)
        other.reload()
        expect(other.get_by_text("order-paid")).to_have_count(0)
        for path in PAGES.values():
            person.open(path, {"merchant": shop.merchant_id})
            expect(person.page).to_have_url(re.compile("/sign-in"))
    after = kept.ask("GET", "/payments", cookies=stolen)
    assert after.status in (302, 303, 401)
    assert "order-paid" not in after.text


def test_without_a_session_every_page_asks_to_sign_in(console: Console, shop: Shop) -> None:
    raw = console.raw()
    for path in (*PAGES.values(), f"/payments/{shop.pay(950)['id']}", "/payments?format=csv", "/breaks?format=xlsx"):
        answer = raw.ask("GET", path)
        assert answer.status in (302, 303, 401), path
        assert shop.merchant_id not in answer.text
        assert "mer_" not in answer.text


def test_a_wrong_key_says_what_to_do_and_nothing_else(visit: Callable[..., Person]) -> None:
    person = visit()
    person.open("/sign-in")
    person.page.get_by_label(re.compile("key", re.I)).first.fill("not-a-key")
    with person.expecting_refusals():
        person.page.get_by_role("button", name=re.compile("sign in", re.I)).click()
        expect(person.page.get_by_role("alert")).to_be_visible()
    expect(person.page.get_by_role("alert")).to_contain_text(re.compile("key", re.I))
    assert "not-a-key" not in person.page.content()
