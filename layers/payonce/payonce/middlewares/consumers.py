"""Consumers of messages: a message is handled once per key, however often its queue delivers it.

SQS in batches (a Lambda handler with partial failures), Kafka (records of Lambda, or of any client library), and Celery
tasks. All of them rest on ``idempotent_operation``; the adapters know the shapes of messages, and no library.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import logging
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import KeyInProgress, KeyMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    type Handle = Callable[[Any], Any]

_LOG = logging.getLogger("payonce.middlewares")


def attribute_key(name: str = "idempotency-key") -> Callable[[Mapping[str, Any]], str]:
    """Return a function that reads the key from an SQS record's message attribute.

    Its default, the message id, would not do: a producer that retries a send makes another message with another id.
    """

    def key_of(record: Mapping[str, Any]) -> str:
        found = (record.get("messageAttributes") or {}).get(name) or {}
        return _required(found.get("stringValue"), f"the message attribute {name}")

    return key_of


def body_key(*path: str) -> Callable[[Mapping[str, Any]], str]:
    """Return a function that reads the key from an SQS record's JSON body: ``body_key("order", "id")``.

    Raises ``KeyMissing`` for a body without it, so that the message goes to the dead-letter queue.
    """

    def key_of(record: Mapping[str, Any]) -> str:
        try:
            found: Any = json.loads(record["body"])
            for name in path:
                found = found[name]
        except (ValueError, KeyError, TypeError, IndexError):
            found = None
        return _required(found, f"the body's member {'.'.join(path)}")

    return key_of


def sqs_handler(handle: Handle) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Return a Lambda handler that calls ``handle`` for each record of a batch, and reports the failed ones alone.

    ``handle`` is a guarded function of one record. The event source needs ``ReportBatchItemFailures``. A record that
    was handled before is not handled again; one whose first handling goes on, or is in doubt, fails, and SQS delivers
    it again. In a FIFO queue the records of a group that come after a failed one fail with it, unhandled: their order
    is kept. https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """

    @functools.wraps(handle)
    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        del context
        failed: list[str] = []
        stopped: set[str] = set()
        for record in event.get("Records", ()):
            group = (record.get("attributes") or {}).get("MessageGroupId", "")
            if group and group in stopped:
                failed.append(record["messageId"])
                continue
            try:
                handle(record)
            except Exception as error:
                _LOG.warning("message %s is left to its queue: %r", record["messageId"], error, exc_info=error)
                failed.append(record["messageId"])
                stopped.add(group)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handler


def kafka_records(event: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Yield the records of a Lambda event from Kafka, each partition's in order."""
    for records in (event.get("records") or {}).values():
        yield from records


def header_key(name: str = "idempotency-key") -> Callable[[Any], str]:
    """Return a function that reads the key from a Kafka record's header.

    It takes a record of Lambda (headers as lists of octets), of confluent-kafka (``headers()``), and of kafka-python
    and aiokafka (``headers``, pairs of name and bytes).
    """

    def key_of(record: Any) -> str:
        values = {_octets(value) for found, value in _headers(record) if found.lower() == name.lower()}
        if len(values) > 1:
            raise KeyMissing(f"The record has several headers {name}; which is its key would be a guess.")
        return _required(values.pop().decode("utf-8", "replace") if values else None, f"the header {name}")

    return key_of


def offset_key(record: Any) -> str:
    """Return a Kafka record's place as its key, where the producer sets none: topic, partition and offset.

    It tells redeliveries, and not what a producer has sent twice (without ``enable.idempotence``).
    """
    place = [_member(record, name) for name in ("topic", "partition", "offset")]
    return ":".join(map(str, place))


def value_fingerprint(record: Any) -> str:
    """Return what must be equal when a record's key comes again: the digest of its value, for ``fingerprint=``."""
    value = _member(record, "value")
    raw = base64.b64decode(value) if isinstance(value, str) else bytes(value or b"")
    return hashlib.sha256(raw).hexdigest()


def body_fingerprint(record: Mapping[str, Any]) -> str:
    """Return what must be equal when an SQS record's key comes again: its body, for ``fingerprint=``."""
    return str(record["body"])


def task_key(task: Any, *_: Any, **__: Any) -> str:
    """Return a bound Celery task's key: its header ``idempotency-key``, else its id.

    Retries and redeliveries of one task keep its id. A producer that may send one order twice sets the header:
    ``task.apply_async(args, headers={"idempotency-key": order_id})``.
    """
    request = task.request
    headers = getattr(request, "headers", None) or {}
    found = headers.get("idempotency-key") or getattr(request, "idempotency-key", None)
    return _required(found or getattr(request, "id", None), "the header idempotency-key, or an id")


def retried_while_in_progress(function: Callable[..., Any], *, countdown_seconds: int = 10) -> Callable[..., Any]:
    """Return a bound Celery task that is retried later while another worker executes its key.

    ``function`` is guarded. Without this, a redelivered task would fail and be lost with ``KeyInProgress``. Waiting for
    the other worker is no failure, and is not counted against ``max_retries``.
    """

    @functools.wraps(function)
    def task(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return function(self, *args, **kwargs)
        except KeyInProgress as error:
            raise self.retry(exc=error, countdown=countdown_seconds, max_retries=None) from error

    return task


def _required(found: Any, what: str) -> str:
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise KeyMissing(f"The message has no key: {what} is missing.")
    return str(found)


def _headers(record: Any) -> list[tuple[str, Any]]:
    headers = _member(record, "headers") or ()
    pairs: list[tuple[str, Any]] = []
    for header in headers:
        pairs += header.items() if isinstance(header, dict) else [header]
    return pairs


def _octets(value: Any) -> bytes:
    """Return a header's value. Lambda gives octets as Java has them: from -128 to 127."""
    return value.encode() if isinstance(value, str) else bytes(octet % 256 for octet in value or b"")


def _member(record: Any, name: str) -> Any:
    if isinstance(record, dict):
        return record.get(name)
    member = getattr(record, name, None)
    return member() if callable(member) else member
