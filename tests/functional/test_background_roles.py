"""The functions that streams, queues and schedules call: no role is wider than what its function asks for.

Each runs with what it is made for; what is not asked for even then is explained here, as in test_roles.py.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.aws.s3_files import S3Files
from payonce.corrections.policy import POLICY_FILE
from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.domain.errors import StoreThrottled
from payonce.domain.ids import UlidSource
from payonce.domain.webhooks import DeliveryStatus
from payonce.ports import Insert, Table
from payonce.reconciliation.runs.kept_rows import ROWS
from payonce.stores.dynamodb_requests import from_stream_image
from payonce.webhooks.endpoints import load_endpoint
from payonce.webhooks.relay import Relay
from payonce.webhooks.replay_items import ReplayOnly, held_replay, insert_replay_write, new_replay
from tests.functional import test_correct_break, test_predict_routes, test_reconcile
from tests.functional.conftest import load_handler
from tests.functional.test_background import MERCHANT, event, queued
from tests.functional.test_roles import GIVEN_BACK, LOCAL_CLOUD, ON_GATEWAYS, unused
from tests.support.aws import REGION
from tests.support.corrections import double_charge, duplicate_capture
from tests.support.events import Context
from tests.support.roles import Call, Grant, recorded
from tests.support.webhook_api import new_endpoint, store_delivery, store_event
from tests.unit.reconciliation.test_inbox import REPORT
from tools.make_events import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.wiring.delivery import DeliveryApplication
    from payonce.wiring.routing import RoutingApplication
    from tests.functional.test_correct_break import Stage

stage = test_correct_break.stage
routing, run, mode = test_predict_routes.routing, test_predict_routes.run, test_predict_routes.mode
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
AWAY = NoAnswer(reason=NoAnswerReason.CONNECTION_FAILED, latency_ms=1, detail="The receiver took no connection.")
MAY_BE_MISSING = Grant("s3:ListBucket", "ReconciliationBucket")
ONLY_TO_BE_TOLD = "Without it S3 answers 403 for an object that is not there: no call of its own."
MORE_LANES = ("pk", "sk", "lanes")
LAMBDAS_OWN = "Lambda sends there what it gives up."


def sqs_event(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Return messages as Lambda's poller brings them."""
    like = event("dispatch_deliveries", "unknown_delivery")["Records"][0]
    return {
        "Records": [{**like, "messageId": str(number), "body": json.dumps(body)} for number, body in enumerate(bodies)]
    }


