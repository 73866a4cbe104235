"""The two functions of routing, from their events to the control document; DynamoDB is moto's."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from payonce.ports import Table
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.document import parse_document
from payonce.wiring.routing import STOP_BEFORE_TIMEOUT_MS, RoutingApplication
from payonce.wiring.settings import load_settings
from tests.functional.conftest import load_handler
from tests.support.aws import REPOSITORY, create_tables, dynamo_database, dynamodb_client
from tests.support.events import Context
from tests.support.stream import stream_record
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.wiring.application import Application


class ShortContext(Context):
    """A function that has little time left."""

    def get_remaining_time_in_millis(self) -> int:
        """Two seconds of looping, and what a run keeps for its end."""
        return STOP_BEFORE_TIMEOUT_MS + 2_000


@pytest.fixture
def mode() -> str:
    return "shadow"


@pytest.fixture
def routing(mode: str) -> Iterator[RoutingApplication]:
    environment = {
        "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]',
        "PAYONCE_DEFAULT_GATEWAY": "bank",
        "PAYONCE_ROUTING_MODE": mode,
        "PAYONCE_ROUTING_TABLE": "routing",
    }
    with mock_aws():
        client = dynamodb_client()
        database = dynamo_database(client, create_tables(client))
        yield RoutingApplication(load_settings(environment), clock=RealClock(), database=database)


@pytest.fixture
def run(routing: RoutingApplication, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how a function is run on an event."""
    monkeypatch.setattr("payonce.wiring.routing.bootstrap_routing", lambda: routing)

    def call(function: str, event: dict[str, Any]) -> Any:
        return load_handler(function, routing, monkeypatch)(event, ShortContext())  # type: ignore[arg-type]

    return call


def event(function: str, case: str) -> Any:
    return json.loads((REPOSITORY / "events" / function / f"{case}.json").read_text())


def as_of_now(subscribed: Any) -> Any:
    """Return the log's message with its lines dated now: by the machine's clock the file's are late."""
    text = json.loads(gzip.decompress(base64.b64decode(subscribed["awslogs"]["data"])))
    lines = [{**line, "timestamp": RealClock().now_ms()} for line in text["logEvents"]]
    data = gzip.compress(json.dumps({**text, "logEvents": lines}).encode())
    return {"awslogs": {"data": base64.b64encode(data).decode()}}


def signals(application: Application) -> list[dict[str, Any]]:
    return application.database.query(Table.ROUTING, partition=("pk", "SIGNALS"), limit=10).items


@pytest.mark.parametrize("case", ["answered", "parked", "released", "one_is_unreadable"])
def test_each_batch_is_one_item(run: Any, routing: RoutingApplication, case: str) -> None:
    assert run("observe_claims", event("observe_claims", case)) == {"state": {}}
    [item] = signals(routing)
    assert len(item["events"]) < 400
    assert run("observe_claims", event("observe_claims", case)) == {"state": {}}
    assert signals(routing) == [item]


def test_refused_requests_are_an_item_of_their_own(run: Any, routing: RoutingApplication) -> None:
    assert run("observe_claims", as_of_now(event("observe_claims", "refusals"))) == {"state": {}}
    [item] = signals(routing)
    assert "#refused#" in item["sk"]
    run("observe_claims", event("observe_claims", "subscription_tried_out"))
    assert signals(routing) == [item]


def test_what_the_stream_tells_becomes_the_document_in_force(run: Any, routing: RoutingApplication) -> None:
    """Fails when the two functions do not speak of the same items."""
    now_ms = routing.clock.now_ms()
    plan = {"kind": "payment", "merchant_id": "mer_1", "gateway": "bank"}
    claim = {"status": "INPROGRESS", "claim_id": "pay_1", "fence": 1, "created_at_ms": now_ms, "plan": plan}
    done = {**claim, "status": "COMPLETED", "response_status": 201, "ended_at_ms": now_ms + 100}
    records = [
        stream_record("1", None, claim, at_ms=now_ms, number=1),
        stream_record("1", claim, done, at_ms=now_ms, number=2),
    ]
    run("observe_claims", {"Records": records})
    counts = run("predict_routes", event("predict_routes", "scheduled"))
    assert (counts["decisions"], counts["published"], counts["failures"]) == (1, 1, 0)
    control = ControlStore(routing.database).read()
    assert control.document is not None
    document = parse_document(control.document, frozenset({"bank"}))
    assert document.weights == {"card": {"bank": 1.0}}
    assert document.mode.value == "shadow"
    item = routing.database.get(Table.ROUTING, {"pk": "PREDICTOR", "sk": "STATE"})
    assert item is not None
    assert item["leader_until_ms"] == 0, "it has given up the lead"


@pytest.mark.parametrize("mode", ["off"])
def test_where_routing_is_off_nothing_is_read(
    run: Any, routing: RoutingApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "_database", None)
    assert run("predict_routes", event("predict_routes", "scheduled")) == {}
