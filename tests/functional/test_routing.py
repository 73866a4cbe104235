"""Routing on the request path, by the functions' own handlers: what is refused, what is pinned, what never moves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from moto import mock_aws

from payonce.domain.ids import UlidSource
from payonce.idempotency.keys import record_id
from payonce.ports import Table
from payonce.routing.control.control_store import document_write, override_write
from payonce.routing.control.document import EVERYTHING, Admission, ControlDocument
from payonce.routing.control.override import Override
from payonce.routing.control.routing_settings import Mode
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.functional.conftest import load_handler
from tests.support.aws import create_tables, dump, dynamo_database, dynamodb_client
from tests.support.events import PAYMENT, Context, event
from tests.support.world import ManualClock, RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Clock, Database

NAMES = ("alder", "birch")
GATEWAYS = json.dumps([{"name": name, "kind": "sandbox_bank", "url": "http://127.0.0.1:9"} for name in NAMES])
WEIGHTS = '{"weights":{"alder":0.5,"birch":0.5}}'
ALL_TO_BIRCH = {"alder": 0.0, "birch": 1.0}
NOBODY = Admission(0.0, 0.0, {})


def make(mode: str, clock: Clock, database: Database) -> Application:
    return Application(
        load_settings(
            {
                "PAYONCE_GATEWAYS": GATEWAYS,
                "PAYONCE_DEFAULT_GATEWAY": "alder",
                "PAYONCE_ROUTING_MODE": mode,
                "PAYONCE_ROUTING": WEIGHTS,
                "PAYONCE_ROUTING_TABLE": "routing",
            }
        ),
        clock=clock,
        database=database,
        gateways={name: ScriptedGateway(clock, name) for name in NAMES},
    )


def put_document(application: Application, **fields: Any) -> None:
    now_ms = application.clock.now_ms()
    document = ControlDocument(
        **{
            "mode": Mode.ON,
            "epoch": 1,
            "issued_at_ms": now_ms,
            "expires_at_ms": now_ms + 30_000,
            "reason": "tests",
            "weights": {"card": ALL_TO_BIRCH},
            "limits": {},
            "admission": EVERYTHING,
            **fields,
        }
    )
    application.database.write([document_write(document)])


@pytest.fixture
def application() -> Iterator[Application]:
    with mock_aws():
        client = dynamodb_client()
        yield make("on", RealClock(), dynamo_database(client, create_tables(client)))


def look_again(application: Application) -> None:
    """As a second later: what is stored now is read."""
    del application.router


def calls_of(application: Application) -> list[str]:
    """The names of the calls to DynamoDB from now on."""
    calls: list[str] = []

    def note(request: Any, **_: Any) -> None:
        target = request.headers["X-Amz-Target"]
        calls.append((target.decode() if isinstance(target, bytes) else target).split(".")[-1])

    application.database._client.meta.events.register("before-send.dynamodb.*", note)  # type: ignore[attr-defined]
    return calls


def stored(application: Application) -> dict[str, list[Any]]:
    found = dump(application.database._client, {table: table.value for table in Table})  # type: ignore[attr-defined]
    return {str(table): items for table, items in found.items() if table != Table.ROUTING.value}


def test_a_payment_that_is_not_admitted_leaves_nothing(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """429 with Retry-After before any claim, then the same key is admitted. Fails when the claim comes first, the
    refusal is stored under the key, or nothing is logged of it.
    """
    handler = load_handler("create_payment", application, monkeypatch)
    before = stored(application)
    put_document(application, admission=NOBODY)
    sent = event({**PAYMENT, "payment_method_type": "wallet"}, gateway="", headers={"Priority": "u=5"})
    answer = handler(sent, Context())
    assert answer["statusCode"] == 429
    assert json.loads(answer["body"])["type"] == "urn:payonce:problem:throttled"
    assert int(answer["headers"]["Retry-After"]) >= 1
    assert answer["headers"]["Idempotency-Replayed"] == "false"
    assert stored(application) == before
    assert not any(application.gateway(name).submissions for name in NAMES)  # type: ignore[attr-defined]
    (line,) = [vars(record) for record in caplog.records if record.message == "throttled"]
    assert line["levelname"] == "INFO"
    assert (line["merchant_id"], line["priority"], line["payment_method_type"]) == ("mer_1", "batch", "wallet")
    assert line["gateway"] in NAMES
    put_document(application)
    look_again(application)
    assert handler(sent, Context())["statusCode"] == 201
    assert len(stored(application)["idempotency"]) == 1


def test_what_has_begun_is_answered_while_others_are_refused(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a replay, or a key that belongs to another request, is told to come again later: for ever, perhaps."""
    handler = load_handler("create_payment", application, monkeypatch)
    put_document(application)
    first = handler(event(gateway="", body=PAYMENT), Context())
    put_document(application, admission=NOBODY)
    look_again(application)
    again = handler(event(gateway="", body=PAYMENT), Context())
    assert (again["statusCode"], again["body"]) == (201, first["body"])
    assert again["headers"]["Idempotency-Replayed"] == "true"
    assert handler(event({**PAYMENT, "amount_minor": 1}, gateway=""), Context())["statusCode"] == 422
    assert handler(event(PAYMENT, gateway="", key="another-key-0123"), Context())["statusCode"] == 429


