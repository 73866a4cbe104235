"""Overview, gateways, drain and release through the functions' handlers; DynamoDB is moto's, and roles are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from payonce.console.operators import Role
from payonce.routing.decision.predictor_store import decision_write
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.console import Browser, signed_in
from tests.support.overview import ACME, ENVIRONMENT, NOW_MS, store_hour, store_routes
from tests.support.roles import Call, Grant, grants, recorded
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = {"OverviewTable", "RoutingTable", "EndpointsTable"}


@pytest.fixture
def live() -> Iterator[Application]:
    with mock_aws():
        client = dynamodb_client()
        database = dynamo_database(client, create_tables(client))
        made = Application(load_settings(ENVIRONMENT), clock=ManualClock(NOW_MS), database=database)
        store_hour(database)
        store_routes(database)
        write = decision_write(b'{"now_ms":%d,"document":{}}' % NOW_MS, epoch=7, at_ms=NOW_MS)
        assert write is not None
        database.write([write])
        yield made


def drained(browser: Browser) -> tuple[int, int]:
    """Drain a gateway, and release it; return both statuses."""
    statuses = []
    for act in ("drains", "releases"):
        page = browser.get("/gateways")
        fields: dict[str, Any] = {name: page.hidden(name) for name in ("csrf", "key", "seen")}
        fields |= {"gateway": "birch", "percent": "10", "minutes": "5", "reason": "a test"}
        statuses.append(browser.post(f"/gateways/overrides/{act}", fields).status)
    return statuses[0], statuses[1]


def ungranted(function: str, calls: set[Call]) -> set[Call]:
    return {call for call in calls if not any(grant.allows(call) for grant in grants(function))}


def test_the_pages_ask_for_what_their_role_allows(live: Application) -> None:
    """Fails when a page asks for what its function's role refuses, or a right of these pages is not used."""
    platform, merchant = signed_in(live, Role.OPERATOR), signed_in(live, Role.VIEWER, ACME)
    assert drained(platform) == (303, 303)
    with recorded() as calls:
        for browser, path in (
            (platform, "/"),
            (merchant, "/"),
            (platform, "/gateways"),
            (platform, "/gateways/decisions"),
            (platform, "/gateways/decisions/7"),
        ):
            assert browser.get(path).status == 200, path
    assert ungranted("ConsolePagesFunction", calls) == set()
    rights = {grant for grant in grants("ConsolePagesFunction") if grant.resource in OURS}
    rights -= {Grant("dynamodb:GetItem", "EndpointsTable")}  # of the page of one endpoint
    assert {grant for grant in rights if not any(grant.allows(call) for call in calls)} == set()


def test_drain_and_release_ask_for_what_their_role_allows(live: Application) -> None:
    """Fails when an action asks for what its role refuses, or its role may change a decision or the configuration."""
    platform = signed_in(live, Role.OPERATOR)
    with recorded() as calls:
        assert drained(platform) == (303, 303)
    routing = {call for call in calls if call.resource == "RoutingTable"}
    writes = {call for call in routing if call.action in {"dynamodb:PutItem", "dynamodb:UpdateItem"}}
    assert writes
    assert ungranted("ConsoleRoutingActionsFunction", writes) == set()
    assert {call.key.partition("#")[0] for call in writes} == {"CONTROL", "OVERRIDES", "FORM"}
    rights = {grant for grant in grants("ConsoleRoutingActionsFunction") if grant.resource == "RoutingTable"}
    assert {grant for grant in rights if not any(grant.allows(call) for call in calls)} == set()
