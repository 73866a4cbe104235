"""Charges every request that reaches DynamoDB, and keeps what its streams would show.

It stands between a client and DynamoDB Local, which executes the requests: the items before and after each write are
read there, so that nothing depends on how the client makes its requests. DynamoDB Local's own ``ConsumedCapacity`` is
not used: it counts index writes of a transaction as four units, where AWS counts one.
"""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.units.charges import Charge, Schema, Written, refused
from benchmarks.units.queries import query_charge
from benchmarks.units.sizes import EVENTUAL_FACTOR, TRANSACTION_FACTOR, item_size, read_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from benchmarks.units.sizes import Item

    type Send = Callable[[str, bytes], tuple[int, bytes]]  # operation and body; status and body

SINGLE_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
CONDITION_FAILED = "ConditionalCheckFailedException"
CANCELED = "TransactionCanceledException"
_TRANSACTED = ("Put", "Update", "Delete", "ConditionCheck")


@dataclass(frozen=True, slots=True)
class Metered:
    """One request: what it was charged, which items it wrote, and who made it (the meter's ``phase`` at that time).

    ``spread`` are items that the adapter writes instead of the first of the pair, once its transactions have met there.
    """

    operation: str
    phase: str
    charges: tuple[Charge, ...]
    items: tuple[tuple[str, str], ...] = ()
    spread: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = ()
    refused: bool = False

    @property
    def transactional(self) -> bool:
        """Return whether other transactions on its items can cancel it, or it them."""
        return self.operation == "TransactWriteItems"


@dataclass
class Meter:
    """Charges the requests of one client after the other; ``send`` passes one on to DynamoDB Local.

    ``requests`` are what was charged, ``records`` the stream records by table, at the time of ``now_ms``.
    """

    schemas: Mapping[str, Schema]
    send: Send
    phase: str = ""
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    requests: list[Metered] = field(default_factory=list)
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def handle(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """Pass one request on, charge it, and return the answer. Raises ``ValueError`` for one that it can't charge."""
        request = json.loads(body)
        writes = list(self._targets(operation, request))
        before = [self._stored(schema, key) for _, schema, key in writes]
        status, answer = self.send(operation, body)
        if writes:
            self._charge_writes(operation, writes, before, status=status, answer=json.loads(answer))
        elif status == 200:
            self.keep(operation, self._reads(operation, request, json.loads(answer)))
        return status, answer

    def _targets(self, operation: str, request: dict[str, Any]) -> Iterator[tuple[str, Schema, Item]]:
        """Yield the action, table and key of every write of ``request``."""
        if operation in SINGLE_WRITES:
            yield from self._target(operation.removesuffix("Item"), request)
        elif operation == "TransactWriteItems":
            for entry in request["TransactItems"]:
                ((action, write),) = entry.items()
                if action not in _TRANSACTED:
                    raise ValueError(f"{action} is no action of a transaction")
                yield from self._target(action, write)
        elif operation == "BatchWriteItem":
            for table, entries in request["RequestItems"].items():
                for entry in entries:
                    ((action, write),) = entry.items()
                    yield from self._target(action.removesuffix("Request"), {"TableName": table, **write})

    def _target(self, action: str, write: dict[str, Any]) -> Iterator[tuple[str, Schema, Item]]:
        schema = self.schemas[write["TableName"]]
        yield action, schema, schema.key_of(write.get("Key") or write["Item"])

    def _charge_writes(
        self,
        operation: str,
        writes: list[tuple[str, Schema, Item]],
        before: list[Item | None],
        *,
        status: int,
        answer: dict[str, Any],
    ) -> None:
        in_transaction = operation == "TransactWriteItems"
        code = str(answer.get("__type", "")).rpartition("#")[2]
        items = tuple((schema.name, identity(key)) for _, schema, key in writes)
        if status != 200:
            if code in {CONDITION_FAILED, CANCELED}:
                charges = [
                    charge
                    for (_, schema, key), stored in zip(writes, before, strict=True)
                    for charge in refused(schema, key, stored, transactional=in_transaction)
                ]
                self.keep(operation, charges, items, was_refused=True)
            return
        charges = []
        for (_, schema, key), old in zip(writes, before, strict=True):
            new = self._stored(schema, key)
            charges += Written(schema, old, new, transactional=in_transaction, key=key).charges()
            self.record(schema, key, old, new)
        self.keep(operation, charges, items)

    def _reads(self, operation: str, request: dict[str, Any], answer: dict[str, Any]) -> Iterable[Charge]:
        factor = 1.0 if request.get("ConsistentRead") else EVENTUAL_FACTOR
        match operation:
            case "GetItem":
                yield self._read(request["TableName"], request["Key"], factor)
            case "BatchGetItem":
                for table, asked in request["RequestItems"].items():
                    for key in asked["Keys"]:
                        yield self._read(table, key, 1.0 if asked.get("ConsistentRead") else EVENTUAL_FACTOR)
            case "TransactGetItems":
                for entry in request["TransactItems"]:
                    yield self._read(entry["Get"]["TableName"], entry["Get"]["Key"], TRANSACTION_FACTOR)
            case "Query":
                yield query_charge(self.schemas[request["TableName"]], request, answer, factor, self.send)
            case _:
                raise ValueError(f"{operation} is not charged here: add its rule")

    def _read(self, table: str, key: Item, factor: float) -> Charge:
        schema = self.schemas[table]
        stored = self._stored(schema, key)
        ((_, partition),) = key[schema.key[0]].items()
        return Charge(table, "", str(partition), read=read_units(item_size(stored) if stored else 0, factor=factor))

    def _stored(self, schema: Schema, key: Item) -> Item | None:
        request = {"TableName": schema.name, "Key": key, "ConsistentRead": True}
        status, answer = self.send("GetItem", json.dumps(request).encode())
        if status != 200:
            raise ValueError(f"{schema.name} can not be read: {answer!r}")
        found: Item | None = json.loads(answer).get("Item")
        return found

    def keep(
        self,
        operation: str,
        charges: Iterable[Charge],
        items: tuple[tuple[str, str], ...] = (),
        *,
        spread: tuple[tuple[tuple[str, str], tuple[str, str]], ...] = (),
        was_refused: bool = False,
    ) -> None:
        """Keep a request that was charged."""
        self.requests.append(Metered(operation, self.phase, tuple(charges), items, spread, was_refused))

    def record(self, schema: Schema, key: Item, old: Item | None, new: Item | None) -> None:
        """Keep the stream record of a change; a write that changes nothing makes none."""
        if not schema.stream or old == new:
            return
        images = {"OldImage": old, "NewImage": new}
        shown = {name: image for name, image in images.items() if image and _shows(schema.stream, name)}
        self.records.setdefault(schema.name, []).append(
            {
                "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
                "eventSource": "aws:dynamodb",
                "dynamodb": {
                    "Keys": key,
                    "ApproximateCreationDateTime": self.now_ms() // 1000,
                    "SequenceNumber": f"{next(self._numbers):021d}",
                    "StreamViewType": schema.stream,
                    **shown,
                },
            }
        )


def identity(key: Item) -> str:
    """Return a key's text, the same for the same item."""
    return json.dumps(key, sort_keys=True)


def _shows(view: str, image: str) -> bool:
    return view == "NEW_AND_OLD_IMAGES" or view == {"OldImage": "OLD_IMAGE", "NewImage": "NEW_IMAGE"}[image]
