"""A form that is refused comes back with what was typed, and what is wrong stands beside its field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from payonce.console import cookies
from payonce.console.form import Kind
from payonce.console.operators import Role
from payonce.console.page import Action
from payonce.console.routes import ACTIONS
from payonce.domain.errors import (
    BodyMalformed,
    KeyInProgress,
    NotFound,
    OutcomeUnknown,
    OverrideRefused,
    SelfApprovalRefused,
    StoreUnavailable,
)
from payonce.entrypoints.console import handlers_of
from tests.support.console import FAMILIES, Seen, signed_in

if TYPE_CHECKING:
    from payonce.wiring.application import Application

TYPED = "<b>&amp; \"'</textarea><script>alert(1)</script>"
KEY = "form_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"
ALL = [action for actions in ACTIONS.values() for action in actions]
BOOSTED = {"hx-request": "true", "hx-boosted": "true"}


@dataclass
class Given(HTMLParser):
    """What a browser makes of the last form of a page: its address, and each field's value."""

    action: str = ""
    values: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._area = self._select = ""
        self._option = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action, self.values, self.wrong = has.get("action", ""), {}, []
        name = has.get("name", "")
        if has.get("aria-invalid") == "true":
            self.wrong.append(name)
        if tag == "input" and (has.get("type") != "checkbox" or "checked" in has):
            self.values[name] = has.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.values[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in has or self._select not in self.values):
            self.values[self._select] = has.get("value", "")
        self._option = tag == "option" and "selected" in has and "value" not in has

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data
        elif self._option:
            self.values[self._select] = data

    def handle_endtag(self, tag: str) -> None:
        self._option = False
        if tag == "textarea":
            # A newline at the beginning is the source's, and no part of the text (HTML, 13.1.2.5).
            self.values[self._area] = self.values[self._area].removeprefix("\n")
            self._area = ""


def given(seen: Seen) -> Given:
    parser = Given()
    parser.feed(seen.text.partition("<main")[2])
    return parser


def values_for(action: Action) -> dict[str, str]:
    """Return what somebody typed into the form of the action, text that has to be escaped where text is typed."""
    assert action.form is not None
    plain = {Kind.HIDDEN: "7", Kind.NUMBER: "13", Kind.MINUTE: "2027-01-15T08:30", Kind.CHECK: "yes"}
    return {
        each.name: plain.get(each.kind, TYPED)
        for each in action.form.fields
        if each.kind is not Kind.FILE and each.name != "next"
    }


def refused(
    application: Application,
    action: Action,
    error: Exception,
    fields: dict[str, str],
    headers: dict[str, str] | None = None,
) -> Seen:
    """Send the form to an act that refuses it so."""

    def act(_services: Any, _request: Any) -> Any:
        raise error

    browser = signed_in(application, Role.APPROVER)
    form = {"csrf": browser.csrf(), "key": KEY, **fields}
    path = re.sub(r"{\w+}", "x1", action.path)
    family = next(name for start, name in FAMILIES.items() if path.startswith(start))
    stand_in = Action(path=action.path, role=action.role, platform=action.platform, act=act, form=action.form)
    browser.handler_named = handlers_of(application, (), {family: (stand_in,)})
    return browser.post(path, form, headers)


def test_every_action_says_what_its_form_asks_for() -> None:
    """Fails when an action is added whose form would lose what was typed."""
    assert [action.path for action in ALL if action.form is None] == []


