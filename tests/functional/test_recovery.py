"""The recovery functions, from a payment in doubt to its end: index, feeder, queue, asker, on the template's tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.payments.payment_reads import get_payment
from payonce.recovery.feeder import FeederReport
from tests.functional.conftest import load_handler
from tests.support.aws import REGION, REPOSITORY
from tests.support.events import PAYMENT, Context, call

if TYPE_CHECKING:
    from payonce.wiring.delivery import DeliveryApplication

MINUTE_MS = 60_000


class LongContext(Context):
    """What a function with the feeder's or the asker's time gets."""

    def get_remaining_time_in_millis(self) -> int:
        """A fresh function's time."""
        return 35_000


@pytest.fixture
def run(application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return how a function is run on an event."""
    return lambda function, event: load_handler(function, application, monkeypatch)(event, LongContext())


def taken(application: DeliveryApplication) -> dict[str, Any]:
    """Return the batch that the queue's event source would hand over."""
    sqs = boto3.client("sqs", region_name=REGION)
    answer = sqs.receive_message(QueueUrl=application.settings.recovery_queue_url, MaxNumberOfMessages=1)
    return {"Records": [{"messageId": m["MessageId"], "body": m["Body"]} for m in answer.get("Messages", [])]}


def event(function: str, case: str) -> Any:
    return json.loads((REPOSITORY / "events" / function / f"{case}.json").read_text())


def test_a_payment_in_doubt_comes_to_its_end(run: Any, application: DeliveryApplication) -> None:
    """Fails when a part of the way is missing: the index's attributes, the message, the takeover, the report."""
    bank: Any = application.gateway("bank")
    bank.script, bank.lookup_fails = ["lost"], True
    doubtful = json.loads(call(application, "create_payment", PAYMENT)["body"])
    assert doubtful["status"] == "in_doubt"
    bank.lookup_fails = False
    application.clock.offset_ms += 2 * MINUTE_MS  # type: ignore[attr-defined]
    first = run("recover_payments", event("recover_payments", "scheduled"))
    assert (first["in_doubt"], first["released"], first["failed"]) == (1, 1, 0)
    assert run("ask_gateways", taken(application)) == {"batchItemFailures": []}
    assert get_payment(application.services, "mer_1", doubtful["id"])["status"] == "captured"
    assert len(bank.bookings) == 1
    after = run("recover_payments", event("recover_payments", "scheduled"))
    assert after == asdict(FeederReport())


def test_claims_that_are_gone_are_no_failure(run: Any) -> None:
    assert run("ask_gateways", event("ask_gateways", "unknown_claims")) == {"batchItemFailures": []}


def test_what_is_no_message_comes_again_alone(run: Any) -> None:
    """Fails when it takes the rest of its batch with it. After the second time it is put aside."""
    batch = event("ask_gateways", "one_is_no_message")
    failures = run("ask_gateways", batch)["batchItemFailures"]
    assert failures == [{"itemIdentifier": batch["Records"][0]["messageId"]}]
