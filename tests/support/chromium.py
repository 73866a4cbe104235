"""Chromium for tests of the console: launched, looked at by axe, and photographed."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

from local import node
from local.chromium import ARGUMENTS, chromium
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

PICTURES = REPOSITORY / ".local" / "console"
THEMES = ("light", "dark")
WIDTHS = (360, 1440)
HEIGHT = 900
PATIENCE_MS = 60_000  # a function's first request on a busy machine


@contextmanager
def launched() -> Iterator[Browser]:
    """Give a browser. Within it no event loop of the test's own can run, since Playwright has one in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, *, theme: str = "light", width: int = WIDTHS[1], zone: str = "UTC") -> Iterator[Page]:
    """Give a page of an unused browser. Fails at its end when a script failed or the policy stopped something."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if theme == "dark" else "light",
        timezone_id=zone,
        locale="en-GB",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None
    )
    try:
        yield page
    finally:
        context.close()
    assert wrong == []


@cache
def _axe() -> str:
    return (node.install(node.PACKAGES[1]).parent / "axe-core" / "axe.min.js").read_text()


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page: each rule with the elements that break it.

    Axe is run by the debugger, which no policy of the page's stops (https://github.com/dequelabs/axe-core).
    """
    page.evaluate(f"{_axe()}; 0")
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [f"{each['id']}: {[one['html'] for one in each['nodes']]}" for each in found["violations"]]


def too_wide(page: Page) -> int:
    """Return by how many pixels the page is wider than its window, 0 when nothing has to be scrolled sideways."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page in .local/console."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def sign_in(page: Page, console_url: str, key: str, path: str = "/audit") -> None:
    """Sign in and be at ``path``."""
    page.goto(console_url + path)
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/console{path}*")