class Background:
    """Runs background functions on one application, and keeps what each asked AWS for."""

    def __init__(self, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> None:
        self.application, self._monkeypatch = application, monkeypatch
        self.asked: dict[str, set[Call]] = {}

    def run(self, function: str, happened: dict[str, Any]) -> Any:
        """Run a function on an event."""
        handler = load_handler(function, self.application, self._monkeypatch)
        with recorded() as calls:
            answer = handler(happened, Context())
        self.asked.setdefault(function, set()).update(calls)
        return answer

    def check(self, function: str, explained: Mapping[Grant, str]) -> None:
        """Hold the function's role to what was asked for."""
        assert unused(function, self.asked[function]) == explained.keys()


@pytest.fixture
def background(application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> Background:
    answers = iter([AWAY, Answer(status=410, latency_ms=1)])
    monkeypatch.setattr("payonce.network.webhook_sender.WebhookSender.post", lambda *_given, **_named: next(answers))
    return Background(application, monkeypatch)


def test_webhooks_functions_ask_for_what_their_roles_allow(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list takes no more at first; a receiver is away, then gone for good."""
    application = background.application
    new_endpoint(application, merchant_id=MERCHANT)
    images = [record["dynamodb"]["NewImage"] for record in event("relay_events", "two_events")["Records"]]
    application.database.write([Insert(Table.OUTBOX, from_stream_image(image)) for image in images])
    with monkeypatch.context() as full:
        full.setattr(Relay, "_insert", lambda _relay, _plan: (StoreThrottled("full"), False))
        refused = background.run("relay_events", event("relay_events", "two_events"))["batchItemFailures"]
    assert refused
    assert background.run("relay_events", event("relay_events", "two_events"))["batchItemFailures"] == []
    del application.__dict__["cipher"]  # another process opens the secret
    for message in queued(application):
        background.run("dispatch_deliveries", sqs_event([message]))
    background.check(
        "relay_events",
        {
            Grant("sqs:SendMessageBatch", "DeliveryQueue"): LOCAL_CLOUD,
            Grant("sqs:SendMessage", "RelayFailures"): LAMBDAS_OWN,
            Grant("dynamodb:GetItem", "EndpointsTable"): "A lane that was held is looked at again; webhooks/relay.py.",
        },
    )
    background.check("dispatch_deliveries", {Grant("sqs:SendMessageBatch", "DeliveryQueue"): LOCAL_CLOUD})


def test_the_scheduler_asks_for_what_its_role_allows(background: Background) -> None:
    """The stream lost an event, the queue a message; one replay goes through events, one through what was held."""
    application = background.application
    clock, database = application.clock, application.database
    now_ms = clock.now_ms()
    view = new_endpoint(application, merchant_id=MERCHANT)
    lost = store_event(database, 1, created_at_ms=now_ms - HOUR_MS, merchant_id=MERCHANT)
    store_delivery(database, lost, view["id"], DeliveryStatus.PENDING, now_ms=now_ms - DAY_MS)
    held = store_event(database, 2, created_at_ms=now_ms - DAY_MS, merchant_id=MERCHANT)
    store_delivery(database, held, view["id"], DeliveryStatus.HELD, now_ms=now_ms - DAY_MS)
    endpoint = load_endpoint(database, MERCHANT, view["id"])
    assert endpoint is not None
    began_ms, ended_ms = now_ms - 2 * DAY_MS, now_ms - HOUR_MS
    for replay in (
        new_replay(endpoint, "rpl_1", only=ReplayOnly.ALL, from_ms=began_ms, until_ms=ended_ms, now_ms=began_ms),
        held_replay(endpoint, "rpl_2", now_ms=ended_ms),
    ):
        database.write([insert_replay_write(replay)])
    store_event(database, 3, created_at_ms=now_ms - HOUR_MS, merchant_id=MERCHANT)
    for _ in range(2):
        background.run("schedule_deliveries", event("schedule_deliveries", "scheduled"))
        clock.offset_ms += 2 * HOUR_MS  # type: ignore[attr-defined]
    background.check(
        "schedule_deliveries",
        {
            Grant("sqs:SendMessageBatch", "DeliveryQueue"): LOCAL_CLOUD,
            Grant(
                "dynamodb:UpdateItem", "EndpointsTable", attributes=MORE_LANES
            ): "Its relay asks for it as the other.",
        },
    )


def test_the_inbox_asks_for_what_its_role_allows(background: Background) -> None:
    background.application.database.write([Insert(Table.MERCHANTS, {"pk": f"MERCHANT#{MERCHANT}", "sk": "MERCHANT"})])
    background.run("accept_events", event("accept_events", "copies"))
    background.check("accept_events", {})


def test_routings_functions_ask_for_what_their_roles_allow(
    run: Callable[[str, dict[str, Any]], Any], routing: RoutingApplication
) -> None:
    """A claim is observed, and decided about."""
    with recorded() as observed:
        test_predict_routes.test_what_the_stream_tells_becomes_the_document_in_force(run, routing)
    assert unused("observe_claims", observed) == set()
    assert unused("predict_routes", observed) == set()


def test_corrections_ask_for_what_their_role_allows(
    application: DeliveryApplication, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The policy lies in the bucket; one correction is in doubt, one is refused, one is decided before it waits."""
    test_reconcile.reconciling.__wrapped__(application, monkeypatch)  # type: ignore[attr-defined]
    stage.application.files = S3Files(boto3.client("s3", region_name=REGION), test_reconcile.BUCKET)
    monkeypatch.setattr(stage, "policy", lambda text: test_reconcile.put(POLICY_FILE, text.encode()))
    with recorded() as calls:
        stage.policy(test_correct_break.AUTOMATIC)
        stage.walk(double_charge(stage.world))
        found = duplicate_capture(stage.world)
        stage.world.gateway.script, stage.world.gateway.visible_after_ms = ["booked_lost"], 10_000
        stage.walk(found)
        found = duplicate_capture(stage.world)
        stage.world.gateway.script = ["never"]
        stage.walk(found)
    assert (
        unused("correct_break", calls)
        == {
            **ON_GATEWAYS,
            MAY_BE_MISSING: ONLY_TO_BE_TOLD,
            GIVEN_BACK: "A step that fails before it sends gives its claim back, as every keyed operation.",
            Grant("dynamodb:GetItem", "IdempotencyTable"): "What another execution of the step has claimed.",
            Grant("dynamodb:Query", "OutboxTable"): "An entry booked twice; corrections/reversal.py.",
            Grant(
                "states:SendTaskSuccess", "CorrectionsWorkflow"
            ): "Workflows are in memory here; aws/step_functions.py.",
        }.keys()
    )


def workflow_arn() -> str:
    """Return the ARN of a state machine that does nothing."""
    made = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
        name="corrections",
        definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
        roleArn="arn:aws:iam::123456789012:role/nobody",
    )
    return made["stateMachineArn"]


def test_reconciliation_asks_for_what_its_role_allows(
    application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy, a report with a charge that nobody knows, the same report again, and a run of the schedule."""
    reconciling = test_reconcile.reconciling.__wrapped__(application, monkeypatch)  # type: ignore[attr-defined]
    reconciling.settings = replace(application.settings, corrections_arn=workflow_arn())
    run = test_reconcile.run.__wrapped__(reconciling, application, monkeypatch)  # type: ignore[attr-defined]
    gateway: Any = application.gateway("bank")
    text = json.dumps(event("create_payment", "captured"))
    create = load_handler("create_payment", application, monkeypatch)
    for word in ("ok", "booked_lost"):
        gateway.script, gateway.lookup_fails = [word], word != "ok"
        create(json.loads(text.replace(KEY, f"{KEY}-{word}")), Context())
    known, in_doubt = (submitted.gateway_reference for submitted in gateway.submissions)
    now = datetime.now(UTC)
    ago = now - timedelta(days=7)  # no longer in transit
    unknown = f"{UlidSource(lambda: int(1000 * ago.timestamp()), os.urandom).new('pay')}-1"
    charged = ((known, now), (known, now), (in_doubt, now), (unknown, ago))
    paid = [
        f"charge,t{number},{reference},10.50,0.00,10.50,EUR,{at:%Y-%m-%dT%H:%M:%SZ},{at:%Y-%m-%dT%H:%M:%SZ},p1"
        for number, (reference, at) in enumerate(charged)
    ]
    head = REPORT.decode().splitlines()[0]
    report = "\n".join([head, *paid, "total,4,,42.00,0.00,42.00,EUR,,,", ""]).encode()
    with recorded() as calls:
        test_reconcile.put("policy/run.toml", b"in_transit_hours = 48\n")
        test_reconcile.put("incoming/gateway/bank/24 November.csv", report)
        for case in ("policy", "report", "report"):
            run(case)
    forget_rows()  # as an update does that keeps them in another form
    with recorded() as after:
        run("scheduled")
    assert (
        unused("reconcile", calls | after)
        == {
            MAY_BE_MISSING: ONLY_TO_BE_TOLD,
            Grant("dynamodb:BatchGetItem", "OutboxTable"): "The payments of a double charge; cases/explain.py.",
            Grant(
                "dynamodb:Query", "PaymentsTable/index/operations-by-gateway-reference"
            ): "A refund that the period's movements lack; runs/ledger_rows.py.",
        }.keys()
    )


def forget_rows() -> None:
    """Delete the kept rows of all files."""
    s3 = boto3.client("s3", region_name=REGION)
    for kept in s3.list_objects_v2(Bucket=test_reconcile.BUCKET, Prefix=ROWS)["Contents"]:
        s3.delete_object(Bucket=test_reconcile.BUCKET, Key=kept["Key"])