@pytest.mark.parametrize("action", ALL, ids=lambda action: action.path)
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BodyMalformed("It is not so."), 400),
        (OverrideRefused("Not like this."), 409),
        (NotFound("There is none."), 404),
        (StoreUnavailable("Busy."), 503),
        (OutcomeUnknown("Perhaps."), 504),
        (RuntimeError("nobody foresaw it"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_was_typed_comes_back(application: Application, action: Action, error: Exception, status: int) -> None:
    """Fails when a form of the console loses its text to a refusal, or gives it back as HTML."""
    typed = values_for(action)
    answer = refused(application, action, error, typed)
    assert answer.status == status
    assert "<script>alert" not in answer.text
    assert action.form is not None
    if action.form.is_typed:
        form = given(answer)
        assert form.action == "/production/console" + re.sub(r"{\w+}", "x1", action.path)
        assert {name: form.values.get(name) for name in typed} == typed
        assert form.values["csrf"]


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        (BodyMalformed("x"), False),
        (SelfApprovalRefused("x"), False),
        (KeyInProgress("x"), True),
        (StoreUnavailable("x"), True),
        (OutcomeUnknown("x"), True),
        (RuntimeError("x"), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_form_that_may_have_acted_keeps_its_key(application: Application, error: Exception, is_kept: bool) -> None:
    """Sent again with another key it would act twice; and with a key that was refused, as another request."""
    action = next(one for one in ALL if one.path.endswith("/comment"))
    form = given(refused(application, action, error, values_for(action)))
    assert (form.values["key"] == KEY) is is_kept
    assert form.values["key"].startswith("form_")


def test_what_is_wrong_stands_beside_its_field(application: Application) -> None:
    """Fails when a reader has to look for the field that a sentence above the form is about."""
    action = next(one for one in ALL if one.path.endswith("/drains"))
    answer = refused(
        application,
        action,
        BodyMalformed("At most a week.", field="minutes"),
        {**values_for(action), "minutes": "soon"},
    )
    assert given(answer).wrong == ["minutes"]
    assert '<span class="wrong" id="again-minutes-wrong">At most a week.</span>' in answer.text
    assert re.search(
        r'<input id="again-minutes" [^>]*type="text" value="soon"[^>]*aria-describedby="again-minutes-wrong"',
        answer.text,
    )
    assert '<p class="error" role="alert">At most a week.</p>' in answer.text


def test_a_newer_version_that_the_refusal_tells_is_the_forms(application: Application) -> None:
    """Fails when a form that was refused for an old version is refused for ever."""
    action = next(one for one in ALL if one.path.endswith("/assign"))
    answer = refused(application, action, OverrideRefused("Ben has it.", version=12), values_for(action))
    assert given(answer).values["version"] == "12"


def test_a_refused_form_leaves_the_pages_address(application: Application) -> None:
    """Fails when the browser keeps the action's address, where there is nothing to load."""
    action = next(one for one in ALL if one.path.endswith("/comment"))
    answer = refused(application, action, BodyMalformed("No."), values_for(action), BOOSTED)
    assert answer.headers["hx-push-url"] == ["false"]
    assert 'href="/production/console/breaks/x1"' in answer.text


@pytest.mark.parametrize("headers", [{}, BOOSTED], ids=["whole", "htmx"])
@pytest.mark.parametrize("how", ["ended", "another session"])
def test_what_was_typed_outlives_the_session(application: Application, headers: dict[str, str], how: str) -> None:
    """Fails when half an hour of writing is lost to the session's end; and when such a form could be sent on."""
    browser = signed_in(application, Role.OPERATOR)
    form = {"csrf": browser.csrf() if how == "ended" else "x", "key": KEY, "text": TYPED}
    if how == "ended":
        del browser.cookies[cookies.SESSION]
    answer = browser.post("/breaks/x1/comment", form, headers)
    assert answer.status == (401 if how == "ended" else 403)
    assert "nothing was done" in answer.text
    assert "<script>alert" not in answer.text
    assert "as you typed it" in answer.text
    assert (
        TYPED.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&#34;")
        .replace("'", "&#39;")
        in answer.text
    )
    main = answer.text.partition("<main")[2]
    assert "<form" not in main
    assert ("hx-retarget" in answer.headers) is (how == "ended")
    nothing = browser.post("/breaks/x1/comment", {**form, "text": ""}, headers)
    assert nothing.status == (403 if how != "ended" else 401 if headers else 303)


def test_another_sites_form_is_not_given_back(application: Application) -> None:
    """Fails when a page of another site can put its text into a page of ours."""
    browser = signed_in(application, Role.OPERATOR)
    form = {"csrf": browser.csrf(), "key": KEY, "text": "buy here"}
    answer = browser.post(
        "/breaks/x1/comment", form, {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    )
    assert (answer.status, "buy here" in answer.text) == (403, False)
