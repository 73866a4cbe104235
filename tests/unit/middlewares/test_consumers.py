"""Consumers: each message is handled once per key, in the shapes that SQS, Kafka's clients, and Celery give it.

The messages are made as the services document them; Celery's own worker is not needed for its tasks' shape.
"""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from payonce.domain.errors import KeyMissing, KeyReused
from payonce.idempotency.codecs import JsonValue  # noqa: TC001 - the guard reads the annotation
from payonce.idempotency.operation import idempotent_operation
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.middlewares import consumers
from payonce.stores.memory import MemoryDatabase


def guard(key: Any, fingerprint: Any, handled: list[Any], act: Any = None, store: Any = None) -> Any:
    """Return a guarded function of one message."""

    @idempotent_operation(
        store=store or DatabaseIdempotencyStore(MemoryDatabase()),
        operation="ship",
        scope=lambda _message: "shop",
        key=key,
        fingerprint=fingerprint,
        timeout_seconds=5,
        wait_seconds=0,
    )
    def handle(message: Any) -> JsonValue:
        handled.append(message)
        if act is not None:
            act(message)
        return None

    return handle


def record(message_id: str, key: str | None, body: str = "{}", group: str = "") -> dict[str, Any]:
    """Return an SQS record. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    attributes = {} if key is None else {"idempotency-key": {"stringValue": key, "dataType": "String"}}
    groups = {"MessageGroupId": group} if group else {}
    return {"messageId": message_id, "body": body, "messageAttributes": attributes, "attributes": groups}


def failed(returned: Any) -> list[str]:
    """Return the ids of the messages that SQS delivers again."""
    return [item["itemIdentifier"] for item in returned["batchItemFailures"]]


def test_a_batch_is_handled_once_per_key() -> None:
    """A producer that retries a send makes another message with another id, in the same batch or a later one."""
    handled: list[Any] = []
    handler = consumers.sqs_handler(guard(consumers.attribute_key(), consumers.body_fingerprint, handled))
    batch = [record("1", "order-1"), record("2", "order-2"), record("3", "order-1")]
    assert failed(handler({"Records": batch}, None)) == []
    assert failed(handler({"Records": [record("4", "order-2"), record("5", "order-3")]}, None)) == []
    assert [message["messageId"] for message in handled] == ["1", "2", "5"]


def test_only_what_failed_is_delivered_again() -> None:
    """No key, another body under a used key, and a failure: each alone goes back; the doubt is not handled again."""

    def act(message: Any) -> None:
        if message["messageId"] == "4":
            raise TimeoutError("the carrier's answer was lost")

    handled: list[Any] = []
    handler = consumers.sqs_handler(guard(consumers.attribute_key(), consumers.body_fingerprint, handled, act))
    batch = [record("1", "a"), record("2", None), record("3", "a", "{1}"), record("4", "b"), record("5", "c")]
    assert failed(handler({"Records": batch}, None)) == ["2", "3", "4"]
    assert failed(handler({"Records": [record("4", "b")]}, None)) == ["4"]
    assert [message["messageId"] for message in handled] == ["1", "4", "5"]


def test_a_fifo_group_stops_at_its_first_failure() -> None:
    """What comes after it in its group waits, unhandled, so that the order holds; other groups go on.

    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """

    def act(message: Any) -> None:
        if message["messageId"] == "1":
            raise ValueError

    handled: list[Any] = []
    handler = consumers.sqs_handler(guard(consumers.attribute_key(), consumers.body_fingerprint, handled, act))
    batch = [record("1", "a", group="x"), record("2", "b", group="y"), record("3", "c", group="x")]
    assert failed(handler({"Records": batch}, None)) == ["1", "3"]
    assert [message["messageId"] for message in handled] == ["1", "2"]


def test_the_key_in_a_body() -> None:
    """A member of the JSON; a body without it is refused, and so ends in the dead-letter queue."""
    key = consumers.body_key("order", "id")
    assert key(record("1", None, '{"order": {"id": 17}}')) == "17"
    for body in ("{}", "no JSON", '{"order": {"id": null}}', '{"order": {"id": true}}', '{"order": ["id"]}'):
        with pytest.raises(KeyMissing):
            key(record("1", None, body))


def kafka(headers: Any, value: bytes = b"v") -> list[Any]:
    """Return one record in each shape: Lambda's, confluent-kafka's, and that of kafka-python and aiokafka."""
    pairs = [(name, text.encode()) for name, text in headers]
    return [
        {
            "topic": "orders",
            "partition": 0,
            "offset": 15,
            "value": base64.b64encode(value).decode(),
            "headers": [{name: list(octets)} for name, octets in pairs],
        },
        SimpleNamespace(
            topic=lambda: "orders",
            partition=lambda: 0,
            offset=lambda: 15,
            value=lambda: value,
            headers=lambda: pairs,
        ),
        SimpleNamespace(topic="orders", partition=0, offset=15, value=value, headers=pairs),
    ]


def test_a_kafka_records_key_in_every_clients_shape() -> None:
    """The header in any case; without it the place; the value's digest is what must be equal."""
    key = consumers.header_key()
    assert {key(one) for one in kafka([("Idempotency-Key", "order-1"), ("trace", "x")])} == {"order-1"}
    assert {consumers.offset_key(one) for one in kafka([])} == {"orders:0:15"}
    assert len({consumers.value_fingerprint(one) for one in kafka([])}) == 1
    twice = kafka([("idempotency-key", "a"), ("idempotency-key", "b")])
    for one in (*kafka([]), *twice, *kafka([("idempotency-key", "")])):
        with pytest.raises(KeyMissing):
            key(one)