def test_what_has_begun_is_answered_after_its_gateway_was_taken_from_the_settings(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the retry of a charged key is told 503 and "nothing was executed": its client pays elsewhere again."""
    handler = load_handler("create_payment", application, monkeypatch)
    first = handler(event(PAYMENT, gateway="alder"), Context())
    assert first["statusCode"] == 201
    again = handler(event(PAYMENT, gateway="removed"), Context())
    assert (again["statusCode"], again["body"]) == (201, first["body"])
    before = stored(application)
    refused = handler(event(PAYMENT, gateway="removed", key="another-key-0123"), Context())
    assert (refused["statusCode"], json.loads(refused["body"])["type"]) == (
        503,
        "urn:payonce:problem:gateway-unavailable",
    )
    assert stored(application) == before  # not even a claim


def test_a_key_of_another_merchant_is_not_known(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the question for the key leaves out whose it is: a refusal would tell that another has used it."""
    handler = load_handler("create_payment", application, monkeypatch)
    sent = event(PAYMENT, gateway="")
    assert handler(sent, Context())["statusCode"] == 201
    put_document(application, admission=NOBODY)
    look_again(application)
    authorizer = {**sent["requestContext"]["authorizer"], "merchant_id": "mer_other"}
    other = {**sent, "requestContext": {**sent["requestContext"], "authorizer": authorizer}}
    assert handler(other, Context())["statusCode"] == 429
    assert handler(sent, Context())["headers"]["Idempotency-Replayed"] == "true"


def test_routing_costs_no_call_but_one_read_a_second(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one more for a refusal, by its key. Fails when each payment reads, or the override has a read of its own."""
    handler = load_handler("create_payment", application, monkeypatch)
    put_document(application)
    calls = calls_of(application)
    handler(event(PAYMENT, gateway="", key="a-key-that-is-first"), Context())
    assert calls == ["GetItem", "PutItem", "TransactWriteItems"]
    calls.clear()
    application.router._cache._refresh_at_ms = application.clock.now_ms() + 1000  # type: ignore[union-attr]
    handler(event(PAYMENT, gateway="", key="a-key-that-is-second"), Context())
    assert calls == ["PutItem", "TransactWriteItems"]
    put_document(application, admission=NOBODY)
    look_again(application)
    calls.clear()
    handler(event(PAYMENT, gateway="", key="a-key-that-is-third"), Context())
    assert calls == ["GetItem", "GetItem"]


@pytest.mark.parametrize("operation", ["capture_payment", "refund_payment", "cancel_payment"])
def test_what_finishes_a_payment_is_never_shed(
    application: Application, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Fails when admission is asked for every keyed route."""
    put_document(application)
    create = load_handler("create_payment", application, monkeypatch)
    how = "automatic" if operation == "refund_payment" else "manual"
    made = json.loads(create(event({**PAYMENT, "capture": how}, gateway=""), Context())["body"])
    put_document(application, admission=NOBODY)
    look_again(application)
    assert create(event(PAYMENT, gateway="", key="another-key-0123"), Context())["statusCode"] == 429
    follow_up = load_handler(operation, application, monkeypatch)
    answer = follow_up(event({}, gateway="", path={"payment_id": made["id"]}), Context())
    assert answer["statusCode"] == 201


def test_a_merchants_own_gateway_stays_its_own_and_admission_counts_for_it(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the document moves it, or such a merchant is let through when there is not enough for all."""
    handler = load_handler("create_payment", application, monkeypatch)
    put_document(application)
    for number in range(20):
        answer = handler(event(PAYMENT, gateway="alder", key=f"key-of-a-merchant-{number}"), Context())
        assert json.loads(answer["body"])["gateway"] == "alder"
    put_document(application, admission=NOBODY)
    look_again(application)
    assert handler(event(PAYMENT, gateway="alder", key="another-key-0123"), Context())["statusCode"] == 429


def test_the_kind_of_method_chooses_among_the_documents_weights(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the body's field does not reach the router, or the claim."""
    handler = load_handler("create_payment", application, monkeypatch)
    put_document(application, weights={"card": ALL_TO_BIRCH, "wallet": {"alder": 1.0, "birch": 0.0}})
    for kind, gateway in (("card", "birch"), ("wallet", "alder")):
        for number in range(10):
            sent = event({**PAYMENT, "payment_method_type": kind}, gateway="", key=f"key-of-{kind}-0123-{number}")
            assert json.loads(handler(sent, Context())["body"])["gateway"] == gateway
    refused = handler(event({**PAYMENT, "payment_method_type": "cash"}, key="another-key-0123"), Context())
    assert refused["statusCode"] == 400
    assert "/payment_method_type" in refused["body"]


def test_an_operators_override_takes_a_gateway_out(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the override that is stored beside the document is not read with it."""
    now_ms = application.clock.now_ms()
    put_document(application)
    ordered = Override(
        version=1, shares={"birch": 0.0}, operator="ann", reason="x", issued_at_ms=now_ms, expires_at_ms=now_ms + 60_000
    )
    application.database.write([override_write(ordered.to_bytes(), 1)])
    handler = load_handler("create_payment", application, monkeypatch)
    for number in range(20):
        answer = handler(event(PAYMENT, gateway="", key=f"key-of-a-merchant-{number}"), Context())
        # The document leaves alder nothing, the override birch: with nothing left, the weights as they were.
        assert json.loads(answer["body"])["gateway"] == "birch"
    put_document(application, weights={"card": {"alder": 0.1, "birch": 0.9}})
    look_again(application)
    for number in range(20, 40):
        answer = handler(event(PAYMENT, gateway="", key=f"key-of-a-merchant-{number}"), Context())
        assert json.loads(answer["body"])["gateway"] == "alder"


def seeded(mode: str) -> tuple[Application, MemoryDatabase]:
    database, clock = MemoryDatabase(), ManualClock()
    application = make(mode, clock, database)
    counter = iter(range(1, 10_000_000))
    ids = UlidSource(clock.now_ms, lambda size: (next(counter) * 2_654_435_761 % 2**64).to_bytes(size, "big"))
    application.ids = ids
    return application, database


def test_shadow_is_off_to_the_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """400 payments with the same ids under a document that moves and refuses. Fails when shadow reaches one of them:
    another gateway, another byte in a claim, a payment, an entry or an event, or a refusal.
    """
    kept = {}
    for mode in ("off", "shadow"):
        application, database = seeded(mode)
        put_document(application, admission=NOBODY)
        handler = load_handler("create_payment", application, monkeypatch)
        answers = []
        for number in range(400):
            application.clock.ms += 50  # type: ignore[attr-defined]
            answers.append(handler(event(PAYMENT, gateway="", key=f"key-of-a-payment-{number}"), Context()))
        assert {answer["statusCode"] for answer in answers} == {201}
        assert {json.loads(answer["body"])["gateway"] for answer in answers} == set(NAMES)
        kept[mode] = (answers, database._tables)
    assert kept["off"] == kept["shadow"]


def test_a_claim_keeps_its_gateway_under_another_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """In doubt at alder, then all new payments go to birch. Fails (two charges) when a retry or recovery routes anew.

    ::

        request   claim: alder ─ submit: no answer ─ 202
        document            all to birch
        retry, recovery                          ask alder ─ there ─▶ 201
    """
    application, _ = seeded("on")
    alder, birch = (application.gateway(name) for name in NAMES)
    put_document(application, weights={"card": {"alder": 1.0, "birch": 0.0}})
    alder.script, alder.lookup_fails = ["booked_lost"], True  # type: ignore[attr-defined]
    handler = load_handler("create_payment", application, monkeypatch)
    assert handler(event(PAYMENT, gateway=""), Context())["statusCode"] == 202
    application.clock.ms += 2_000  # type: ignore[attr-defined]
    put_document(application)
    assert handler(event(PAYMENT, gateway=""), Context())["statusCode"] == 202
    other = handler(event(PAYMENT, gateway="", key="another-key-0123"), Context())
    assert json.loads(other["body"])["gateway"] == "birch"
    application.clock.ms += 600_000  # type: ignore[attr-defined]
    alder.lookup_fails = False  # type: ignore[attr-defined]
    put_document(application, admission=NOBODY)
    settled = handler(event(PAYMENT, gateway=""), Context())
    assert (settled["statusCode"], json.loads(settled["body"])["gateway"]) == (201, "alder")
    assert (len(alder.bookings), len(birch.bookings)) == (1, 1)  # type: ignore[attr-defined]


def test_the_claim_says_what_the_predictor_reads(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream is its only signal. Fails when kind, priority, gateway or a time is not where it is looked for."""
    gateway = application.gateway("birch")
    seen: list[Any] = []
    real = gateway.submit
    one = record_id("mer_1", "create_payment", "0123456789abcdef")

    def look(instruction: Any, deadline: Any) -> Any:
        seen.append(application.database.get(Table.IDEMPOTENCY, {"id": one}))
        return real(instruction, deadline)

    monkeypatch.setattr(gateway, "submit", look)
    put_document(application, weights={"voucher": ALL_TO_BIRCH})
    sent = event({**PAYMENT, "payment_method_type": "voucher"}, gateway="", headers={"priority": "u=7, i"})
    load_handler("create_payment", application, monkeypatch)(sent, Context())
    plan = seen[0]["plan"]
    assert {name: plan[name] for name in ("kind", "merchant_id", "gateway", "payment_method_type", "priority")} == {
        "kind": "payment",
        "merchant_id": "mer_1",
        "gateway": "birch",
        "payment_method_type": "voucher",
        "priority": "batch",
    }
    done = application.database.get(Table.IDEMPOTENCY, {"id": one}) or {}
    assert done["response_status"] == 201
    assert 0 <= done["ended_at_ms"] - done["created_at_ms"] < 10_000
    assert "plan" not in done
