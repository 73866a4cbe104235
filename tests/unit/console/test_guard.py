"""Roles and merchants: what an operator may not do is refused before a view or an act is called."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest

from payonce.console.guard import may, require_role
from payonce.console.operators import Operator, Role
from payonce.console.page import Page, Rendered
from payonce.console.routes import ACTIONS, PAGES
from payonce.domain.errors import PayonceError
from payonce.ports import Table
from tests.support.webhook_api import items_of
from tests.unit.console.conftest import OTHER

if TYPE_CHECKING:
    from tests.unit.console.conftest import Stage

RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.APPROVER: 2}


@pytest.mark.parametrize(("has", "needs", "bound", "platform"), [*product(Role, Role, (False, True), (False, True))])
def test_who_passes_is_the_table_of_roles(has: Role, needs: Role, bound: bool, platform: bool) -> None:
    """Fails when a role may do what a higher one may, or an operator of one merchant what the platform's may."""
    operator = Operator(name="a", role=has, merchant_id=OTHER if bound else None, key_hash="", created_at_ms=0)
    route = Page(path="/x", role=needs, platform=platform, view=lambda _services, _request: Rendered(""))
    expected = RANK[has] >= RANK[needs] and not (bound and platform)
    assert may(route, operator) == expected
    if not expected:
        with pytest.raises(PayonceError):
            require_role(route, operator)


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        (Role.VIEWER, "/keys/k/release", 403),
        (Role.VIEWER, "/keys/k/approve", 403),
        (Role.OPERATOR, "/keys/k/release", 303),
        (Role.OPERATOR, "/keys/k/approve", 403),
        (Role.APPROVER, "/keys/k/approve", 303),
    ],
)
def test_a_role_is_asked_before_an_act(role: Role, path: str, status: int, stage: Stage) -> None:
    browser = stage.browser(role)
    assert browser.post(path, {"csrf": browser.csrf()}).status == status
    assert len(stage.done) == (status == 303)


def test_a_role_is_asked_before_a_view(stage: Stage) -> None:
    assert stage.browser(Role.OPERATOR).get("/approvers").status == 403
    assert stage.seen == []
    assert stage.browser(Role.APPROVER).get("/approvers").status == 200


def test_an_operator_of_one_merchant_sees_no_page_of_the_platform(stage: Stage) -> None:
    bound = stage.browser(bound=True)
    token = bound.csrf()
    stage.seen.clear()
    assert bound.get("/gateways").status == 404
    assert bound.post("/keys/k/drain", {"csrf": token}).status == 404
    assert (stage.seen, stage.done) == ([], [])
    assert stage.browser().get("/gateways").status == 200


def test_an_operator_of_one_merchant_gets_it_and_no_other(stage: Stage) -> None:
    """Fails when another merchant is taken from the address or from the form."""
    bound = stage.browser(bound=True)
    token = bound.csrf()
    stage.seen.clear()
    assert bound.get(f"/things/t?merchant={OTHER}").status == 404
    assert bound.post(f"/keys/k/release?merchant={OTHER}", {"csrf": token}).status == 404
    assert bound.post("/keys/k/release", {"csrf": token, "merchant": OTHER}).status == 404
    assert (stage.seen, stage.done) == ([], [])
    assert bound.get(f"/things/t?merchant={stage.merchant_id}").status == 200
    assert bound.get("/things/t").status == 200
    assert {request.merchant_id for request in stage.seen} == {stage.merchant_id}


def test_an_address_and_a_form_that_differ_name_no_second_merchant(stage: Stage) -> None:
    """Fails when a form about one merchant, sent to an address that names another, passes."""
    bound = stage.browser(bound=True)
    form = {"csrf": bound.csrf(), "merchant": stage.merchant_id}
    assert bound.post(f"/keys/k/release?merchant={OTHER}", form).status == 404
    assert stage.done == []


def test_an_operator_of_the_platform_chooses_a_merchant(stage: Stage) -> None:
    browser = stage.browser()
    page = browser.get("/one")
    assert (page.status, "Choose a merchant" in page.text, stage.seen) == (200, True, [])
    page = browser.get(f"/one?merchant={OTHER}")
    assert stage.seen[-1].merchant_id == OTHER
    assert f"/production/console/audit?merchant={OTHER}" in page.text  # the choice stays in the links
    form = {"csrf": browser.csrf(), "merchant": stage.merchant_id}
    assert browser.post(f"/keys/k/release?merchant={OTHER}", form).status == 400
    assert browser.get("/one?merchant=%27%22%3E%3Cscript%3E").status == 400


def test_refusals_are_in_the_trail_with_who_and_what(stage: Stage) -> None:
    browser = stage.browser(Role.VIEWER, bound=True)
    browser.post("/keys/k/release", {"csrf": browser.csrf()})
    entries = items_of(stage.application.database, Table.AUDIT)  # type: ignore[arg-type]
    found = [entry for entry in entries if entry.get("status") == "refused"]
    assert len(found) == 1
    refused = found[0]
    assert refused["resource"] == "/keys/k/release"
    assert refused["principal"].startswith("operator:viewer")
    assert refused["reason"].startswith("forbidden: You are viewer, and this takes the role operator.")
    assert refused["scope_month"].startswith(stage.merchant_id)


def test_every_route_names_its_role_and_every_action_more_than_a_viewers() -> None:
    """Fails when an action could be done by who may only look."""
    assert PAGES
    for actions in ACTIONS.values():
        for action in actions:
            assert action.role is not Role.VIEWER, action.path
