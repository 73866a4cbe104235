"""``payonce console operators``: a key is shown once and stored as a hash, and each act is audited with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import console, main
from payonce.console.operators import Role
from payonce.console.parts import Parts
from payonce.domain.errors import Unauthenticated
from payonce.ports import Table
from tests.support.webhook_api import items_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.wiring.application import Application

    Ask = Callable[..., Any]


@pytest.fixture
def run(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run the command on the application in memory; return what it writes, or with ``code`` what it complains of."""
    monkeypatch.setattr(console, "application_of", lambda *_given: application)

    def command(*arguments: str, code: int = 0) -> str:
        left = main.main(["console", "operators", *arguments])
        said = capsys.readouterr()
        assert left == code, said.err
        return said.err if code else said.out

    return command


def test_an_operator_is_added_listed_and_disabled(application: Application, run: Ask) -> None:
    merchant_id = application.merchants.create_merchant("Acme")
    key = run("add", "Ann", "--role", "approver", "--operator", "root").strip()
    run("add", "Ben", "--role", "viewer", "--merchant", merchant_id)
    parts = Parts(application)
    assert parts.operators.authenticate(key).role is Role.APPROVER
    listed = json.loads(run("list", "--json"))["data"]
    assert [(each["name"], each["role"], each["merchant_id"]) for each in listed] == [
        ("ann", "approver", None),
        ("ben", "viewer", merchant_id),
    ]
    assert "ben  viewer" in run("list")
    assert json.loads(run("disable", "ANN", "--json")) == {"disabled": "ann"}
    assert "disabled 20" in run("list")
    with pytest.raises(Unauthenticated):
        parts.operators.authenticate(key)
    assert key not in str(items_of(application.database, Table.CONSOLE))  # type: ignore[arg-type]


def test_each_act_is_in_the_trail_and_in_its_list(application: Application, run: Ask) -> None:
    """Fails when somebody can be made an approver, and nobody sees who did it."""
    run("add", "Ann", "--role", "approver", "--operator", "Root")
    run("disable", "Ann", "--operator", "Root")
    entries = items_of(application.database, Table.AUDIT)  # type: ignore[arg-type]
    told = [(each["principal"], each["record_id"]) for each in entries if "principal" in each]
    assert told == [
        ("operator:root", "console#console operators add#operators add"),
        ("operator:root", "console#console operators disable#operators disable"),
    ]
    acts = Parts(application).acts.page(None).acts
    assert {(act.principal, act.operation) for act in acts} == {
        ("operator:root", "operators add"),
        ("operator:root", "operators disable"),
    }


def test_an_act_that_is_refused_changes_and_writes_nothing(application: Application, run: Ask) -> None:
    assert "There is no merchant" in run(
        "add", "Ann", "--role", "viewer", "--merchant", "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", code=2
    )
    assert "There is no operator" in run("disable", "Ann", code=2)
    assert "there is no operator" in run("list")
    entries = items_of(application.database, Table.AUDIT)  # type: ignore[arg-type]
    assert [each for each in entries if "principal" in each] == []


def test_acts_are_listed_newest_first_in_pages_of_their_own_merchant(application: Application) -> None:
    """Fails when a page of acts misses one, shows one twice, or shows another merchant's."""
    acts = Parts(application).acts
    for number in range(120):
        application.clock.ms += 1  # type: ignore[attr-defined]
        whose = "mer_1" if number % 2 else "mer_2"
        acts.note(principal="operator:a", operation="/x", on=f"/x/{number}", merchant_id=whose, result="done")
    seen, cursor = [], ""
    while True:
        page = acts.page(None, cursor)
        seen += [act.on for act in page.acts]
        if not page.next_cursor:
            break
        cursor = page.next_cursor
    assert seen == [f"/x/{number}" for number in reversed(range(120))]
    assert {act.merchant_id for act in acts.page("mer_1").acts} == {"mer_1"}
