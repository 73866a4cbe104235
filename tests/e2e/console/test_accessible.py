"""axe on every page, in both themes, wide and narrow; nothing overflows at 360 px."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from local.stack import REPOSITORY
from tests.e2e.console.crawl import crawl
from tests.e2e.console.person import NARROW, WIDE
from tests.support.chromium import violations

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person
    from tests.e2e.console.world import Shop

PICTURES = REPOSITORY / ".local" / "console"
OVERFLOW = """() => { const wide = document.documentElement; if (wide.scrollWidth <= wide.clientWidth) return [];
  return [...document.querySelectorAll('body *')]
  .filter(one => one.getBoundingClientRect().right > wide.clientWidth + 1)
  .slice(0, 5).map(one => one.outerHTML.slice(0, 120)) }"""
STRUCTURE = """() => ({
  title: document.title, lang: document.documentElement.lang,
  headings: [...document.querySelectorAll('h1')].length,
  mains: [...document.querySelectorAll('main')].length,
  navs: [...document.querySelectorAll('nav')].length,
  uncaptioned: [...document.querySelectorAll('table')]
    .filter(one => !one.caption && !one.getAttribute('aria-label')).length,
  unscoped: [...document.querySelectorAll('thead th')].filter(one => !one.scope).length,
  unnamed: [...document.querySelectorAll('svg')].filter(one => one.getAttribute('aria-hidden') !== 'true'
    && !one.querySelector('title') && !one.getAttribute('aria-label')).length,
})"""


def axe(person: Person) -> list[str]:
    """Return the violations that axe finds on the page."""
    return violations(person.page)


@pytest.fixture(scope="module")
def addresses(console: Console, keys: dict[str, str], shop: Shop) -> list[str]:
    """One address of each page that there is, without downloads: found by the links of an approver's pages."""
    shop.endpoint(description="looked at")
    shop.doubtful(reference="looked at")
    found = crawl(console.raw(keys["approver"]), merchant_id=shop.merchant_id, each=1)
    shown = [
        address
        for address, answer in found.answers.items()
        if answer.status == 200 and "html" in answer.header("content-type")
    ]
    assert len(shown) >= 10, shown
    return shown


@pytest.mark.timeout(900)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_every_page_is_accessible(
    visit: Callable[..., Person], keys: dict[str, str], addresses: list[str], dark: bool, width: int
) -> None:
    person = visit(keys["approver"], width=width, dark=dark)
    found: dict[str, Any] = {}
    for address in addresses:
        person.page.goto(address)
        wrong = [*axe(person), *(f"too wide: {one}" for one in person.page.evaluate(OVERFLOW))]
        shape = person.page.evaluate(STRUCTURE)
        if not (shape["title"] and shape["lang"] and shape["headings"] == shape["mains"] == 1 and shape["navs"]):
            wrong.append(f"its structure: {shape}")
        if shape["uncaptioned"] or shape["unscoped"] or shape["unnamed"]:
            wrong.append(f"tables and plots: {shape}")
        if wrong:
            found[address] = wrong
        if not dark:
            person.picture(PICTURES / f"{width}" / f"{picture_name(address, person.base)}.png")
    assert found == {}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_way_in_is_accessible(visit: Callable[..., Person], dark: bool) -> None:
    """The sign-in, what it says about a wrong key, and a page that does not exist."""
    person = visit(width=NARROW, dark=dark)
    person.open("/sign-in")
    assert axe(person) == []
    with person.expecting_refusals():
        person.page.get_by_role("textbox").or_(person.page.locator("input[type=password]")).first.fill("wrong")
        person.page.get_by_role("button").first.click()
        person.page.wait_for_load_state("load")
        assert axe(person) == []


@pytest.mark.parametrize("chosen", ["dark", "light"])
def test_the_chosen_theme_is_kept_whatever_the_machine_prefers(
    visit: Callable[..., Person], keys: dict[str, str], chosen: str
) -> None:
    """The switch wins over ``prefers-color-scheme``, on every page, and axe agrees with the other colours, too."""
    person = visit(keys["viewer"], dark=chosen == "light")
    background = "() => getComputedStyle(document.body).backgroundColor"
    before = person.page.evaluate(background)
    person.page.get_by_role("button", name=re.compile(f"{chosen} theme", re.I)).click()
    expect(person.page.get_by_role("button", name=re.compile(f"{chosen} theme", re.I))).to_have_attribute(
        "aria-pressed", "true"
    )
    person.open("/audit")
    assert person.page.evaluate(background) != before
    assert axe(person) == []


def picture_name(address: str, base: str) -> str:
    """Return a file's name for the address."""
    path = address.removeprefix(base).partition("?")[0]
    return (
        re.sub(r"[^a-z]+", "_", re.sub(r"[a-z]+_[0-9A-Za-z]{8,}|[0-9a-f]{16,}", "one", path)).strip("_") or "overview"
    )
