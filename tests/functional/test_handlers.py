"""Every function's own handler, fed with every event of events/, on the template's tables in moto."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.domain.events import build_event
from payonce.domain.ids import event_place
from payonce.domain.payment import Change
from payonce.domain.webhooks import DeliveryStatus
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import to_item
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.outbox import event_write
from payonce.payments.booking import first_writes
from payonce.payments.representation import payment_view
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.manual import Match, RowRef
from payonce.recovery.feeder import FeederReport
from payonce.stores.dynamodb_requests import from_attributes
from payonce.webhooks.deliveries import new_delivery
from payonce.webhooks.delivery_writes import insert_write
from payonce.webhooks.endpoints import create_writes
from payonce.webhooks.quota import LEFT, quota_key
from payonce.webhooks.replay_items import ReplayOnly, insert_replay_write, new_replay
from tests.functional.conftest import handlers, load_handler
from tests.support.aws import (
    REGION,
    REPOSITORY,
    dump,
)
from tests.support.breaks import store_break, store_proposal
from tests.support.disputes import store_dispute
from tests.support.events import Context
from tests.support.payments import stored_payment, waiting_payment
from tests.support.setups import saved_method, store_method, store_setup, waiting_setup
from tests.support.webhook_api import holds_secret, store_event, stored_endpoint

if TYPE_CHECKING:
    from payonce.domain.payment import Payment
    from payonce.wiring.application import Application

ALL_EVENTS = sorted((REPOSITORY / "events").glob("*/*.json"))
# These have tests of their own.
BEHIND_THE_OUTBOX = {
    "relay_events",
    "ask_gateways",
    "dispatch_deliveries",
    "schedule_deliveries",
    "accept_events",
    "accept_gateway_events",
    "apply_gateway_events",
    "reconcile",
    "correct_break",
    "observe_claims",
    "keep_overview",
    "predict_routes",
}
EVENTS = [path for path in ALL_EVENTS if path.parent.name not in BEHIND_THE_OUTBOX]
EXPECTED = {
    "create_payment/captured": 201,
    "create_payment/authorized": 201,
    "create_payment/declined": 201,  # the scripted gateway knows no magic tokens
    "create_payment/no_key": 400,
    "create_payment/short_key": 400,
    "create_payment/float_amount": 400,
    "create_payment/card_number": 400,
    "create_payment/malformed": 400,
    "create_payment/no_scope": 403,
    "capture_payment/part": 201,
    "capture_payment/rest": 201,
    "capture_payment/no_key": 400,
    "confirm_payment/came_back": 201,
    "confirm_payment/no_result": 400,
    "confirm_payment/no_key": 400,
    "cancel_payment/whole": 201,
    "cancel_payment/no_key": 400,
    "refund_payment/part": 201,
    "refund_payment/rest": 201,
    "refund_payment/no_key": 400,
    "get_payment/by_id": 200,
    "get_payment_history/by_id": 200,
    "list_payments/first_page": 200,
    "list_payments/by_reference": 200,
    "list_payments/bad_cursor": 400,
    "list_payments/by_customer": 200,
    "create_setup/succeeded": 201,
    "create_setup/declined": 201,  # the scripted gateway knows no magic tokens
    "create_setup/no_customer": 400,
    "create_setup/no_key": 400,
    "confirm_setup/came_back": 201,
    "confirm_setup/no_key": 400,
    "cancel_setup/whole": 201,
    "cancel_setup/no_key": 400,
    "revoke_payment_method/by_id": 201,
    "revoke_payment_method/no_key": 400,
    "list_setups/first_page": 200,
    "list_setups/nobody": 400,
    "get_setup/by_id": 200,
    "list_payment_methods/first_page": 200,
    "list_payment_methods/bad_cursor": 400,
    "get_payment_method/by_id": 200,
    "list_disputes/first_page": 200,
    "list_disputes/lost": 200,
    "list_disputes/bad_cursor": 400,
    "get_dispute/by_id": 200,
    "list_payment_disputes/by_id": 200,
    "get_balances/all": 200,
    "create_webhook_endpoint/all_events": 201,
    "create_webhook_endpoint/ed25519": 201,
    "create_webhook_endpoint/unknown_event_type": 400,
    "create_webhook_endpoint/private_address": 400,
    "create_webhook_endpoint/no_key": 400,
    "list_webhook_endpoints/all": 200,
    "get_webhook_endpoint/by_id": 200,
    "update_webhook_endpoint/disable": 200,
    "update_webhook_endpoint/nothing": 400,
    "update_webhook_endpoint/no_key": 400,
    "delete_webhook_endpoint/by_id": 200,
    "delete_webhook_endpoint/no_key": 400,
    "rotate_webhook_secret/overlap": 201,
    "rotate_webhook_secret/too_long": 400,
    "rotate_webhook_secret/no_key": 400,
    "test_webhook_endpoint/test": 201,
    "test_webhook_endpoint/no_key": 400,
    "list_webhook_deliveries/failed": 200,
    "list_webhook_deliveries/bad_cursor": 400,
    "get_webhook_delivery/by_id": 200,
    "redeliver_webhook/failed": 202,
    "redeliver_webhook/no_key": 400,
    "replay_webhooks/an_hour": 202,
    "replay_webhooks/backwards": 400,
    "replay_webhooks/no_key": 400,
    "get_webhook_replay/by_id": 200,
    "list_events/first_page": 200,
    "list_events/bad_cursor": 400,
    "get_event/by_id": 200,
    "list_breaks/first_page": 200,
    "list_breaks/one_class": 200,
    "list_breaks/unknown_status": 400,
    "list_breaks/bad_cursor": 400,
    "list_breaks/no_scope": 403,
    "get_break/by_id": 200,
    "get_break/no_scope": 403,
    "get_break_history/by_id": 200,
    "comment_on_break/comment": 201,
    "comment_on_break/empty": 400,
    "comment_on_break/no_key": 400,
    "comment_on_break/no_scope": 403,
    "assign_break/somebody": 201,
    "assign_break/nobody": 201,
    "assign_break/no_key": 400,
    "list_break_matches/by_id": 200,
    "match_breaks/two": 201,
    "match_breaks/no_reason": 400,
    "match_breaks/no_key": 400,
    "match_breaks/no_scope": 403,
    "unmatch_breaks/by_id": 201,
    "unmatch_breaks/no_key": 400,
    "get_correction/by_id": 200,
    "propose_correction/half": 201,
    "propose_correction/old_version": 409,
    "propose_correction/no_key": 400,
    "approve_correction/first_version": 200,
    "approve_correction/old_version": 409,
    "approve_correction/no_key": 400,
    "approve_correction/no_scope": 403,
    "reject_correction/first_version": 200,
    "reject_correction/no_key": 400,
    "reject_correction/no_scope": 403,
    "get_idempotency_key/any_operation": 200,
    "get_idempotency_key/one_operation": 200,
    "get_idempotency_key/bad_operation": 400,
    "get_idempotency_key/no_scope": 403,
    "idempotency_proxy/upstream_down": 503,
    "idempotency_proxy/no_key": 400,
    "idempotency_proxy/no_scope": 403,
    "idempotency_proxy/no_route": 404,
    "pages/sign_in": 200,
    "pages/no_session": 303,
    "pages/no_asset": 404,
    "session_actions/no_session": 303,
    "session_actions/other_site": 403,
    "session_actions/no_action": 404,
    "key_actions/no_session": 303,
    "key_actions/other_site": 403,
    "webhook_actions/no_session": 303,
    "webhook_actions/other_site": 403,
    "routing_actions/no_session": 303,
    "routing_actions/other_site": 403,
    "case_actions/no_session": 303,
    "case_actions/other_site": 403,
    "file_actions/no_session": 303,
    "file_actions/other_site": 403,
}

SETUP_ID = "setup_01K8X3Q5ZC4T9V7W2M6N8P0R1T"
METHOD_ID = "method_01K8X3Q5ZC4T9V7W2M6N8P0R1T"
LISTED_ID = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1T"


def test_every_function_has_events() -> None:
    """Fails when a function is added without any."""
    assert {path.parent.name for path in ALL_EVENTS} == set(handlers())


@pytest.mark.parametrize("path", EVENTS, ids=[f"{path.parent.name}/{path.stem}" for path in EVENTS])
def test_the_handler_answers_its_event(path: Any, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    event = json.loads(path.read_text())
    case = f"{path.parent.name}/{path.stem}"
    handler = load_handler(path.parent.name, application, monkeypatch)
    store_what_is_named(application, path.parent.name, event)
    if path.parent.name == "authorize":
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            handler(event, Context())
        return
    answer = handler(event, Context())
    if path.parent.name == "recover_payments":
        assert answer == asdict(FeederReport())
        return
    if path.parent.name == "audit_idempotency":
        assert answer == {"batchItemFailures": []}
        return
    assert answer["statusCode"] == EXPECTED[case], answer["body"]
    again = handler(event, Context())
    if event.get("httpMethod") != "GET" and answer["statusCode"] < 300:
        assert again["body"] == answer["body"]
        assert again["headers"]["Idempotency-Replayed"] == "true"
    if "payment" in path.parent.name and answer["statusCode"] == 201:
        assert len(application.gateway("bank").bookings) == 1  # type: ignore[attr-defined]


def store_what_is_named(application: Application, function: str, event: dict[str, Any]) -> None:
    """Store the payment, the endpoint, the delivery, the replay or the event that the path is about."""
    named = event.get("pathParameters") or {}
    merchant_id = ((event.get("requestContext") or {}).get("authorizer") or {}).get("merchant_id", "")
    database, now_ms = application.database, application.clock.now_ms()
    if "dispute" in function:
        store_dispute(database, merchant_id)
    elif "payment_id" in named:
        payment = named_payment(function, merchant_id, named["payment_id"])
        database.write(first_writes(payment, Change.CHARGED, None))
    store_named_setup(application, function, merchant_id, named)
    if "endpoint_id" in named:
        database.write(create_writes(stored_endpoint(merchant_id, named["endpoint_id"])))
        database.write([Insert(Table.ENDPOINTS, {**quota_key(merchant_id), LEFT: 99})])
        store_named_delivery(application, merchant_id, named)
    if "idempotency_key" in named:
        one = record_id(merchant_id, "create_payment", named["idempotency_key"])
        database.write([Insert(Table.IDEMPOTENCY, to_item(stored_claim(one, now_ms)))])
    if "match" in function:
        store_matchable(application, merchant_id, named)
    elif "break_id" in named:
        store_proposal(database, store_break(database, merchant_id, named["break_id"], now_ms))
    if function in {"list_payments", "list_events"}:
        listed = stored_payment(merchant_id, LISTED_ID, captured=True)
        database.write(first_writes(replace(listed, updated_at_ms=now_ms - 60_000), Change.CHARGED, None))
    if "event_id" in named:
        store_named_event(application, merchant_id, named["event_id"])


def store_named_setup(application: Application, function: str, merchant_id: str, named: dict[str, str]) -> None:
    """Store the set-up, or the saved payment method, that the function reads or changes."""
    if "setup" in function and function != "create_setup":
        store_setup(application.database, waiting_setup(merchant_id, named.get("setup_id", SETUP_ID)))
    if "payment_method" in function:
        method_id = named.get("payment_method_id", METHOD_ID)
        store_method(application.database, saved_method(merchant_id, method_id))


def store_named_delivery(application: Application, merchant_id: str, named: dict[str, str]) -> None:
    """Store the delivery or the replay that the path names."""
    database, now_ms = application.database, application.clock.now_ms()
    if "delivery_id" in named:
        outbox_event = store_event(database, 1, created_at_ms=now_ms, merchant_id=merchant_id)
        delivery = new_delivery(outbox_event, named["endpoint_id"], DeliveryStatus.FAILED, now_ms=now_ms)
        database.write([insert_write(replace(delivery, delivery_id=named["delivery_id"]))])
    if "replay_id" in named:
        endpoint = stored_endpoint(merchant_id, named["endpoint_id"])
        replay = new_replay(endpoint, named["replay_id"], only=ReplayOnly.ALL, from_ms=0, until_ms=1, now_ms=now_ms)
        database.write([insert_replay_write(replay)])


def store_named_event(application: Application, merchant_id: str, event_id: str) -> None:
    """Store an event with this id."""
    resource_id, version = event_place(event_id)
    made = build_event(
        Change.CHARGED,
        merchant_id=merchant_id,
        resource_id=resource_id,
        version=version,
        created_at_ms=application.clock.now_ms(),
        data=payment_view(stored_payment(merchant_id, resource_id, captured=True)),
    )
    application.database.write([event_write(made)])


def named_payment(function: str, merchant_id: str, payment_id: str) -> Payment:
    """Return the payment in the state that the function needs."""
    if function == "confirm_payment":
        return waiting_payment(merchant_id, payment_id)
    return stored_payment(merchant_id, payment_id, captured=function == "refund_payment")


def store_matchable(application: Application, merchant_id: str, named: dict[str, str]) -> None:
    """Store the break and the other one that bodies name, and the match that the path names."""
    database, now_ms = application.database, application.clock.now_ms()
    other = "brk_" + "c8" * 32
    cases = [
        store_break(database, merchant_id, named["break_id"], now_ms),
        store_break(database, merchant_id, other, now_ms, "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1T"),
    ]
    if "match_id" in named:
        rows = (RowRef("ledger", "je_1"), RowRef("gateway", "bank|t1"))
        match = Match(match_id=named["match_id"], rows=rows, reason="seen", by="key_1", at_ms=now_ms)
        database.write(MatchStore(database).writes_of(match, cases, merchant_id=merchant_id))


def stored_claim(one: str, now_ms: int) -> IdempotencyRecord:
    return IdempotencyRecord(
        record_id=one,
        status=RecordStatus.IN_PROGRESS,
        claim_id="pay_1",
        fence=1,
        fingerprint="f",
        created_at_ms=now_ms,
        expires_at_ms=now_ms + 1,
        lease_expires_at_ms=now_ms + 1,
    )


def test_the_audit_function_writes_the_life_of_a_claim_once(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function's own handler and event, on the template's table. Fails when a batch that comes again adds entries,
    or a deletion by TTL is not told from a release.
    """
    handler = load_handler("audit_idempotency", application, monkeypatch)
    event = json.loads((REPOSITORY / "events/audit_idempotency/life_of_a_claim.json").read_text())
    for _ in range(2):
        assert handler(event, Context()) == {"batchItemFailures": []}
    one = event["Records"][0]["dynamodb"]["Keys"]["id"]["S"]
    history = application.audit_trail.history(one)
    assert [(entry.transition.value, entry.fence, entry.principal) for entry in history] == [
        ("claimed", 1, "payonce"),
        ("taken_over", 2, "payonce"),
        ("completed", 2, "payonce"),
        ("expired", 2, "dynamodb.amazonaws.com"),
    ]
    found = list(application.audit_trail.entries(from_ms=0, until_ms=history[-1].at_ms, scope=history[0].scope))
    assert found == history[:-1]


