"""The traps that other systems fell into, one test each, named after the trap.

Where it is a hazard of Powertools' own DynamoDB layer, the test first shows the hazard there.
"""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from moto import mock_aws

from payonce.domain.errors import KeyExpired, KeyReused, MisconfiguredError, OutcomeUnknown, ResponseNotStorable
from payonce.domain.gateway import OperationKind
from payonce.idempotency.records import RecordStatus, StoredResponse
from payonce.payments.create import CreatePayment
from payonce.ports import Table
from payonce.wiring.settings import load_settings
from tests.support.aws import dynamodb_client
from tests.support.events import call
from tests.support.world import FORGETFUL, ManualClock, ScriptedGateway, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.wiring.application import Application

HOUR_MS = 3_600_000


@pytest.fixture
def stock_layer() -> Iterator[DynamoDBPersistenceLayer]:
    """Powertools' own layer on a table of its own."""
    with mock_aws():
        client = dynamodb_client()
        client.create_table(
            TableName="stock",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        yield DynamoDBPersistenceLayer(table_name="stock", boto3_client=client)


def stock(layer: DynamoDBPersistenceLayer, function: Any, config: IdempotencyConfig | None = None) -> Any:
    return idempotent_function(
        function, data_keyword_argument="data", persistence_store=layer, config=config or IdempotencyConfig()
    )


def only_record(world: World) -> dict[str, Any]:
    records = world.database._tables[Table.IDEMPOTENCY]  # type: ignore[attr-defined]
    assert len(records) == 1
    return next(iter(records.values()))  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore:Couldn't determine the remaining time")
def test_trap_a_stale_owner_overwrites_the_newer_result(stock_layer: DynamoDBPersistenceLayer) -> None:
    """Stock: the inner call stands for a second owner that finished; the first one overwrites it. Ours: see the
    contract suite (test_a_stale_owner_changes_nothing) and the concurrency suite.
    """

    def newer(*, data: str) -> dict[str, str]:
        stock_layer.client.delete_item(TableName="stock", Key=answers_key())
        return {"owner": "new"}

    def answers_key() -> dict[str, Any]:
        return {"id": stock_layer.client.scan(TableName="stock")["Items"][0]["id"]}

    def stale(*, data: str) -> dict[str, str]:
        stock_layer.client.update_item(
            TableName="stock",
            Key=answers_key(),
            UpdateExpression="SET #s = :c, #d = :r",
            ExpressionAttributeNames={"#s": "status", "#d": "data"},
            ExpressionAttributeValues={":c": {"S": "COMPLETED"}, ":r": {"S": '{"owner":"new"}'}},
        )
        return {"owner": "stale"}

    stock(stock_layer, stale)(data="k")
    assert "stale" in stock_layer.client.scan(TableName="stock")["Items"][0]["data"]["S"]  # the hazard

    world = World()
    world.gateway.script = ["lost"]
    world.create()
    observed = world.store.get(only_record(world)["id"])
    assert observed is not None
    world.clock.ms += HOUR_MS
    world.recover()
    before = only_record(world)
    with pytest.raises(Exception, match="no longer the newest"):
        world.store.complete(observed, StoredResponse(201, {}, b"stale"), purge_at_seconds=1, ended_at_ms=1, writes=())
    assert only_record(world) == before


def test_trap_the_lease_ends_exactly_with_the_deadline() -> None:
    """Fails when LEASE_MARGIN_MS is 0: a slow clock would let a second owner in while the first may still run."""
    world = World()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    deadline_ms = world.clock.ms + 25_000
    seen: list[int] = []
    claim = world.store.claim
    world.store.claim = lambda record, writes=(): seen.append(record.lease_expires_at_ms) or claim(record, writes)  # type: ignore[method-assign, func-returns-value]
    world.create()
    assert seen[0] - deadline_ms == 5_000


def test_trap_a_crash_after_the_charge_executes_again_from_the_start() -> None:
    """Fails when a takeover submits without asking."""
    world = World()

    class Crash(BaseException):
        pass

    complete = world.store.complete
    world.store.complete = lambda *_a, **_k: (_ for _ in ()).throw(Crash())  # type: ignore[method-assign]
    with pytest.raises(Crash):
        world.create()
    world.store.complete = complete  # type: ignore[method-assign]
    world.clock.ms += HOUR_MS // 2
    assert world.create().response.status == 201
    assert len(world.gateway.bookings) == 1


def test_trap_completion_fails_after_the_effect_because_of_size() -> None:
    """Fails when the size is checked at completion: there would be a booking."""
    world = World()
    original = CreatePayment.largest_response
    CreatePayment.largest_response = lambda self: StoredResponse(201, {}, b"x" * 70_000)  # type: ignore[method-assign]
    try:
        with pytest.raises(ResponseNotStorable):
            world.create()
    finally:
        CreatePayment.largest_response = original  # type: ignore[method-assign]
    assert world.gateway.submissions == []
    assert world.database._tables[Table.IDEMPOTENCY] == {}  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore:Couldn't determine the remaining time")
def test_trap_nested_calls_on_one_persistence_object(stock_layer: DynamoDBPersistenceLayer) -> None:
    """Stock: a second configuration on one layer is ignored. Ours: every call has a layer of its own, so an operation
    inside another completes under its own key. Fails when the engine keeps one FencedPersistence.
    """
    stock(stock_layer, lambda *, data: {"n": 1}, IdempotencyConfig(expires_after_seconds=10))(data="a")
    stock(stock_layer, lambda *, data: {"n": 2}, IdempotencyConfig(expires_after_seconds=99_999))(data="b")
    assert stock_layer.expires_after_seconds == 10  # the hazard: the second one is ignored

    world = World()
    submit = world.gateway.submit
    inner: list[str] = []

    class Nesting(ScriptedGateway):
        def submit(self, instruction: Any, deadline: Any) -> Any:
            if not inner:
                inner.append("begun")
                inner.append(world.create("inner").response.headers["location"])
            return submit(instruction, deadline)

    world.gateway = Nesting(world.clock)
    outer = world.create("outer").response.headers["location"]
    assert world.create("outer").response.headers["location"] == outer
    assert world.create("inner").response.headers["location"] == inner[1] != outer


def test_trap_a_composite_key_with_the_key_missing_is_not_missing(application: Application) -> None:
    """Fails when the key is one part of a composite expression: all keyless requests of a merchant share a record."""
    for _ in range(2):
        assert call(application, "create_payment", key=None)["statusCode"] == 400
    assert application.database._tables[Table.IDEMPOTENCY] == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["x-idempotency-key", "X-IDEMPOTENCY-KEY", "X-Idempotency-Key", "iDEMPOTENCY-kEY"])
