"""The functions of gateways' events, on the template's tables and queues: from a gateway's post to its effect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.domain.gateway import OperationKind
from payonce.notices.kept import NoticeState, find_notice
from payonce.notices.told import KeptNoticeBook
from payonce.payments.payment_reads import get_payment
from payonce.ports import Table
from tests.functional.conftest import load_handler
from tests.functional.test_roles import (
    ACCOUNTS,
    GIVEN_BACK,
    LOCAL_CLOUD,
    NOT_ASKED_FOR,
    ON_GATEWAYS,
    ONLY_OWN_ACCOUNTS,
    TOLD,
    unused,
)
from tests.support.aws import REGION, REPOSITORY, dump
from tests.support.events import Context, call
from tests.support.notices import bank_event, bank_headers, posted
from tests.support.roles import Call, Grant, function_names, grants, recorded
from tests.unit.gateways.test_adyen_notices import body_of, item

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
    sent = posted(body_of(item()), {}, "adyen")
    assert gateways.run("accept_gateway_events", sent)["statusCode"] == 200
    explained = {
        SECRET: GIVEN,
        Grant("sqs:SendMessageBatch", "GatewayEventQueue"): LOCAL_CLOUD,
        ACCOUNTS: ONLY_OWN_ACCOUNTS,
        Grant("kms:Decrypt", "SecretsKey", ("gateway_events",)): ONLY_OWN_ACCOUNTS,
    }
    assert unused("accept_gateway_events", gateways.asked["accept_gateway_events"]) == explained.keys()


@pytest.mark.parametrize(
    ("case", "status"), [("forged", 400), ("unsigned", 400), ("unknown_gateway", 404), ("no_own_account", 404)]
)
def test_the_samples_are_refused_and_nothing_is_stored(gateways: Gateways, case: str, status: int) -> None:
    names = {table: table.value for table in Table}
    client = gateways.application.database._client  # type: ignore[attr-defined]
    before = dump(client, names)
    answer = gateways.run("accept_gateway_events", sample("accept_gateway_events", case))
    assert answer["statusCode"] == status
    assert dump(client, names) == before
    assert gateways.taken() == []


def doubtful(gateways: Gateways, operation: str, word: str, **options: Any) -> dict[str, Any]:
    """Ask for something of which the outcome is not known; return the answer."""
    bank: Any = gateways.application.gateway("bank")
    bank.script, bank.lookup_fails = [word], True
    answer: dict[str, Any] = json.loads(call(gateways.application, operation, **options)["body"])
    bank.lookup_fails = False
    return answer


def test_the_applier_asks_for_what_its_role_allows(gateways: Gateways) -> None:
    """A payment and a refund in doubt, one that may still arrive, a refund of the dashboard, an event about nothing."""
    bank: Any = gateways.application.gateway("bank")
    services, bodies = gateways.application.services, []

    def deliver(reference: str, event_id: str) -> None:
        assert (
            gateways.post(bank_event(event_id=event_id, payment_reference=reference, reference=reference), event_id)
            == 200
        )
        batch = gateways.taken()
        bodies.extend(batch)
        assert gateways.run("apply_gateway_events", {"Records": batch}) == {"batchItemFailures": []}

    payment_id = doubtful(gateways, "create_payment", "booked_lost", key="k" * 16)["id"]
    deliver(f"{payment_id}-1", "evt_1")
    assert get_payment(services, "mer_1", payment_id)["status"] == "captured"
    doubtful(
        gateways,
        "refund_payment",
        "booked_lost",
        key="r" * 16,
        body={"amount_minor": 50},
        path={"payment_id": payment_id},
    )
    deliver(bank.submissions[-1].gateway_reference, "evt_2")
    assert get_payment(services, "mer_1", payment_id)["refunded_minor"] == 50
    bank.elsewhere(OperationKind.REFUND, 100)
    deliver(f"{payment_id}-1", "evt_3")
    assert get_payment(services, "mer_1", payment_id)["refunded_minor"] == 150
    held = doubtful(gateways, "create_payment", "lost", key="l" * 16)["id"]
    deliver(f"{held}-1", "evt_4")
    deliver("pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S-1", "evt_5")
    deliver("", "evt_6")
    states = {
        number: kept.state.value
        for number in range(1, 7)
        if (kept := find_notice(gateways.application.database, f"bank#evt_{number}")) is not None
    }
    assert states == {1: "applied", 2: "applied", 3: "applied", 4: "received", 5: "received", 6: "unknown"}
    assert (
        unused("apply_gateway_events", gateways.asked["apply_gateway_events"])
        == {
            **ON_GATEWAYS,
            Grant("sqs:SendMessageBatch", "GatewayEventQueue"): LOCAL_CLOUD,
            GIVEN_BACK: "A claim of which the gateway says that it did nothing.",
            Grant("dynamodb:PutItem", "IdempotencyTable"): "The settlement of what the gateway turns out to hold.",
        }.keys()
    )


@pytest.mark.parametrize(
    "function", [*(name for name, explained in NOT_ASKED_FOR.items() if TOLD in explained), "apply_gateway_events"]
)
def test_whoever_asks_gateways_may_read_what_was_told(gateways: Gateways, function: str) -> None:
    """Fails when a role could not read the book of gateways that can't be asked: no doubt there would ever end."""
    with recorded() as calls:
        KeptNoticeBook(gateways.application.database).outcomes("adyen", ["pay_1-1", "QFQTPCQ8HXSKGK82"])
    assert {call.action for call in calls} == {"dynamodb:BatchGetItem"}
    assert all(any(grant.allows(call) for grant in grants(function_names()[function])) for call in calls)


def test_only_what_is_no_message_comes_again(gateways: Gateways) -> None:
    """Fails when one poisoned message brings its whole batch back, or an event that is gone is one."""
    assert gateways.run("apply_gateway_events", sample("apply_gateway_events", "unknown_event")) == {
        "batchItemFailures": []
    }
    batch = sample("apply_gateway_events", "one_is_no_message")
    failures = gateways.run("apply_gateway_events", batch)["batchItemFailures"]
    assert failures == [{"itemIdentifier": batch["Records"][0]["messageId"]}]
