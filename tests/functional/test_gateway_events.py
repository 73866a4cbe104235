"""The functions of gateways' events, on the template's tables and queues: from a gateway's post to its effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.notices.kept import NoticeState, find_notice
from payonce.ports import Table
from tests.functional.conftest import load_handler
from tests.functional.test_roles import LOCAL_CLOUD, unused
from tests.support.aws import REGION, REPOSITORY, dump
from tests.support.events import Context
from tests.support.notices import bank_event, bank_headers, posted
from tests.support.roles import Call, Grant, recorded

if TYPE_CHECKING:
    from payonce.wiring.delivery import DeliveryApplication

SECRET = Grant("secretsmanager:GetSecretValue", "GatewaySecret")
GIVEN = "The tests give the secrets; wiring/notices.py reads them."


class Gateways:
    """Runs the functions on one application, and keeps what each asked AWS for."""

    def __init__(self, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> None:
        self.application, self._monkeypatch = application, monkeypatch
        self.asked: dict[str, set[Call]] = {}

    def run(self, function: str, happened: Any) -> Any:
        """Run a function on an event."""
        handler = load_handler(function, self.application, self._monkeypatch)
        with recorded() as calls:
            answer = handler(happened, Context())
        self.asked.setdefault(function, set()).update(calls)
        return answer

    def post(self, body: bytes, event_id: str = "evt_1") -> int:
        """Post an event of the bank, genuine and now; return the status."""
        now_ms = self.application.clock.now_ms()
        sent = posted(body, bank_headers(body, now_ms, event_id=event_id), "bank")
        status: int = self.run("accept_gateway_events", sent)["statusCode"]
        return status

    def taken(self) -> list[dict[str, Any]]:
        """Return the messages that the queue's event source would hand over."""
        sqs = boto3.client("sqs", region_name=REGION)
        url = self.application.settings.notice_queue_url
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        return [{"messageId": m["MessageId"], "body": m["Body"]} for m in answer.get("Messages", [])]


@pytest.fixture
def gateways(application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> Gateways:
    return Gateways(application, monkeypatch)


def sample(function: str, case: str) -> Any:
    return json.loads((REPOSITORY / "events" / function / f"{case}.json").read_text())


def test_an_event_is_kept_and_queued(gateways: Gateways) -> None:
    """Fails when an attribute or a permission is missing on the way."""
    body = bank_event(reference="order-1", note="ö☃")
    assert [gateways.post(body), gateways.post(body)] == [200, 200]
    kept = find_notice(gateways.application.database, "bank#evt_1")
    assert kept is not None
    assert (kept.body, kept.state) == (body, NoticeState.RECEIVED)
    assert [json.loads(message["body"]) for message in gateways.taken()] == [
        {"notice_key": "bank#evt_1", "tries": 0}
    ] * 2
    explained = {SECRET: GIVEN, Grant("sqs:SendMessageBatch", "GatewayEventQueue"): LOCAL_CLOUD}
    assert unused("accept_gateway_events", gateways.asked["accept_gateway_events"]) == explained.keys()


@pytest.mark.parametrize(("case", "status"), [("forged", 400), ("unsigned", 400), ("unknown_gateway", 404)])
def test_the_samples_are_refused_and_nothing_is_stored(gateways: Gateways, case: str, status: int) -> None:
    names = {table: table.value for table in Table}
    client = gateways.application.database._client  # type: ignore[attr-defined]
    before = dump(client, names)
    answer = gateways.run("accept_gateway_events", sample("accept_gateway_events", case))
    assert answer["statusCode"] == status
    assert dump(client, names) == before
    assert gateways.taken() == []
