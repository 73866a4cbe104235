"""Signing in: keys, guesses, fixation, and where one goes on."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from payonce.console import cookies
from payonce.console.guesses import GUESSES_IN_WINDOW, WINDOW_SECONDS
from payonce.console.operators import Role
from payonce.console.parts import Parts
from payonce.domain.errors import BodyMalformed, NotFound, Unauthenticated
from payonce.ports import Table
from tests.support.console import Browser, operator_key
from tests.support.webhook_api import items_of

if TYPE_CHECKING:
    from payonce.wiring.application import Application

WRONG = "poc_" + "A" * 43


def test_a_key_opens_a_session_that_scripts_and_other_sites_can_not_use(application: Application) -> None:
    """Fails when the cookie could be read by a script, sent in the clear, or sent with another site's request."""
    browser = Browser(application)
    answer = browser.sign_in(operator_key(application, "Ann", Role.VIEWER))
    assert (answer.status, answer.location) == (303, "/")
    (cookie,) = [each for each in answer.headers["set-cookie"] if each.startswith(cookies.SESSION)]
    assert cookies.SESSION.startswith("__Host-")
    assert set(cookie.split("; ")[1:]) == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
    assert len(cookie.partition("=")[2].partition(";")[0].partition(".")[2]) == 43  # 256 bits


def test_a_session_that_the_browser_brought_is_not_the_one_it_gets(application: Application) -> None:
    """Fails when a token that somebody else put into the browser becomes a session (session fixation)."""
    key = operator_key(application, "ann", Role.VIEWER)
    planted = "YW5u." + "A" * 43
    browser = Browser(application, cookies={cookies.SESSION: planted})
    browser.sign_in(key)
    first = browser.cookies[cookies.SESSION]
    assert first != planted
    assert Browser(application, cookies={cookies.SESSION: planted}).get("/audit").status == 303
    browser.post("/sign-in", {"csrf": _form_token(browser), "operator_key": key})
    assert browser.cookies[cookies.SESSION] != first
    assert Browser(application, cookies={cookies.SESSION: first}).get("/audit").status == 303


def _form_token(browser: Browser) -> str:
    """Return the token of a sign-in form that was opened before the browser had its session."""
    fresh = Browser(browser.application)
    token = fresh.get("/sign-in").hidden("csrf")
    browser.cookies[cookies.FORM] = fresh.cookies[cookies.FORM]
    return token


@pytest.mark.parametrize("key", ["", "x", WRONG, "po_" + "A" * 43, WRONG + "\n", "é" * 47])
def test_a_key_that_nobody_has_opens_nothing_and_is_not_echoed(key: str, application: Application) -> None:
    browser = Browser(application)
    answer = browser.sign_in(key)
    assert (answer.status, cookies.SESSION in browser.cookies) == (401, False)
    assert "This is no key of an operator" in answer.text
    assert len(key) < 4 or key.strip() not in answer.text


def test_a_disabled_operators_key_opens_nothing_and_a_new_one_replaces_it(application: Application) -> None:
    operators = Parts(application).operators
    old = operators.add("Ann", Role.VIEWER)
    with pytest.raises(BodyMalformed):
        operators.add("ann", Role.APPROVER)
    operators.disable("ANN")
    with pytest.raises(Unauthenticated):
        operators.authenticate(old)
    new = operators.add("Ann", Role.APPROVER)
    assert operators.authenticate(new).role is Role.APPROVER
    with pytest.raises(Unauthenticated):
        operators.authenticate(old)


def test_what_is_no_operator_can_not_be_added_or_disabled(application: Application) -> None:
    operators = Parts(application).operators
    with pytest.raises(BodyMalformed):
        operators.add("--", Role.VIEWER)
    with pytest.raises(BodyMalformed):
        operators.add("ann", Role.VIEWER, "somebody")
    with pytest.raises(NotFound):
        operators.add("ann", Role.VIEWER, "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA")
    with pytest.raises(NotFound):
        operators.disable("ann")
    assert operators.list() == []