def test_trap_header_names_in_another_case_are_no_idempotency_at_all(application: Application, name: str) -> None:
    """Fails when headers are looked up as they are spelled."""
    first = call(application, "create_payment", key=None, headers={name: "one-key-for-all-01"})
    again = call(application, "create_payment", key=None, headers={name.swapcase(): "one-key-for-all-01"})
    assert (first["statusCode"], again["headers"]["Idempotency-Replayed"]) == (201, "true")
    assert first["body"] == again["body"]


def test_trap_an_internal_error_is_stored_and_replayed(application: Application) -> None:
    """Fails when the idempotency layer wraps the code that makes a 500 out of an exception."""
    gateway = application.gateway("bank")
    submit = gateway.submit
    gateway.submit = lambda *_: (_ for _ in ()).throw(RuntimeError("a defect"))  # type: ignore[method-assign]
    assert call(application, "create_payment")["statusCode"] == 500
    gateway.submit = submit  # type: ignore[method-assign]
    application.clock.ms += HOUR_MS // 2  # type: ignore[attr-defined]
    assert call(application, "create_payment")["statusCode"] == 201


def test_trap_key_order_empty_objects_and_zero_change_in_the_replay(application: Application) -> None:
    """Fails when a response is stored as an object and rendered again."""
    first = call(application, "create_payment")
    again = call(application, "create_payment")
    assert first["body"] == again["body"]
    assert '"metadata":{}' in again["body"]
    assert '"refunded_minor":0' in again["body"]


def test_trap_the_stored_key_holds_the_functions_name(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when AWS_LAMBDA_FUNCTION_NAME gets into the record's id."""
    first = call(application, "create_payment")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "renamed")
    again = call(application, "create_payment")
    assert again["headers"]["Idempotency-Replayed"] == "true"
    assert first["body"] == again["body"]


def test_trap_the_retry_meets_its_own_first_request() -> None:
    """API Gateway gives up at 29 s. The template's functions stop before (see tests/infrastructure), and a retry that
    comes while the first still runs gets 409 and not a second execution.
    """
    world = World()
    world.gateway.script = ["ok"]
    retried: list[str] = []
    submit = world.gateway.submit

    class Slow(ScriptedGateway):
        def submit(self, instruction: Any, deadline: Any) -> Any:
            with pytest.raises(Exception, match="still in progress") as busy:
                world.create("key")
            retried.append(type(busy.value).__name__)
            return submit(instruction, deadline)

    world.gateway = Slow(world.clock)
    assert world.create("key").response.status == 201
    assert retried == ["KeyInProgress"]


def test_trap_the_gateway_forgets_its_key_before_we_do() -> None:
    """Fails when recovery resubmits whatever the age: a gateway that has forgotten the key charges again."""
    world = World()
    world.gateway.capabilities = FORGETFUL.__class__(
        key_retention_seconds=1200,
        lookup_by_reference=False,
        lookup_authoritative_after_seconds=None,
        multiple_captures=True,
        operations=frozenset(OperationKind),
    )
    world.gateway.script = ["booked_lost"]
    assert world.create().response.status == 202
    world.clock.ms += 1_300_000
    world.recover()
    assert len(world.gateway.submissions) == 1
    assert world.create().response.status == 202


