"""When a session is open, and what ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.console import cookies
from payonce.console.operators import Role, hash_key
from payonce.console.parts import Parts
from payonce.console.sessions import IDLE_SECONDS, LONGEST_SECONDS, NOTED_AFTER_SECONDS
from payonce.ports import Table
from tests.support.console import Browser, operator_key, signed_in
from tests.support.webhook_api import items_of

if TYPE_CHECKING:
    from payonce.wiring.application import Application
    from tests.unit.console.conftest import Stage


def opens(browser: Browser) -> bool:
    """Return whether the browser is let in."""
    return browser.get("/audit").status == 200


def test_a_session_ends_after_half_an_hour_without_use(application: Application) -> None:
    """Fails when a session that nobody uses stays open."""
    browser = signed_in(application)
    application.clock.ms += (IDLE_SECONDS - 1) * 1000  # type: ignore[attr-defined]
    assert opens(browser)
    application.clock.ms += (IDLE_SECONDS - 1) * 1000  # type: ignore[attr-defined]
    assert opens(browser)
    application.clock.ms += IDLE_SECONDS * 1000  # type: ignore[attr-defined]
    assert not opens(browser)


def test_a_session_ends_after_eight_hours_of_use(application: Application) -> None:
    browser = signed_in(application)
    for _ in range(LONGEST_SECONDS // 1200 - 1):
        application.clock.ms += 1_200_000  # type: ignore[attr-defined]
        assert opens(browser)
    application.clock.ms += 1_200_000  # type: ignore[attr-defined]
    assert not opens(browser)


def test_a_page_that_refreshes_itself_keeps_no_session_open(application: Application) -> None:
    """Fails when an overview that stands open on an empty desk never asks for the key again."""
    browser = signed_in(application)
    polled = {"hx-request": "true"}
    for _ in range(IDLE_SECONDS // 600):
        application.clock.ms += 599_000  # type: ignore[attr-defined]
        assert browser.get("/audit", polled).status == 200
    application.clock.ms += 10_000  # type: ignore[attr-defined]
    answer = browser.get("/audit", polled)
    assert answer.status == 401
    assert answer.headers["hx-redirect"] == ["/production/console/sign-in?next=%2Faudit"]


def test_signing_out_ends_the_session_on_the_server(application: Application) -> None:
    """Fails when a token that was copied before is of use afterwards."""
    browser = signed_in(application)
    token = browser.cookies[cookies.SESSION]
    assert browser.post("/sign-out", {"csrf": browser.csrf()}).location == "/sign-in"
    assert cookies.SESSION not in browser.cookies
    assert not opens(Browser(application, cookies={cookies.SESSION: token}))


def test_disabling_an_operator_ends_the_session_and_a_new_key_does_not_revive_it(application: Application) -> None:
    operators = Parts(application).operators
    browser = Browser(application)
    browser.sign_in(operator_key(application, "Ann", Role.VIEWER))
    assert opens(browser)
    operators.disable("Ann")
    assert not opens(browser)
    operators.add("Ann", Role.VIEWER)
    assert not opens(browser)


@pytest.mark.parametrize("token", ["", "x", "YW5u.", "YW5u." + "A" * 43, "!!!!." + "A" * 43, "A" * 5000, "é.ü"])
def test_what_is_no_token_opens_nothing(token: str, application: Application) -> None:
    operator_key(application, "ann", Role.VIEWER)
    assert Parts(application).sessions.read(token) is None


def test_a_token_with_anothers_name_opens_nothing(application: Application) -> None:
    """Fails when the name in the token, which anybody can write, decides whose session it is."""
    browser = signed_in(application, Role.VIEWER)
    operator_key(application, "root", Role.APPROVER)
    secret = browser.cookies[cookies.SESSION].partition(".")[2]
    assert Parts(application).sessions.read(f"cm9vdA.{secret}") is None


def test_neither_key_nor_token_is_stored(application: Application) -> None:
    """Fails when who reads the table could sign in, or take over a session."""
    key = operator_key(application, "ann", Role.VIEWER)
    browser = Browser(application)
    browser.sign_in(key)
    stored = str(items_of(application.database, Table.CONSOLE))  # type: ignore[arg-type]
    assert hash_key(key) in stored
    assert key not in stored
    assert browser.cookies[cookies.SESSION].partition(".")[2] not in stored


def test_a_page_costs_one_round_trip_beside_its_own_and_no_write(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when looking at a page reads more than the session, or writes each time."""
    browser = stage.browser()
    calls = []
    for name in ("get", "get_many", "query", "write"):
        made = getattr(stage.application.database, name)
        monkeypatch.setattr(
            stage.application.database,
            name,
            lambda *given, made=made, name=name, **more: (calls.append(name), made(*given, **more))[1],
        )
    assert opens(browser)
    assert calls == ["get_many"]
    stage.application.clock.ms += NOTED_AFTER_SECONDS * 1000  # type: ignore[attr-defined]
    assert opens(browser)
    assert calls == ["get_many", "get_many", "write"]
