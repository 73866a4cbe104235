"""One journey with the keyboard alone, and what a screen reader needs for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.console.person import Person
    from tests.e2e.console.world import Shop

MAX_TABS = 80
FOCUSED = "() => { const one = document.activeElement; return [one.tagName, one.innerText || one.ariaLabel || ''] }"
# A ring or a change of border or background: https://www.w3.org/WAI/WCAG22/Understanding/focus-visible
# The button inside a date's field has the browser's own ring, which no script sees.
RING = """() => { const focused = document.activeElement, style = getComputedStyle(focused);
  return focused.type === 'datetime-local' && !focused.matches(':focus') || style.boxShadow !== 'none'
    || style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 }"""


def tab_to(person: Person, pattern: str) -> None:
    """Press the tab key until what has the focus says so; whatever had the focus was to be seen."""
    for _ in range(MAX_TABS):
        person.page.keyboard.press("Tab")
        tag, text = person.page.evaluate(FOCUSED)
        assert tag == "BODY" or person.page.evaluate(RING), f"no visible focus on {tag} {text!r}"
        if tag in {"A", "BUTTON"} and re.search(pattern, text, re.I):  # and not the region around a table
            return
    raise AssertionError(f"{pattern} is not reached by {MAX_TABS} tabs")


def test_a_payment_is_found_by_the_keyboard_alone(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop
) -> None:
    """Sign in, skip the navigation, search, open a payment, sign out: no mouse."""
    payment_id = shop.pay(830, reference="by keyboard")["id"]
    person = visit()
    person.open("/sign-in")
    for _ in range(MAX_TABS):
        if person.page.evaluate("document.activeElement.tagName") == "INPUT":
            break
        person.page.keyboard.press("Tab")
    person.page.keyboard.type(keys["viewer"])
    person.page.keyboard.press("Enter")
    expect(person.page.get_by_role("button", name=re.compile("sign out", re.I))).to_be_visible()
    person.open("/payments", {"merchant": shop.merchant_id})
    person.page.keyboard.press("Tab")
    _, text = person.page.evaluate(FOCUSED)
    assert re.search("skip|main", text, re.I), f"the first tab leads to {text!r}, not past the navigation"
    person.page.keyboard.press("Enter")
    inside = "() => document.querySelector('main').contains(document.activeElement) || location.hash !== ''"
    assert person.page.evaluate(inside)
    tab_to(person, re.escape(payment_id[:12]) + "|by keyboard")
    person.page.keyboard.press("Enter")
    expect(person.page).to_have_url(re.compile(payment_id))
    expect(person.heading()).to_be_visible()
    expect(person.main().get_by_text(payment_id).first).to_be_visible()
    tab_to(person, "sign out") if person.page.evaluate("document.body.contains(document.activeElement)") else None
    person.page.keyboard.press("Enter")
    expect(person.page).to_have_url(re.compile("sign-in"))


def test_a_wide_table_is_scrolled_by_the_keyboard(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop
) -> None:
    """What scrolls by itself at 360 px takes the focus and has a name (axe: scrollable-region-focusable)."""
    person = visit(keys["viewer"], width=360)
    for path in ("/payments", "/webhooks", "/balances", "/audit"):
        person.open(path, {"merchant": shop.merchant_id})
        regions = person.page.evaluate(
            """() => [...document.querySelectorAll('main *')]
              .filter(one => one.scrollWidth > one.clientWidth + 1)
              .filter(one => /auto|scroll/.test(getComputedStyle(one).overflowX))
              .map(one => [one.tabIndex, one.ariaLabel || one.getAttribute('aria-labelledby') || ''])"""
        )
        assert all(index >= 0 and name for index, name in regions), (path, regions)
