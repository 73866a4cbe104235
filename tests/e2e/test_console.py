"""The deployed console in Chromium: signing in, sessions, themes, and what the browser enforces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.chromium import HEIGHT, THEMES, WIDTHS, launched, opened, picture, sign_in, too_wide, violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from local.stack import Stack


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for this module: while it runs, no other event loop can run in this thread."""
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def keys(stack: Stack) -> dict[str, str]:
    """The key of an operator of each role."""
    return {role: stack.add_operator(f"{role} of all", role) for role in ("viewer", "operator", "approver")}


def test_one_signs_in_looks_and_signs_out(browser: Browser, stack: Stack, keys: dict[str, str]) -> None:
    """Fails when the session's cookie does not come back, or outlives signing out."""
    with opened(browser, zone="Asia/Tokyo") as page:
        page.goto(f"{stack.console_url}/audit")
        page.get_by_label("Key").fill("poc_" + "A" * 43)
        page.get_by_role("button", name="Sign in").click()
        assert "This is no key of an operator" in page.get_by_role("alert").inner_text()
        sign_in(page, stack.console_url, keys["viewer"])
        (session,) = [each for each in page.context.cookies() if each["name"] == "__Host-payonce-session"]
        assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Strict")
        shown = page.locator("time").first
        assert shown.get_attribute("title", timeout=0).endswith("UTC")  # type: ignore[union-attr]
        assert shown.inner_text() not in str(shown.get_attribute("title"))
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/sign-in")
        assert page.get_by_role("status").first.inner_text() == "You are signed out."
        page.context.add_cookies([session])  # type: ignore[list-item]
        page.goto(f"{stack.console_url}/audit")
        assert "/sign-in" in page.url


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_and_nothing_is_too_wide(
    theme: str, width: int, browser: Browser, stack: Stack, keys: dict[str, str]
) -> None:
    with opened(browser, theme=theme, width=width) as page:
        page.goto(f"{stack.console_url}/sign-in")
        assert (violations(page), too_wide(page)) == ([], 0)
        picture(page, f"sign-in-{theme}-{width}")
        sign_in(page, stack.console_url, keys["viewer"])
        assert (violations(page), too_wide(page)) == ([], 0)
        picture(page, f"audit-{theme}-{width}")
        page.goto(f"{stack.console_url}/nothing")
        assert (violations(page), too_wide(page)) == ([], 0)


def test_without_script_the_console_works_too(browser: Browser, stack: Stack, keys: dict[str, str]) -> None:
    """Fails when a form or a link needs htmx."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": WIDTHS[1], "height": HEIGHT})
    page = context.new_page()
    sign_in(page, stack.console_url, keys["viewer"])
    page.get_by_role("link", name="Audit").click()
    page.get_by_role("button", name="Dark theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    context.close()


def test_a_followed_link_swaps_the_page_and_moves_the_focus(
    browser: Browser, stack: Stack, keys: dict[str, str]
) -> None:
    with opened(browser) as page:
        sign_in(page, stack.console_url, keys["viewer"])
        page.evaluate("window.stays = true")
        with page.expect_response(lambda answer: "hx-boosted" in answer.request.headers):
            page.get_by_role("link", name="Audit").click()
        # The page's policy forbids the browser to evaluate a text, as a wait within the page would have it do.
        expect(page.locator("#main")).to_be_focused()
        assert page.evaluate("window.stays")
        assert page.get_by_role("link", name="Audit").get_attribute("aria-current") == "page"


def test_the_policy_stops_what_a_page_never_wrote(browser: Browser, stack: Stack, keys: dict[str, str]) -> None:
    """Fails when markup that got in could run a script, load from elsewhere, or be framed."""
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, stack.console_url, keys["viewer"])
    stopped = page.evaluate(
        """() => new Promise((told) => {
            document.addEventListener("securitypolicyviolation", (event) => told(event.effectiveDirective));
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            document.body.append(script);
            setTimeout(() => told("nothing stopped it"), 2000);
        })"""
    )
    assert stopped.startswith("script-src")
    assert page.evaluate("window.ran") is None
    context.close()
