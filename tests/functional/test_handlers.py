"""Every function's own handler, fed with every event of events/, on the template's tables in moto."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from payonce.bootstrap import Application
from payonce.payments.items import replace_payment
from payonce.settings import load_settings
from tests.support.aws import REPOSITORY, create_tables, dynamo_database, dynamodb_client, load_template
from tests.support.events import Context
from tests.support.payments import stored_payment
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = sorted((REPOSITORY / "events").glob("*/*.json"))
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
    "cancel_payment/whole": 201,
    "cancel_payment/no_key": 400,
    "refund_payment/part": 201,
    "refund_payment/rest": 201,
    "refund_payment/no_key": 400,
    "get_payment/by_id": 200,
    "get_payment_history/by_id": 200,
    "list_payments/first_page": 200,
    "list_payments/bad_cursor": 400,
    "get_balances/all": 200,
}


@pytest.fixture
def application() -> Iterator[Application]:
    clock = RealClock()
    with mock_aws():
        client = dynamodb_client()
        database = dynamo_database(client, create_tables(client))
        yield Application(
            load_settings(
                {
                    "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]',
                    "PAYONCE_DEFAULT_GATEWAY": "bank",
                }
            ),
            clock=clock,
            database=database,
            gateways={"bank": ScriptedGateway(clock)},
        )


def load_handler(function: str, application: Application, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Import functions/<function>/app.py as the runtime does, with the test's application as its composition root."""
    monkeypatch.setattr("payonce.bootstrap.bootstrap", lambda: application)
    spec = importlib.util.spec_from_file_location(f"app_{function}", REPOSITORY / "functions" / function / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def test_every_function_has_events() -> None:
    """Fails when a function is added without any."""
    folders = {
        resource["Properties"]["CodeUri"].split("/")[-1]
        for resource in load_template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert {path.parent.name for path in EVENTS} == folders


@pytest.mark.parametrize("path", EVENTS, ids=[f"{path.parent.name}/{path.stem}" for path in EVENTS])
def test_the_handler_answers_its_event(path: Any, application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    event = json.loads(path.read_text())
    case = f"{path.parent.name}/{path.stem}"
    handler = load_handler(path.parent.name, application, monkeypatch)
    if (event.get("pathParameters") or {}).get("payment_id"):
        captured = path.parent.name == "refund_payment"
        merchant_id = event["requestContext"]["authorizer"]["merchant_id"]
        payment = stored_payment(merchant_id, event["pathParameters"]["payment_id"], captured=captured)
        application.database.write([replace_payment(payment, expected=None)])
    if path.parent.name == "authorize":
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            handler(event, Context())
        return
    answer = handler(event, Context())
    if path.parent.name == "recover_payments":
        assert answer == {"seen": 0, "concluded": 0, "still_open": 0, "failed": 0}
        return
    assert answer["statusCode"] == EXPECTED[case], answer["body"]
    again = handler(event, Context())
    if answer["statusCode"] == 201:
        assert again["body"] == answer["body"]
        assert again["headers"]["Idempotency-Replayed"] == "true"
        assert len(application.gateway("bank").bookings) == 1  # type: ignore[attr-defined]


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