def test_lambda_gives_kafkas_octets_signed() -> None:
    """As the bytes of Java: https://github.com/aws-powertools/powertools-lambda-python/issues/6862."""
    assert consumers.header_key()({"headers": [{"idempotency-key": [111, 45, -61, -85]}]}) == "o-ë"


def test_kafka_records_are_handled_once() -> None:
    """In the order of their partitions, with another value under a used key refused."""
    handled: list[Any] = []
    handle = guard(consumers.header_key(), consumers.value_fingerprint, handled)
    first, other, same = (
        kafka([("idempotency-key", key)], value)[0] for key, value in (("a", b"1"), ("b", b"2"), ("a", b"1"))
    )
    for one in consumers.kafka_records({"records": {"orders-0": [first, other], "orders-1": [same]}}):
        handle(one)
    assert handled == [first, other]
    with pytest.raises(KeyReused):
        handle(kafka([("idempotency-key", "a")], b"2")[0])


class Retried(Exception):
    """What a Celery task's ``retry`` raises."""


class Task:
    """A bound Celery task, as far as adapters look: its request, and ``retry``."""

    def __init__(self, task_id: str, headers: dict[str, str] | None = None) -> None:
        self.request = SimpleNamespace(id=task_id, headers=headers)
        self.retries: list[dict[str, Any]] = []

    def retry(self, **how: Any) -> Exception:
        self.retries.append(how)
        raise Retried


def test_a_celery_task_is_executed_once() -> None:
    """Redeliveries keep the task's id; a producer that sends twice sets the header."""
    handled: list[str] = []

    @idempotent_operation(
        store=DatabaseIdempotencyStore(MemoryDatabase()),
        operation="ship",
        scope=lambda _task, shop, _order: shop,
        key=consumers.task_key,
        fingerprint=lambda _task, _shop, order: order,
        timeout_seconds=5,
        wait_seconds=0,
    )
    def ship(task: Any, _shop: str, order: str) -> str:
        handled.append(order)
        return f"shipped {order}"

    for task in (Task("t1"), Task("t1"), Task("t2", {"idempotency-key": "o"}), Task("t3", {"idempotency-key": "o"})):
        assert ship(task, "shop", "17") == "shipped 17"
    assert len(handled) == 2
    with pytest.raises(KeyReused):
        ship(Task("t1"), "shop", "18")
    with pytest.raises(KeyMissing):
        consumers.task_key(Task(""))


def test_a_task_that_another_worker_executes_is_retried_later() -> None:
    """A broker's redelivery meets the first execution at work: it must not be lost, and not execute beside it."""
    store = DatabaseIdempotencyStore(MemoryDatabase())
    executions: list[str] = []

    def act(_task: Any) -> None:
        executions.append("one")
        beside = Task("t1")
        with pytest.raises(Retried):
            consumers.retried_while_in_progress(guard(consumers.task_key, lambda _: "", [], store=store))(beside)
        assert [(how["countdown"], how["max_retries"]) for how in beside.retries] == [(10, None)]

    consumers.retried_while_in_progress(guard(consumers.task_key, lambda _: "", [], act, store))(Task("t1"))
    assert executions == ["one"]