def test_a_change_by_hand_is_reported(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when the alarm has nothing to count."""
    handler = load_handler("audit_idempotency", application, monkeypatch)
    handler(json.loads((REPOSITORY / "events/audit_idempotency/changed_by_hand.json").read_text()), Context())
    assert "claim changed by hand" in caplog.messages


def test_looking_at_a_key_is_one_round_trip(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when each operation is looked up on its own, or the trail is asked although the record is there."""
    calls: list[str] = []
    client = application.database._client  # type: ignore[attr-defined]
    client.meta.events.register(
        "before-send.dynamodb.*", lambda **sent: calls.append(str(sent["request"].headers["X-Amz-Target"]))
    )
    event = json.loads((REPOSITORY / "events/get_idempotency_key/any_operation.json").read_text())
    store_what_is_named(application, "get_idempotency_key", event)
    calls.clear()
    assert load_handler("get_idempotency_key", application, monkeypatch)(event, Context())["statusCode"] == 200
    assert len(calls) == 1
    assert "BatchGetItem" in calls[0]


def test_a_secret_is_sealed_by_kms_and_shown_again(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of AWS is moto. Fails when the stored record holds the secret, or the replay does not open it."""
    event = json.loads((REPOSITORY / "events/create_webhook_endpoint/all_events.json").read_text())
    handler = load_handler("create_webhook_endpoint", application, monkeypatch)
    secret = json.loads(handler(event, Context())["body"])["secret"]
    assert json.loads(handler(event, Context())["body"])["secret"] == secret
    client = application.database._client  # type: ignore[attr-defined]
    names = {table: table.value for table in Table}
    items = [from_attributes(item) for found in dump(client, names).values() for item in found]
    assert len(items) > 3
    assert not any(holds_secret(item, secret) for item in items)


def test_a_redelivery_is_in_the_queue(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    event = json.loads((REPOSITORY / "events/redeliver_webhook/failed.json").read_text())
    store_what_is_named(application, "redeliver_webhook", event)
    load_handler("redeliver_webhook", application, monkeypatch)(event, Context())
    sqs = boto3.client("sqs", region_name=REGION)
    (message,) = sqs.receive_message(QueueUrl=application.settings.delivery_queue_url)["Messages"]
    asked = json.loads(message["Body"])
    assert (asked["endpoint_id"], asked["lane"]) == (event["pathParameters"]["endpoint_id"], 0)


def test_a_known_key_is_authorized(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    merchant_id = application.merchants.create_merchant("Acme", gateway="bank")
    _, api_key = application.merchants.create_api_key(merchant_id, ["payments:read"])
    event = json.loads((REPOSITORY / "events/authorize/unknown_key.json").read_text())
    policy = load_handler("authorize", application, monkeypatch)(
        {**event, "authorizationToken": f"Bearer {api_key}"}, Context()
    )
    assert policy["context"] == {"merchant_id": merchant_id, "scopes": "payments:read", "gateway": "bank"}
    statement = policy["policyDocument"]["Statement"][0]
    assert (statement["Effect"], statement["Resource"].split("/", 1)[1]) == ("Allow", "sandbox/*")


def test_a_revoked_key_is_not(application: Application) -> None:
    from payonce.domain.errors import Unauthenticated
    from payonce.merchants.api_keys import hash_api_key

    merchant_id = application.merchants.create_merchant("Acme")
    _, api_key = application.merchants.create_api_key(merchant_id)
    assert application.merchants.authenticate(f"bearer {api_key}").merchant_id == merchant_id
    application.merchants.revoke_api_key(hash_api_key(api_key))
    with pytest.raises(Unauthenticated):
        application.merchants.authenticate(f"Bearer {api_key}")


def test_round_trips_are_counted(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two DynamoDB calls for a fresh payment, one for a replay and for a conflict. Fails when somebody adds one."""
    calls: list[str] = []
    client = application.database._client  # type: ignore[attr-defined]
    client.meta.events.register(
        "before-send.dynamodb.*", lambda **sent: calls.append(sent["request"].headers["X-Amz-Target"])
    )
    handler = load_handler("create_payment", application, monkeypatch)
    event = json.loads((REPOSITORY / "events/create_payment/captured.json").read_text())

    def count(body: str | None = None) -> list[str]:
        calls.clear()
        handler({**event, "body": body or event["body"]}, Context())
        return [name.decode().split(".")[-1] if isinstance(name, bytes) else name.split(".")[-1] for name in calls]

    assert count() == ["PutItem", "TransactWriteItems"]
    assert count() == ["PutItem"]
    assert count(event["body"].replace("1050", "1051")) == ["PutItem"]