def test_keys_are_compared_in_constant_time(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the stored hash is not compared by ``hmac.compare_digest``, or is not compared at all."""
    key = operator_key(application, "ann", Role.VIEWER)
    monkeypatch.setattr("payonce.console.operators.hmac.compare_digest", lambda _one, _other: False)
    with pytest.raises(Unauthenticated):
        Parts(application).operators.authenticate(key)


def test_a_key_that_nobody_has_costs_what_a_known_one_costs(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the time of an answer tells whether a key was once given out."""
    operators = Parts(application).operators
    keys = [operators.add("ann", Role.VIEWER), operators.add("ben", Role.VIEWER), WRONG]
    operators.disable("ben")
    get, reads = application.database.get, []
    monkeypatch.setattr(application.database, "get", lambda *given: (reads.append(given), get(*given))[1])
    costs = []
    for key in keys:
        reads.clear()
        with suppress(Unauthenticated):
            operators.authenticate(key)
        costs.append(len(reads))
    assert costs == [2, 2, 2]


def test_after_ten_wrong_keys_an_address_waits_even_with_the_right_one(application: Application) -> None:
    """Fails when keys can be guessed without end."""
    key = operator_key(application, "ann", Role.VIEWER)
    browser = Browser(application)
    answers = [browser.sign_in(WRONG).status for _ in range(GUESSES_IN_WINDOW)]
    assert answers == [401] * GUESSES_IN_WINDOW
    answer = browser.sign_in(key)
    assert answer.status == 429
    assert "Too many keys" in answer.text
    assert 0 < int(answer.headers["retry-after"][0]) <= WINDOW_SECONDS
    assert Browser(application, address="192.0.2.8").sign_in(key).status == 303
    application.clock.ms += WINDOW_SECONDS * 1000  # type: ignore[attr-defined]
    assert browser.sign_in(key).status == 303


def test_right_keys_are_no_guesses(application: Application) -> None:
    """Fails when an office behind one address is locked out by its own people."""
    key = operator_key(application, "ann", Role.VIEWER)
    assert [Browser(application).sign_in(key).status for _ in range(3 * GUESSES_IN_WINDOW)] == [303] * 30


def test_guesses_beyond_the_ten_do_not_fill_the_trail(application: Application) -> None:
    """Fails when who guesses keys can push what people did off the trail's first page."""
    browser = Browser(application)
    for _ in range(4 * GUESSES_IN_WINDOW):
        browser.sign_in(WRONG)
    entries = items_of(application.database, Table.AUDIT)  # type: ignore[arg-type]
    assert len([each for each in entries if "principal" in each]) == GUESSES_IN_WINDOW


def test_each_try_is_in_the_trail(application: Application) -> None:
    browser = Browser(application)
    browser.sign_in(WRONG)
    browser.sign_in(operator_key(application, "Ann", Role.OPERATOR))
    entries = items_of(application.database, Table.AUDIT)  # type: ignore[arg-type]
    told = [(each["principal"], each["status"], each["reason"]) for each in entries if "principal" in each]
    assert told == [
        ("operator:-", "refused", "unauthenticated, from 192.0.2.7"),
        ("operator:ann", "acted", "signed in as operator, from 192.0.2.7"),
    ]


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/things/t?merchant=mer_1&status=a%20b", "/things/t?merchant=mer_1&status=a+b"),
        ("/", "/"),
    ],
)
def test_signing_in_leads_back_to_where_one_wanted_to_go(path: str, leads_to: str, application: Application) -> None:
    key = operator_key(application, "ann", Role.VIEWER)
    browser = Browser(application)
    first = browser.get(path)
    assert (first.status, first.location.partition("?")[0]) == (303, "/sign-in")
    page = browser.get(first.location)
    answer = browser.post("/sign-in", {"csrf": page.hidden("csrf"), "next": page.hidden("next"), "operator_key": key})
    assert answer.location == leads_to


@pytest.mark.parametrize(
    "place", ["https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nX: y", "x", "/..//evil.example"]
)
def test_signing_in_leads_to_no_other_site(place: str, application: Application) -> None:
    """Fails when a link to our sign-in page can lead elsewhere afterwards (open redirect)."""
    key = operator_key(application, "ann", Role.VIEWER)
    browser = Browser(application)
    token = browser.get("/sign-in").hidden("csrf")
    answer = browser.post("/sign-in", {"csrf": token, "next": place, "operator_key": key})
    assert answer.headers["location"] == ["/production/console"]


def test_a_link_from_elsewhere_is_asked_for_once_more_by_our_own_page(application: Application) -> None:
    """Fails when a link in a mail asks for the key although a session is open: strict cookies stay away at first."""
    browser = Browser(application)
    browser.sign_in(operator_key(application, "ann", Role.VIEWER))
    sessions, browser.cookies = browser.cookies, {}
    page = browser.get("/audit?merchant=mer_1", {"sec-fetch-site": "cross-site"})
    again = '<meta http-equiv="refresh" content="0; url=/production/console/audit?merchant=mer_1">'
    assert (page.status, again in page.text) == (200, True)
    assert browser.get("/audit", {"sec-fetch-site": "same-origin"}).location.startswith("/sign-in")
    browser.cookies = sessions
    assert browser.get("/audit", {"sec-fetch-site": "same-origin"}).status == 200


def test_the_theme_is_kept_and_named_themes_alone(application: Application) -> None:
    browser = Browser(application)
    browser.sign_in(operator_key(application, "ann", Role.VIEWER))
    token = browser.csrf()
    assert browser.post("/theme", {"csrf": token, "theme": "dark", "next": "/audit"}).location == "/audit"
    assert '<html lang="en" data-times="local" data-theme="dark">' in browser.get("/audit").text
    assert browser.post("/theme", {"csrf": token, "theme": '"><script>'}).status == 400
    browser.cookies[cookies.THEME] = '"><script>alert(1)</script>'
    assert re.search(r"<script>alert", browser.get("/audit").text) is None


def test_how_times_are_written_is_kept_for_who_has_no_pointer(application: Application) -> None:
    """Fails when UTC can be had by hovering alone, or when a time becomes a stop of the tab key."""
    browser = Browser(application)
    browser.sign_in(operator_key(application, "ann", Role.VIEWER))
    page = browser.get("/audit").text
    assert re.search(r'name="times" value="local"[^>]*aria-pressed="true"', page)
    assert "<time" in page
    assert "<time tabindex" not in page
    referer = {"referer": "https://console.example/production/console/audit?cursor="}
    answer = browser.post("/times", {"csrf": browser.csrf(), "times": "utc", "next": "/"}, referer)
    assert (answer.status, answer.location) == (303, "/audit?cursor=")
    page = browser.get("/audit").text
    assert '<html lang="en" data-times="utc">' in page
    assert re.search(r'name="times" value="utc"[^>]*aria-pressed="true"', page)
    for wrong in ("", "cet", '"><script>'):
        assert browser.post("/times", {"csrf": browser.csrf(), "times": wrong}).status == 400
    browser.cookies[cookies.TIMES] = '"><script>alert(1)</script>'
    assert 'data-times="local"' in browser.get("/audit").text
