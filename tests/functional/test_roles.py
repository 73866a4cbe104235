"""No role is wider than its function: each grant is asked for by the function's own handler, or is explained here.

The other half, that no handler asks for more, holds in every test that runs one (conftest.within_its_role).
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import WriteConflict
from payonce.idempotency.records import RecordStatus
from payonce.ports import Adjust, Table
from tests.functional.conftest import load_handler
from tests.functional.test_handlers import EVENTS, store_matchable, store_what_is_named
from tests.functional.test_recovery import LongContext, taken
from tests.support.aws import REPOSITORY
from tests.support.events import Context
from tests.support.roles import Call, Grant, function_names, grants, recorded
from tools.make_events import KEY, MERCHANT_ID, PATH_IDS

if TYPE_CHECKING:
    from payonce.wiring.delivery import DeliveryApplication

# test_console_roles.py has those of the console, whose requests need a session.
CONSOLE = {
    *("pages", "session_actions", "key_actions", "webhook_actions", "routing_actions", "case_actions", "file_actions")
}
# The others have events of their own kind.
IN_THE_REQUEST = sorted(
    {path.parent.name for path in EVENTS}
    - {"recover_payments", "ask_gateways", "audit_idempotency", "authorize", *CONSOLE}
)
ON_THE_GATEWAY = {
    "confirm_payment",
    "create_payment",
    "capture_payment",
    "cancel_payment",
    "refund_payment",
    "create_setup",
    "confirm_setup",
    "cancel_setup",
    "revoke_payment_method",
}
CLAIM = ("dynamodb:PutItem", "IdempotencyTable")
SECRET = Grant("secretsmanager:GetSecretValue", "GatewaySecret")
PARAMETER = Grant("ssm:GetParameter", "parameter/proxy")
ONLY_LIVE_GATEWAYS = "The tests' gateway needs no credentials; gateways/secrets.py reads those of the others."
TOLD = Grant("dynamodb:BatchGetItem", "NoticesTable", ("told#*",))
ONLY_ADYEN = "A gateway that can be asked needs no book; see test_gateway_events.py for the one that can't."
ACCOUNTS = Grant("dynamodb:GetItem", "CredentialsTable")
OPENS_KEYS = Grant("kms:Decrypt", "SecretsKey", ("gateway_credentials",))
ONLY_OWN_ACCOUNTS = "The tests' merchants are at the platform's account; see test_account_roles.py for the others."
ON_GATEWAYS = {SECRET: ONLY_LIVE_GATEWAYS, TOLD: ONLY_ADYEN, ACCOUNTS: ONLY_OWN_ACCOUNTS, OPENS_KEYS: ONLY_OWN_ACCOUNTS}
AS_A_PARAMETER = "The tests give the proxy's configuration as text; wiring/proxy_function.py reads the parameter."
GIVEN_BACK = Grant("dynamodb:DeleteItem", "IdempotencyTable")
LOCAL_CLOUD = "AWS asks for SendMessage for a batch, too; the local cloud for the name of the call."
WHAT_IS_BOOKED = {
    Grant("dynamodb:Query", table): "The gateway refuses, and its charge names refunds: payments/booked_refunds.py."
    for table in ("PaymentsTable", "OutboxTable")
}
NOT_ASKED_FOR = {
    "create_payment": {
        **ON_GATEWAYS,
        Grant("dynamodb:GetItem", "RoutingTable", ("CONTROL",)): "Routing is off here; see test_routing.py.",
        Grant("dynamodb:UpdateItem", "PaymentsTable"): "A payment that was in doubt, as recovery's below.",
        Grant("dynamodb:PutItem", "PaymentsTable"): "The same: its second version makes its head.",
        Grant("dynamodb:GetItem", "PaymentsTable"): "The same.",
        Grant("dynamodb:GetItem", "OutboxTable"): "The same.",
    },
    "confirm_payment": ON_GATEWAYS,
    "capture_payment": {**ON_GATEWAYS, **WHAT_IS_BOOKED},
    "cancel_payment": {**ON_GATEWAYS, **WHAT_IS_BOOKED},
    "refund_payment": {**ON_GATEWAYS, **WHAT_IS_BOOKED},
    "create_setup": {
        **ON_GATEWAYS,
        Grant("dynamodb:GetItem", "RoutingTable", ("CONTROL",)): "Routing is off here; see test_routing.py.",
        Grant("dynamodb:UpdateItem", "PaymentsTable"): "A set-up that was in doubt, by a second commit of its owner.",
        Grant("dynamodb:GetItem", "PaymentsTable"): "The same.",
    },
    "confirm_setup": ON_GATEWAYS,
    "cancel_setup": {
        **ON_GATEWAYS,
        Grant("dynamodb:PutItem", "PaymentsTable"): "A payer who was faster than the cancellation: a method is saved.",
        Grant("dynamodb:DeleteItem", "IdempotencyTable"): "The gateway has no credentials: the claim is given back.",
    },
    "revoke_payment_method": {
        **ON_GATEWAYS,
        Grant("dynamodb:PutItem", "PaymentsTable"): "Its role is the one of set-ups.",
    },
    "recover_payments": {Grant("sqs:SendMessageBatch", "RecoveryQueue"): LOCAL_CLOUD},
    "ask_gateways": {
        **ON_GATEWAYS,
        **WHAT_IS_BOOKED,
        PARAMETER: AS_A_PARAMETER,
        Grant("dynamodb:PutItem", "IdempotencyTable"): "A doubt about what a gateway holds makes a settlement's claim.",
        Grant("dynamodb:UpdateItem", "PaymentsTable"): "A payment in doubt of which somebody has asked for a refund.",
        GIVEN_BACK: "A proxy's claim of which the upstream says that it did nothing; proxy/service.py.",
        Grant("s3:PutObject", "ProxyAnswers/responses/*"): "A proxy's large answer, asked for again.",
        Grant("dynamodb:UpdateItem", "ReconciliationTable", ("BREAK#*",)): "A correction's commit, as correct_break's.",
    },
    "create_webhook_endpoint": {GIVEN_BACK: "A merchant's hundred endpoints are all made."},
    "update_webhook_endpoint": {
        Grant("dynamodb:PutItem", "DeliveriesTable"): "Enabling an endpoint replays what was held for it.",
    },
    "idempotency_proxy": {
        PARAMETER: AS_A_PARAMETER,
        Grant("s3:PutObject", "ProxyAnswers/responses/*"): "No upstream answers here, so that no answer is large.",
        Grant("s3:GetObject", "ProxyAnswers/responses/*"): "The same.",
        Grant("dynamodb:UpdateItem", "IdempotencyTable"): "The same: no claim is completed, or waited for.",
        Grant("dynamodb:GetItem", "IdempotencyTable"): "The same.",
    },
    "redeliver_webhook": {Grant("sqs:SendMessageBatch", "DeliveryQueue"): LOCAL_CLOUD},
    "delete_webhook_endpoint": {Grant("sqs:SendMessageBatch", "DeliveryQueue"): LOCAL_CLOUD},
}


def reopened(application: DeliveryApplication, record_id: str) -> None:
    """Make the record as it was while its owner was at work."""
    claimed = {"status": RecordStatus.IN_PROGRESS.value, "lease_expires_at_ms": application.clock.now_ms() + 60_000}
    application.database.write(
        [Adjust(table=Table.IDEMPOTENCY, key={"id": record_id}, set=claimed, remove=("response_status",))]
    )


def requests(name: str) -> list[dict[str, Any]]:
    """Return the events of a function, each with a key of its own."""
    found = []
    for number, path in enumerate(path for path in EVENTS if path.parent.name == name):
        text = path.read_text().replace(KEY, f"a-key-of-its-own-{number:03d}")
        found.append(json.loads(text))
    return found


def asked(name: str, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> set[Call]:
    """Return what the handler asks AWS for: with nothing stored; with what is named, but no gateway to be reached;
    with one that can; again; and while an owner is at work.
    """
    handler = load_handler(name, application, monkeypatch)
    seen: set[Call] = set()

    def ask(event: dict[str, Any], key: str = "a-key-of-its-own", **more: Any) -> set[Call]:
        named = json.loads(json.dumps(event).replace("a-key-of-its-own", key))
        with recorded() as calls:
            handler({**named, "multiValueHeaders": {**named["multiValueHeaders"], **more}}, Context())
        seen.update(calls)
        return calls

    for event in requests(name):
        ask(event, "a-key-for-nothing")
    for event in requests(name):
        with suppress(WriteConflict):  # another event of the function names the same
            store_what_is_named(application, name, event)
        if name in ON_THE_GATEWAY:
            application.gateway("bank").script = ["never"]  # type: ignore[attr-defined]
            ask(event, "a-key-in-vain-too")
            application.gateway("bank").script = []  # type: ignore[attr-defined]
        made = {call.key for call in ask(event) if (call.action, call.resource) == CLAIM}
        ask(event)
        for record_id in made:
            try:
                reopened(application, record_id)
            except WriteConflict:
                continue  # the claim was given back
            ask(event, Prefer=["wait=1"])
    return seen


@pytest.mark.parametrize("name", IN_THE_REQUEST)
def test_a_role_allows_what_its_function_asks_for_and_nothing_more(
    name: str, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a role has a right that its function does not use, or an explanation is no longer needed."""
    if name == "list_break_matches":
        store_matchable(application, MERCHANT_ID, {**PATH_IDS, "match_id": "match_1"})
    assert unused(name, asked(name, application, monkeypatch)) == NOT_ASKED_FOR.get(name, {}).keys()


