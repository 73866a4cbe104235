"""Looks for secrets and payers' data where they must not be: logs, error answers, tables, queues, buckets.

Secrets are found by their form, so that those which a test makes by itself are found too; what has no form of its own
(a gateway's key, a payer's data) carries a mark.
"""

from __future__ import annotations

import logging
import re
import traceback
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.console.operators import KEY_PREFIX as OPERATOR_KEY_PREFIX
from payonce.merchants.api_keys import KEY_PREFIX
from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_attributes
from payonce.webhooks.signing import HMAC_PREFIX, PRIVATE_PREFIX
from tests.support.webhook_api import texts_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARKED_PAYER = "payer-MARKED@example.org"  # what a merchant says of its payer: metadata and reference of a payment
MARKED_GATEWAY_KEY = "gateway-key-MARKED"
# Numbers that the suites send as cards, which payonce has to refuse unseen.
CARD_NUMBERS = ("4111111111111111", "4242424242424242", "5500000000000004")
# Nobody but its owner may have these, in whatever place.
SECRETS = {
    "API key": re.compile(rf"\b{KEY_PREFIX}[A-Za-z0-9_-]{{43}}"),
    "operator's key": re.compile(rf"\b{OPERATOR_KEY_PREFIX}[A-Za-z0-9_-]{{43}}"),
    "webhook secret": re.compile(rf"(?:{HMAC_PREFIX}|{PRIVATE_PREFIX})[A-Za-z0-9+/]{{32,}}"),
    "gateway's key": re.compile(rf"\bsk_(?:live|test)_\w{{4,}}|{MARKED_GATEWAY_KEY}"),
    "card number": re.compile("|".join(CARD_NUMBERS)),
}
# A payment has these, and its events and stored answers; nothing that operators read of the service itself does.
PAYERS_DATA = {
    "payment method": re.compile(r"\bpm_[A-Za-z0-9_]{3,}"),
    "payer's data": re.compile(f"{MARKED_PAYER}|order-4711"),
}
EVERYTHING = {**SECRETS, **PAYERS_DATA}
WITH_PAYERS_DATA = {
    Table.IDEMPOTENCY,
    Table.PAYMENTS,
    Table.OUTBOX,
    Table.LEDGER,
    Table.RECONCILIATION,
    Table.NOTICES,
}
QUEUE_BATCH = 10


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret in a place. ``shown`` is its beginning alone: a report of a leak must not be another one."""

    place: str
    kind: str
    shown: str


def leaks_in(place: str, text: str, kinds: dict[str, re.Pattern[str]] = EVERYTHING) -> list[Leak]:
    """Return what is found in a text, also where a card number is grouped or in other digits."""
    plain = re.sub(r"[ \-]", "", unicodedata.normalize("NFKC", text))
    return [
        Leak(place, kind, f"{found.group()[:6]}...")
        for kind, pattern in kinds.items()
        for source in ((text, plain) if kind == "card number" else (text,))
        for found in [pattern.search(source)]
        if found is not None
    ]


class Listening(logging.Handler):
    """Keeps what any logger of the process says, with all that is passed beside the message."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record as text."""
        self.lines.append(" ".join([record.getMessage(), *map(str, vars(record).values())]))
        if record.exc_info and record.exc_info[1] is not None:
            # The errors alone: the source lines of a test may name what it sends.
            chain: BaseException | None = record.exc_info[1]
            while chain is not None:
                self.lines += traceback.format_exception_only(chain)
                chain = chain.__cause__ or chain.__context__


def tables_leaks(dynamodb: Any, names: dict[Table, str]) -> Iterator[Leak]:
    """Yield what the tables hold that they must not."""
    for table, name in names.items():
        kinds = SECRETS if table in WITH_PAYERS_DATA else EVERYTHING
        for page in dynamodb.get_paginator("scan").paginate(TableName=name):
            for item in page["Items"]:
                yield from leaks_in(f"table {table.value}", "\n".join(texts_in(from_attributes(item))), kinds)


def queues_leaks(sqs: Any, urls: Iterable[str]) -> Iterator[Leak]:
    """Yield what the messages of the queues hold that they must not; they stay where they are."""
    for url in urls:
        request = {"QueueUrl": url, "MaxNumberOfMessages": QUEUE_BATCH, "VisibilityTimeout": 0}
        for message in sqs.receive_message(**request).get("Messages", []):
            yield from leaks_in(f"queue {url.rpartition('/')[2]}", message["Body"])


def logs_leaks(logs: Any) -> Iterator[Leak]:
    """Yield what the lines of every log group hold that they must not."""
    for groups in logs.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                for event in page["events"]:
                    yield from leaks_in(f"log {group['logGroupName']}", event["message"])


def buckets_leaks(s3: Any, buckets: Iterable[str]) -> Iterator[Leak]:
    """Yield the secrets in objects. Reports of gateways and upstreams' answers may hold payers' data."""
    for bucket in buckets:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for each in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
                yield from leaks_in(f"object {each['Key']}", "\n".join(texts_in(body)), SECRETS)