def test_trap_big_stored_responses_make_replays_expensive(application: Application) -> None:
    """A failed conditional put is billed by the stored item's size. Fails when responses are stored uncompressed, or
    when the plan stays in the record after completion.
    """
    body = {"amount_minor": 1, "currency": "EUR", "payment_method": "pm_visa", "metadata": {"note": "x" * 400}}
    assert call(application, "create_payment", body)["statusCode"] == 201
    record = next(iter(application.database._tables[Table.IDEMPOTENCY].values()))  # type: ignore[attr-defined]
    size = sum(
        len(name) + len(value if isinstance(value, bytes) else json.dumps(value)) for name, value in record.items()
    )
    assert size < 1024


def test_trap_the_rate_limiters_answer_is_sticky() -> None:
    """API Gateway throttles before any function runs; a gateway's throttling releases the claim. Fails when a
    "never sent" completes the record: the retry would replay the 503.
    """
    world = World()
    world.gateway.script = ["never"]
    with pytest.raises(Exception, match="retry with the same key"):
        world.create()
    assert world.create().response.status == 201


def test_trap_clients_retry_what_makes_no_sense(application: Application) -> None:
    """Fails when a problem does not say whether a retry makes sense."""
    call(application, "create_payment")
    reused = call(application, "create_payment", {"amount_minor": 2, "currency": "EUR", "payment_method": "pm_visa"})
    assert json.loads(reused["body"])["retryable"] is False


def test_hazard_a_dead_claim_is_reclaimed_with_another_payload() -> None:
    """Stock Powertools checks the payload only on completed records. Fails when the takeover skips the fingerprint."""
    world = World()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    world.create(fingerprint="first")
    world.clock.ms += HOUR_MS // 2
    with pytest.raises(KeyReused):
        world.create(fingerprint="second")


@pytest.mark.parametrize("booked", [True, False])
def test_hazard_a_dead_claim_with_no_answer_is_reclaimed_with_another_payload(*, booked: bool) -> None:
    """Its owner died before or after the charge, so that not even a provisional response is stored.

    Fails when the takeover compares the fingerprint only where there is something to replay: the second body would be
    answered with the first one's payment, or charge its own amount under the first one's reference.
    """
    world = World()

    class Killed(BaseException):
        pass

    def die(instruction: Any, deadline: Any) -> Any:
        if booked:
            ScriptedGateway.submit(world.gateway, instruction, deadline)
        raise Killed

    world.gateway.submit = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.create(fingerprint="first")
    del world.gateway.submit
    for pause_ms in (0, HOUR_MS // 2):  # under the lease, and long after it
        world.clock.ms += pause_ms
        with pytest.raises(KeyReused):
            world.create(amount_minor=2000, fingerprint="second")
    assert len(world.gateway.bookings) == int(booked)
    assert json.loads(world.create(fingerprint="first").response.body)["amount_minor"] == 1000
    assert len(world.gateway.bookings) == 1


def test_hazard_a_very_late_retry_is_a_second_charge() -> None:
    """Stock Powertools executes again once the record has expired. Fails when an expired record can be claimed."""
    world = World()
    location = world.create().response.headers["location"]
    world.clock.ms += 25 * HOUR_MS
    with pytest.raises(KeyExpired) as expired:
        world.create()
    assert expired.value.extensions["resource"] == location
    assert len(world.gateway.bookings) == 1


def test_hazard_any_exception_deletes_the_record() -> None:
    """Stock Powertools deletes the record on any exception, and the retry charges again. Fails when delete_record()
    deletes.
    """
    world = World()
    book = world.gateway.submit

    class Breaking(ScriptedGateway):
        def submit(self, instruction: Any, deadline: Any) -> Any:
            book(instruction, deadline)
            raise RuntimeError("after the effect")

    world.gateway = Breaking(world.clock, bookings=world.gateway.bookings)
    with pytest.raises(RuntimeError):
        world.create()
    assert only_record(world)["status"] == RecordStatus.IN_PROGRESS.value


def test_hazard_the_off_switch_of_powertools_stops_the_start() -> None:
    """Fails when the setting is ignored: one environment variable would turn off every promise."""
    with pytest.raises(MisconfiguredError, match="double charges"):
        load_settings({"POWERTOOLS_IDEMPOTENCY_DISABLED": "true"})


def test_hazard_the_lambda_context_is_not_registered() -> None:
    """``idempotent_function`` does not register it, and warns. Fails (the warning is an error here) when the engine
    does not pass the remaining time.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert World().create().response.status == 201


def test_an_uncommitted_result_is_never_reported_as_a_failure() -> None:
    """Fails when a commit that could not be written becomes "not executed": the client would pay again elsewhere."""
    world = World(clock=ManualClock())
    world.store.complete = lambda *_a, **_k: (_ for _ in ()).throw(OutcomeUnknown("no answer"))  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown):
        world.create()
    assert only_record(world)["status"] == RecordStatus.IN_PROGRESS.value
