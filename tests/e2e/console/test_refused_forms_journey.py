"""A form that is refused, and times in UTC, with the keyboard alone."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.console.person import NARROW
from tests.e2e.console.test_accessible import axe
from tests.e2e.console.world import Shop, cases, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person

MAX_TABS = 40


def test_a_refused_comment_comes_back_and_is_mended(
    visit: Callable[..., Person], console: Console, stack: Stack
) -> None:
    """What was typed is there again, the focus is on its field, and what is wrong stands beside it."""
    shop = Shop.opened(stack, "Refused Once")
    payment_id = shop.charged_twice(6_789)
    report(stack)
    break_id = shop.break_of(payment_id)
    person = visit(console.add(f"finn {uuid.uuid4().hex[:4]}", "operator"), width=NARROW)
    person.open(f"/breaks/{break_id}", {"merchant": shop.merchant_id})
    address = person.page.url
    comment = person.main().get_by_label("Comment", exact=True)
    comment.fill("the payer\u202e rang us <i>twice</i>")
    with person.expecting_refusals():
        comment.press("Tab")
        person.main().get_by_role("button", name="Comment").press("Enter")
        expect(person.main().get_by_role("alert")).to_contain_text("visible text")
        expect(comment).to_be_focused()
        expect(comment).to_have_value("the payer\u202e rang us <i>twice</i>")
        assert axe(person) == []
    assert person.page.url == address
    comment.fill("the payer rang us twice")
    person.main().get_by_role("button", name="Comment").press("Enter")
    expect(person.page.get_by_role("status").first).to_contain_text("The comment is added.")
    assert [one["text"] for one in cases(stack).comments(break_id)] == ["the payer rang us twice"]


def test_times_are_in_utc_for_who_has_no_pointer(visit: Callable[..., Person], keys: dict[str, str]) -> None:
    """The switch in the header is reached by the tab key, and the choice is kept."""
    person = visit(keys["viewer"], width=NARROW)
    person.open("/audit")
    expect(person.page.locator("#pages [aria-current]")).to_be_in_viewport()
    first = person.main().locator("time").first
    expect(first).not_to_contain_text("UTC")
    for _ in range(MAX_TABS):
        person.page.keyboard.press("Tab")
        if re.match("UTC", person.page.evaluate("document.activeElement.innerText") or ""):
            break
    person.page.keyboard.press("Enter")
    expect(first).to_contain_text("UTC")
    person.open("/")
    expect(person.main().locator("time").first).to_contain_text("UTC")
    person.page.get_by_role("link", name="Runs").click()
    expect(person.heading()).to_have_text("Runs")
    expect(person.page.locator("#pages [aria-current]")).to_be_in_viewport()
    assert person.page.evaluate("scrollY") == 0, "a page that follows begins at its top"
