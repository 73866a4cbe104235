"""Forms of other sites, of other sessions, and of nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.console import cookies, csrf
from payonce.console.operators import Role
from payonce.ports import Table
from tests.support.console import ORIGIN, Browser, operator_key
from tests.support.webhook_api import items_of

if TYPE_CHECKING:
    from tests.unit.console.conftest import Stage

RELEASE = "/keys/k1/release"


def test_a_form_of_our_own_page_acts_once_for_each_sending(stage: Stage) -> None:
    browser = stage.browser(Role.OPERATOR)
    page = browser.get("/audit")
    answer = browser.post(RELEASE, {"csrf": page.hidden("csrf"), "key": page.hidden("key"), "reason": "why"})
    assert (answer.status, answer.location) == (303, "/audit")
    (asked,) = stage.done
    assert (asked.path_parameters, asked.fields["reason"], asked.key) == ({"thing": "k1"}, "why", page.hidden("key"))


@pytest.mark.parametrize("sent", ["", "x", "é", csrf.token_of("another session"), csrf.token_of("")])
def test_without_the_sessions_token_nothing_is_done(sent: str, stage: Stage) -> None:
    """Fails when the token is not checked, or any token of ours will do."""
    browser = stage.browser()
    answer = browser.post(RELEASE, {"csrf": sent})
    assert answer.status == 403
    assert "Open the page again" in answer.text
    assert stage.done == []


def test_a_token_of_one_session_is_none_of_another(stage: Stage) -> None:
    mine, theirs = stage.browser(Role.OPERATOR), stage.browser(Role.APPROVER)
    assert theirs.post(RELEASE, {"csrf": mine.csrf()}).status == 403
    assert stage.done == []


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "https://console.example.evil.example"},
        {"origin": "https://evil.example", "sec-fetch-site": ""},
        {"origin": "", "sec-fetch-site": ""},
        {"origin": "http://console.example:8080"},
    ],
    ids=str,
)
def test_a_request_from_elsewhere_does_nothing_even_with_the_token(headers: dict[str, str], stage: Stage) -> None:
    """Fails when a token that leaked is enough."""
    browser = stage.browser()
    answer = browser.post(RELEASE, {"csrf": browser.csrf()}, headers)
    assert answer.status == 403
    assert stage.done == []


@pytest.mark.parametrize("headers", [{"origin": ""}, {"sec-fetch-site": ""}, {"origin": ORIGIN.upper()}], ids=str)
def test_a_browser_that_sends_one_of_the_two_headers_is_served(headers: dict[str, str], stage: Stage) -> None:
    browser = stage.browser()
    assert browser.post(RELEASE, {"csrf": browser.csrf()}, headers).status == 303


@pytest.mark.parametrize("form_cookie", ["", "0" * 64])
def test_nobody_is_signed_in_by_a_form_of_another_site(form_cookie: str, stage: Stage) -> None:
    """Fails when a page of another site can sign a person in as somebody else (login CSRF)."""
    key = operator_key(stage.application, "mallory", Role.APPROVER)
    browser = Browser(stage.application, cookies={cookies.FORM: form_cookie} if form_cookie else {})
    answer = browser.post("/sign-in", {"csrf": csrf.token_of(""), "operator_key": key})
    assert answer.status == 403
    assert cookies.SESSION not in browser.cookies
    page = browser.get("/sign-in")
    other_site = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    answer = browser.post("/sign-in", {"csrf": page.hidden("csrf"), "operator_key": key}, other_site)
    assert (answer.status, cookies.SESSION in browser.cookies) == (403, False)


def test_an_ended_session_does_nothing_and_says_so(stage: Stage) -> None:
    browser = stage.browser()
    token = browser.csrf()
    del browser.cookies[cookies.SESSION]
    answer = browser.post(RELEASE, {"csrf": token})
    assert (answer.status, answer.location, stage.done) == (303, "/sign-in", [])
    assert "nothing was done" in browser.get("/sign-in").text


def test_a_refused_form_is_in_the_trail(stage: Stage) -> None:
    browser = stage.browser(Role.VIEWER)
    browser.post(RELEASE, {"csrf": "x"})
    entries = items_of(stage.application.database, Table.AUDIT)  # type: ignore[arg-type]
    assert [entry["status"] for entry in entries if entry.get("resource") == RELEASE] == ["refused"]