def unused(name: str, calls: set[Call]) -> set[Grant]:
    """Return the grants of a function's role that no call needs."""
    return {grant for grant in grants(function_names()[name]) if not any(grant.allows(call) for call in calls)}


@pytest.mark.parametrize(
    ("name", "case", "explained"),
    [
        ("authorize", "unknown_key", set()),
        # Lambda sends there what it gives up.
        ("audit_idempotency", "life_of_a_claim", {Grant("sqs:SendMessage", "AuditFailures")}),
    ],
)
def test_what_no_request_calls_directly_asks_for_what_its_role_allows(
    name: str,
    case: str,
    explained: set[Grant],
    application: DeliveryApplication,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = json.loads((REPOSITORY / f"events/{name}/{case}.json").read_text())
    with recorded() as calls, suppress(Exception):
        load_handler(name, application, monkeypatch)(event, Context())
    assert unused(name, calls) == explained


def test_recovery_asks_for_what_its_role_allows(
    application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the payments in doubt one was charged, one was not and ends as failed, and one's owner died before it stored
    anything.
    """

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    gateway: Any = application.gateway("bank")
    text = (REPOSITORY / "events/create_payment/captured.json").read_text()
    for word in ("booked_lost", "lost"):
        gateway.script, gateway.lookup_fails = [word], True
        event = json.loads(text.replace(KEY, f"a-key-in-doubt-{word}"))
        assert load_handler("create_payment", application, monkeypatch)(event, Context())["statusCode"] == 202
    gateway.lookup_fails = False
    with monkeypatch.context() as dying, pytest.raises(KeyboardInterrupt):
        dying.setattr(gateway, "submit", killed)
        load_handler("create_payment", application, monkeypatch)(json.loads(text), Context())
    application.clock.offset_ms += 7_200_000  # type: ignore[attr-defined]
    asked: set[Call] = set()
    fed: set[Call] = set()
    for _ in range(
        3
    ):  # the second run is told what the first one's claims became, the third one has a lane that is known
        with recorded() as calls:
            load_handler("recover_payments", application, monkeypatch)({}, LongContext())
        fed |= calls
        while (batch := taken(application))["Records"]:
            with recorded() as calls:
                answer = load_handler("ask_gateways", application, monkeypatch)(batch, LongContext())
            assert answer == {"batchItemFailures": []}
            asked |= calls
        application.clock.offset_ms += 120_000  # type: ignore[attr-defined]
    assert unused("recover_payments", fed) == NOT_ASKED_FOR["recover_payments"].keys()
    assert unused("ask_gateways", asked) == NOT_ASKED_FOR["ask_gateways"].keys()
