"""Somebody at a browser of their own. Whatever a page does that no page may do is kept in ``problems``."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, Response, Route

PATIENCE_MS = 30_000  # a cold start, on a machine that does other things too
# The local cloud runs a few environments at once; what it throttles is asked again.
THROTTLED = {429, 502, 503, 504}
TRIES = 20
NARROW, WIDE = 360, 1440
SIGN_IN = "/sign-in"
# Runs before every page's own scripts, by the browser's protocol, so that no policy of the page forbids it.
LISTENER = """
window.__reports = [];
document.addEventListener('securitypolicyviolation', e =>
  window.__reports.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
"""


@dataclass
class Person:
    """A browser context: cookies, a window so wide, a theme, a time zone. ``base`` is the console's own address."""

    browser: Browser
    base: str
    width: int = WIDE
    dark: bool = False
    time_zone: str = "America/New_York"
    scripts: bool = True
    bypass_policy: bool = False
    problems: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context: BrowserContext = self.browser.new_context(
            viewport={"width": self.width, "height": 900},
            color_scheme="dark" if self.dark else "light",
            timezone_id=self.time_zone,
            locale="en-GB",
            java_script_enabled=self.scripts,
            bypass_csp=self.bypass_policy,
            accept_downloads=True,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.grant_permissions(["clipboard-read", "clipboard-write"])
        self.context.add_init_script(LISTENER)
        self.context.route("**/*", self._guard)
        self.page = self.tab()

    def tab(self) -> Page:
        """Open a further tab that is watched, too."""
        page = self.context.new_page()
        page.on("dialog", self._dialogue)
        page.on("pageerror", lambda error: self.problems.append(f"an error in a script: {error}"))
        page.on("console", self._console)
        page.on("response", lambda answer: self.answers.append(answer))
        page.on("popup", lambda popup: self.problems.append(f"a window of its own: {popup.url}"))
        return page

    def close(self) -> None:
        """End the browser context."""
        self.context.close()

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- going somewhere

    def url(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return the address of a page of the console."""
        return f"{self.base}{path}{'?' + urlencode(query) if query else ''}"

    def open(self, path: str, query: Mapping[str, str] | None = None) -> Response:
        """Open a page by its address; what the cloud throttles is opened again."""
        for _ in range(TRIES):
            answer = self.page.goto(self.url(path, query), wait_until="load")
            assert answer is not None
            if answer.status not in THROTTLED or "content-security-policy" in answer.headers:
                return answer
            self.problems[:] = [one for one in self.problems if not _throttled(one)]
            time.sleep(0.5)
        return answer

    def sign_in(self, key: str) -> Person:
        """Sign in by the form, as a person does."""
        self.open(SIGN_IN)
        self.page.get_by_label(re.compile("key", re.I)).first.fill(key)
        self.page.get_by_role("button", name=re.compile("sign in", re.I)).click()
        expect(self.page.get_by_role("button", name=re.compile("sign out", re.I))).to_be_visible()
        return self

    def sign_out(self) -> None:
        """Sign out by the button."""
        self.page.get_by_role("button", name=re.compile("sign out", re.I)).click()
        self.page.wait_for_url(re.compile("sign-in"))

    def go(self, name: str) -> None:
        """Go to a page by the navigation."""
        self.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).first.click()
        expect(self.heading()).to_be_visible()

    def reload_until(self, look: Locator, *, seconds: float = 180) -> None:
        """Reload the page until something is visible, as somebody who waits does."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            if look.first.is_visible():
                return
            self.page.wait_for_timeout(1_000)
            self.page.reload()
        expect(look.first).to_be_visible()

    # -- what is seen

    def heading(self) -> Locator:
        """Return the one heading of the page."""
        return self.page.get_by_role("heading", level=1)

    def main(self) -> Locator:
        """Return what the page is about, without the navigation."""
        return self.page.get_by_role("main")

    def text(self) -> str:
        """Return all that is to be read of the page."""
        return self.main().inner_text()

    def picture(self, file: Path) -> None:
        """Keep what the window shows."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=file, full_page=True, animations="disabled")

    def cookies(self) -> dict[str, Any]:
        """Return the cookies of this browser by name."""
        return {str(one["name"]): one for one in self.context.cookies()}

    @contextmanager
    def expecting_refusals(self) -> Iterator[None]:
        """Allow the browser's and htmx's own words about 4xx in the console within the context."""
        before = len(self.problems)
        yield
        own = ("Failed to load resource", "Response Status Error Code 4")
        kept = [one for one in self.problems[before:] if not any(words in one for words in own)]
        self.problems[before:] = kept

    def violations(self) -> list[str]:
        """Return what the page's policy has blocked: each is a hole, though nothing came through it."""
        if not self.scripts:
            return []
        found: list[str] = self.page.evaluate("window.__reports || []")
        return found

    def _guard(self, route: Route, request: Request) -> None:
        here, there = urlsplit(self.base), urlsplit(request.url)
        if (there.scheme, there.netloc) == (here.scheme, here.netloc) or there.scheme in ("data", "blob", "about"):
            route.continue_()
            return
        self.problems.append(f"asked another host: {request.url}")
        route.abort()

    def _dialogue(self, dialogue: Any) -> None:
        self.problems.append(f"a script opened a dialogue: {dialogue.message}")
        dialogue.dismiss()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"the browser's console: {message.text}")


def _throttled(problem: str) -> bool:
    return "Failed to load resource" in problem and any(str(status) in problem for status in THROTTLED)
