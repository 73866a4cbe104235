"""What pages say of what was done, and what they keep of what was asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from payonce.console import cookies
from payonce.console.operators import Role
from payonce.console.page import Action
from payonce.console.views.payments import filter_of
from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.entrypoints.console import handlers_of
from payonce.overview.breaks import open_by_day
from payonce.overview.scopes import EVERYBODY
from payonce.ports import Insert, Table
from tests.support.console import signed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.wiring.application import Application
    from tests.unit.console.conftest import Stage

BOOSTED = {"hx-request": "true", "hx-boosted": "true"}


def unavailable(_writes: Sequence[object]) -> None:
    """Refuse every write, as a table does that is throttled."""
    raise StoreUnavailable("The database is busy.")


def test_an_act_whose_entry_fails_is_not_said_to_have_changed_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act came first, and was done: whoever reads "Nothing was changed" does it again."""
    browser = stage.browser(Role.OPERATOR)
    token = browser.csrf()
    monkeypatch.setattr(stage.application.database, "write", unavailable)
    answer = browser.post("/keys/k1/release", {"csrf": token})
    assert len(stage.done) == 1
    assert answer.status == 504
    assert "Nothing was changed" not in answer.text
    assert "Look whether it was done before you do it again." in answer.text
    assert cookies.SAID not in browser.cookies


def test_an_act_of_unknown_outcome_stays_unknown_when_its_entry_fails_too(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store in trouble fails both: the second failure must not turn "not known" into "nothing was changed"."""

    def act(_services: Any, _request: Any) -> Any:
        monkeypatch.setattr(application.database, "write", unavailable)
        raise OutcomeUnknown("The workflow may have been told.")

    handlers = handlers_of(application, (), {"key_actions": (Action(path="/keys/release", act=act),)})
    browser = signed_in(application, Role.OPERATOR)
    token = browser.csrf()
    browser.handler_named = handlers
    answer = browser.post("/keys/release", {"csrf": token})
    assert answer.status == 504
    assert "Nothing was changed" not in answer.text
    assert "The workflow may have been told." in answer.text


def test_an_act_that_was_done_is_told_although_the_session_is_not_noted(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That the session is used is written last, once a minute: its failure says nothing about the act."""
    browser = stage.browser(Role.OPERATOR)
    token = browser.csrf()
    stage.application.clock.ms += 61_000  # type: ignore[attr-defined]
    write = stage.application.database.write

    def but_sessions(writes: Sequence[Any]) -> None:
        if any(str(getattr(one, "key", {}).get("pk", "")).startswith("SESSION#") for one in writes):
            unavailable(writes)
        write(writes)

    monkeypatch.setattr(stage.application.database, "write", but_sessions)
    answer = browser.post("/keys/k1/release", {"csrf": token})
    assert (len(stage.done), answer.status) == (1, 303)


def test_a_form_after_the_session_leaves_the_page_as_a_whole(stage: Stage) -> None:
    """Swapped into the old page, the sign-in form would keep the old person's name and tokens in its header."""
    browser = stage.browser(Role.OPERATOR)
    token = browser.csrf()
    del browser.cookies[cookies.SESSION]
    answer = browser.post("/keys/k1/release", {"csrf": token}, BOOSTED)
    assert answer.headers["hx-redirect"] == ["/production/console/sign-in"]
    assert stage.done == []
    assert "nothing was done" in browser.get("/sign-in").text


def test_choosing_a_merchant_keeps_what_was_asked_for(stage: Stage) -> None:
    """Without its filters the list that follows would be another one, and look like the one that was asked for."""
    page = stage.browser().get("/one?status=in_doubt&cursor=&note=%22%3E%3Cb%3E").text
    assert '<input type="hidden" name="status" value="in_doubt">' in page
    assert '<input type="hidden" name="note" value="&#34;&gt;&lt;b&gt;">' in page


def test_a_theme_leads_back_to_the_same_page_with_its_filters(stage: Stage) -> None:
    """The header stays while pages are swapped below it, so that only the browser knows which one is shown."""
    browser = stage.browser()
    here = f"/audit?merchant={stage.merchant_id}&cursor=x"
    fields = {"csrf": browser.csrf(), "theme": "dark", "next": "/audit"}
    referer = f"https://console.example/production/console{here}"
    assert browser.post("/theme", fields, {"referer": referer}).location == here
    for elsewhere in ("https://evil.example/production/console/audit?x=1", "https://console.example/other", "::", ""):
        assert browser.post("/theme", fields, {"referer": elsewhere}).location == "/audit"
    evil = "https://console.example/production/console//evil.example/x"
    assert "evil" not in browser.post("/theme", fields, {"referer": evil}).location


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"from": "2027-01-15"}, {"from": "2027-01-15T00:00"}),
        ({"until": "2027-01-15"}, {"until": "2027-01-15T23:59"}),
        ({"until": "2027-01-15T08:30+01:00"}, {"until": "2027-01-15T07:30"}),
        ({"from": "2027-01-15T08:30:15"}, {"from": "2027-01-15T08:30:15.000"}),
        ({"until": "2027-01-15T08:30:15.250Z"}, {"until": "2027-01-15T08:30:15.250"}),
    ],
)
def test_a_time_that_filters_is_shown_in_its_field(
    application: Application, given: dict[str, str], shown: dict[str, str]
) -> None:
    """A field of the type datetime-local leaves another form empty: a filter that is in force would look as if not."""
    merchant_id = application.merchants.create_merchant("Acme")
    page = signed_in(application).get(f"/payments?{urlencode({'merchant': merchant_id, **given})}").text
    for name, text in shown.items():
        assert re.search(rf'<input id="{name}" [^>]*value="{text}"', page)
    assert filter_of(given) == filter_of(shown)


def test_the_oldest_break_has_a_day_and_no_time(application: Application) -> None:
    """Its first second, written in New York's time, would be of the day before."""
    application.database.write([Insert(Table.OVERVIEW, {"pk": "BREAKS#*", "sk": "020000", "open": 1})])
    page = signed_in(application).get("/").text
    assert "oldest opened on 2024-10-04 (UTC)" in page


def test_the_doubts_of_all_merchants_lead_to_a_page_that_has_them(application: Application) -> None:
    """The list of payments is of one merchant: the platform's reader would have to guess which one is in doubt."""
    browser = signed_in(application)
    assert 'id="to-doubts" href="/production/console/keys"' in browser.get("/").text
    merchant_id = application.merchants.create_merchant("Acme")
    assert 'id="to-doubts" href="/production/console/payments?' in browser.get(f"/?merchant={merchant_id}").text


def test_a_day_with_more_breaks_closed_than_were_counted_hides_no_open_one(application: Application) -> None:
    """A stack that had breaks before its overview counts their ends alone: such a day is below zero."""
    for day, number in ((20_000, -3), (20_010, 2)):
        application.database.write([Insert(Table.OVERVIEW, {"pk": "BREAKS#*", "sk": f"{day:06d}", "open": number})])
    assert EVERYBODY == "*"
    assert open_by_day(application.database, EVERYBODY) == {20_010: 2}
