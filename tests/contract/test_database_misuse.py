"""What no database of ours takes, whatever is stored: the same in memory as on DynamoDB, so that a unit test finds it.

Sources: "Quotas in Amazon DynamoDB"
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html), the errors of TransactWriteItems
(https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html), of UpdateItem and of
BatchGetItem there.
"""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import StoreRequestInvalid, WriteConflict
from payonce.domain.problems import problem_of
from payonce.ports import Adjust, Delete, Insert, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import create_tables, dynamo_database, dynamodb_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import Database, Write

T = Table.PAYMENTS
KEY = {"pk": "p", "sk": "s"}
OTHER = {"pk": "p", "sk": "other"}
ELSEWHERE = ((Table.IDEMPOTENCY, {"id": "r"}), (Table.OUTBOX, OTHER), (T, {"pk": "p" * 2048, "sk": "ö" * 512}))
KB = 1024
BY_DAY = "events-by-day"


def put(key: dict[str, Any] | None = None, table: Table = T, **attributes: Any) -> Insert:
    return Insert(table, {**(OTHER if key is None else key), **attributes})


def adjust(**what: Any) -> Adjust:
    return Adjust(table=T, key=KEY, **what)


def nested(levels: int) -> Any:
    value: Any = "leaf"
    for _ in range(levels):
        value = [value]
    return value


def puts(count: int, **attributes: Any) -> list[Write]:
    return [put({"pk": "p", "sk": f"{number:03d}"}, **attributes) for number in range(count)]


WRITES: dict[str, Callable[[], list[Write]]] = {
    "two inserts of one item": lambda: [put(), put()],
    "an insert and a change of one item": lambda: [put(), Adjust(table=T, key=OTHER, set={"n": 1}, upsert=True)],
    "a change and a deletion of one item": lambda: [adjust(set={"n": 1}), Delete(table=T, key=KEY, require={})],
    "101 writes": lambda: puts(101),
    "no writes": list,
    "an empty partition key": lambda: [put({"pk": "", "sk": "s"})],
    "an empty sort key": lambda: [put({"pk": "p", "sk": ""})],
    "an empty key of an index": lambda: [put(operation_reference="")],
    "a number as a key": lambda: [put({"pk": 1, "sk": "s"})],
    "bytes as a key": lambda: [put({"pk": "p", "sk": b"s"})],
    "a number as a key of an index": lambda: [put(correction_status=7, listed_key="k")],
    "a text where an index has a number": lambda: [
        Insert(Table.IDEMPOTENCY, {"id": "r", "open_shard": "0", "lease_expires_at_ms": "5"})
    ],
    "None as a key of an index": lambda: [put(operation_reference=None)],
    "no sort key": lambda: [put({"pk": "p"})],
    "a change by half a key": lambda: [Adjust(table=T, key={"pk": "p"}, set={"n": 1}, upsert=True)],
    "a change by more than a key": lambda: [Adjust(table=T, key={**OTHER, "x": "y"}, set={"n": 1}, upsert=True)],
    "a deletion by half a key": lambda: [Delete(table=T, key={"pk": "p"}, require={})],
    "a partition key of 2,049 bytes": lambda: [put({"pk": "p" * 2049, "sk": "s"})],
    "a sort key of 1,025 bytes": lambda: [put({"pk": "p", "sk": "ö" * 512 + "s"})],
    "an index's sort key of 1,025 bytes": lambda: [put(correction_status="m", listed_key="k" * 1025)],
    "an item of more than 400 KB": lambda: [put(blob=bytes(400 * KB))],
    "an item of more than 400 KB in text": lambda: [put(text="ö" * 205 * KB)],
    "an item of more than 400 KB with another": lambda: [put(blob=bytes(500 * KB)), put({"pk": "p", "sk": "z"})],
    "a change to more than 400 KB": lambda: [adjust(set={"blob": bytes(300 * KB), "more": bytes(101 * KB)})],
    "a change to more than 400 KB of what is stored": lambda: [adjust(set={"blob": bytes(399 * KB)})],
    "a change to more than 400 KB beside another": lambda: [adjust(set={"blob": bytes(399 * KB)}), put()],
    "a transaction of more than 4 MB": lambda: puts(11, blob=bytes(399 * KB)),
    "a float": lambda: [put(amount=1.5)],
    "a float within": lambda: [put(nested={"a": [1.0]})],
    "a float in a condition": lambda: [adjust(require={"n": 1.0}, set={"n": 2})],
    "not a number": lambda: [put(amount=float("nan"))],
    "a set": lambda: [put(names={"a"})],
    "an empty set": lambda: [put(names=set())],
    "an object": lambda: [put(thing=object())],
    "a number as a name": lambda: [put(names={1: "a"})],
    "a number of 39 digits": lambda: [put(n=10**38)],
    "a text that is no Unicode": lambda: [put(text="\ud800")],
    "33 levels": lambda: [put(deep=nested(33))],
    "an empty attribute name": lambda: [put(**{"": 1})],
    "an attribute name of 64 KB": lambda: [put(**{"n" * 65_536: 1})],
    "a change of nothing": lambda: [adjust()],
    "a change of nothing beside another": lambda: [adjust(), put()],
    "a change of a part of the key": lambda: [adjust(set={"sk": "s"})],
    "removing a part of the key": lambda: [adjust(remove=("sk",))],
    "one attribute set and removed": lambda: [adjust(set={"n": 1}, remove=("n",))],
    "one attribute set and added to": lambda: [adjust(set={"n": 1}, add={"n": 1})],
    "one attribute removed twice": lambda: [adjust(remove=("n", "n"))],
    "adding a text": lambda: [adjust(add={"n": "1"})],
    "adding a truth": lambda: [adjust(add={"n": True})],
    "adding to a text": lambda: [adjust(add={"text": 1})],
    "adding to a text beside another": lambda: [adjust(add={"text": 1}), put()],
}
# What DynamoDB Local takes although DynamoDB does not.
STRICTER_THAN_LOCAL: dict[str, Callable[[], list[Write]]] = {
    "a change to a text where an index has a number": lambda: [
        Adjust(table=Table.OUTBOX, key=OTHER, set={"day_shard": "d", "created_at_ms": "5"}, upsert=True)
    ],
    "adding to a text of an index": lambda: [Adjust(table=T, key=OTHER, add={"listed_key": 1}, upsert=True)],
}
READS: dict[str, Callable[[Database], Any]] = {
    "a key with an empty part": lambda database: database.get(T, {"pk": "p", "sk": ""}),
    "half a key": lambda database: database.get(T, {"pk": "p"}),
    "more than a key": lambda database: database.get(T, {**KEY, "n": "1"}),
    "a number as a key": lambda database: database.get(T, {"pk": "p", "sk": 1}),  # type: ignore[dict-item]
    "101 keys": lambda database: database.get_many(T, [{"pk": "p", "sk": str(n)} for n in range(101)]),
    "no keys": lambda database: database.get_many(T, []),
    "one key twice": lambda database: database.get_many(T, [KEY, KEY]),
    "a half among keys": lambda database: database.get_many(T, [KEY, {"pk": "q"}]),
    "no items": lambda database: database.query(T, partition=("pk", "p"), limit=0),
    "an index that is none": lambda database: database.query(T, partition=("pk", "p"), index="none", limit=1),
    "another attribute": lambda database: database.query(T, partition=("merchant_id", "p"), limit=1),
    "the table's key of an index": lambda database: database.query(
        T, partition=("pk", "p"), index="corrections-by-status", limit=1
    ),
    "an empty partition": lambda database: database.query(T, partition=("pk", ""), limit=1),
    "an order that is none": lambda database: database.query(
        T, partition=("pk", "p"), sort_prefix=("created_key", "x"), limit=1
    ),
    "a text of a number": lambda database: database.query(
        Table.OUTBOX,
        index="events-by-day",
        partition=("day_shard", "d"),
        sort_at_most=("created_at_ms", "5"),
        limit=1,
    ),
    "a number of a text": lambda database: database.query(T, partition=("pk", "p"), sort_at_least=("sk", 5), limit=1),
    "a prefix of a number": lambda database: database.query(
        Table.OUTBOX, index=BY_DAY, partition=("day_shard", "d"), sort_prefix=("created_at_ms", "5"), limit=1
    ),
    "bounds that are crossed": lambda database: database.query(
        T, partition=("pk", "p"), sort_at_least=("sk", "b"), sort_at_most=("sk", "a"), limit=1
    ),
    "a start that is none": lambda database: database.query(T, partition=("pk", "p"), limit=1, start={"pk": "p"}),
    "a start of another index": lambda database: database.query(
        T, partition=("pk", "p"), limit=1, start={**KEY, "correction_status": "m", "listed_key": "k"}
    ),
}


_made = itertools.count()  # a worker that takes over tests of another may make the fixture again


@pytest.fixture(scope="module", params=["memory", "dynamodb_local"])
def adapter(request: pytest.FixtureRequest) -> Iterator[Database]:
    """Memory and DynamoDB Local, each made once: what is refused leaves nothing. moto takes much of all this."""
    if request.param == "memory":
        yield MemoryDatabase()
    else:
        client = dynamodb_client(request.getfixturevalue("dynamodb_local"))
        yield dynamo_database(client, create_tables(client, f"misuse{next(_made)}-"))


@pytest.fixture
def database(adapter: Database) -> Database:
    """The adapter with nothing in it that an earlier test wrote."""
    for item in adapter.query(T, partition=("pk", "p"), limit=200).items:
        adapter.write([Delete(table=T, key={"pk": item["pk"], "sk": item["sk"]}, require={})])
    for table, key in ELSEWHERE:
        if adapter.get(table, key) is not None:
            adapter.write([Delete(table=table, key=key, require={})])
    return adapter


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_that_no_database_takes_is_a_defect_and_writes_nothing(database: Database, kind: str) -> None:
    """Fails when memory takes it, or when an adapter calls it "not available": a retry would never end."""
    stored = {**KEY, "n": 1, "text": "t", "blob": bytes(100), "kept": bytes(2 * KB)}
    database.write([Insert(T, stored)])
    with pytest.raises(StoreRequestInvalid) as refused:
        database.write(WRITES[kind]())
    problem = problem_of(refused.value)
    assert (problem.slug, problem.status) == ("internal", 500)
    assert database.query(T, partition=("pk", "p"), limit=200).items == [stored]
    for table, key in ELSEWHERE:
        assert database.get(table, key) is None


@pytest.mark.parametrize("kind", STRICTER_THAN_LOCAL)
def test_memory_refuses_what_only_amazons_own_service_refuses(kind: str) -> None:
    """Fails when memory is as lenient as DynamoDB Local."""
    database = MemoryDatabase()
    with pytest.raises(StoreRequestInvalid):
        database.write(STRICTER_THAN_LOCAL[kind]())
    assert database.get(Table.OUTBOX, OTHER) is database.get(T, OTHER) is None


@pytest.mark.parametrize("kind", READS)
def test_a_read_that_no_database_answers_is_a_defect(database: Database, kind: str) -> None:
    """Fails when memory answers it, or when an adapter calls it "not available"."""
    database.write([put(KEY, n=1)])
    with pytest.raises(StoreRequestInvalid):
        READS[kind](database)


def test_what_is_just_inside_the_limits_is_taken(database: Database) -> None:
    """Keeps memory from refusing more than DynamoDB: its limits are not to be found by payments."""
    edge = put({"pk": "p" * 2048, "sk": "ö" * 512}, operation_reference="g" * 2048, deep=nested(31), empty="")
    database.write([edge])
    database.write([put(KEY, blob=bytes(400 * KB - 100), n=10**38 - 1, debt=1 - 10**38)])
    database.write(puts(100))
    found = database.get_many(T, [{"pk": "p", "sk": f"{number:03d}"} for number in range(100)])
    assert len(found) == 100
    database.write([adjust(set={"blob": b""}, add={"fresh": 1}, remove=("never there",))])


class Word(StrEnum):
    ONE = "one"


def test_what_comes_back_is_what_the_database_holds_and_not_what_was_handed_in(database: Database) -> None:
    """Fails when memory gives back a tuple or an enum's member, which no database remembers."""
    database.write([put(KEY, pair=(1, "a"), word=Word.ONE, nested={"pair": (True,)})])
    found = database.get(T, KEY)
    assert found == {**KEY, "pair": [1, "a"], "word": "one", "nested": {"pair": [True]}}
    assert type(found["word"]) is str


@pytest.mark.parametrize(
    "conditions",
    [
        {"require": {"yes": 1}},
        {"require": {"one": True}},
        {"require": {"nested": {"a": [True]}}},
        {"minimum": {"text": 0}},
        {"minimum": {"yes": 0}},
        {"minimum": {"missing": -5}},
    ],
    ids=str,
)
def test_a_condition_compares_types_too(database: Database, conditions: dict[str, Any]) -> None:
    """Fails when memory compares as Python does, to which ``True`` is 1 and what is missing is a number."""
    stored = {**KEY, "yes": True, "one": 1, "nested": {"a": [1]}, "text": "5"}
    database.write([Insert(T, stored)])
    with pytest.raises(WriteConflict):
        database.write([adjust(set={"touched": True}, **conditions)])
    assert database.get(T, KEY) == stored


def test_a_failed_condition_comes_before_what_would_have_been_stored(database: Database) -> None:
    """The write that is too large is only so because of what is stored. Fails when memory looks at it first."""
    database.write([put(KEY, blob=bytes(300 * KB))])
    database.write([put(n=1)])
    with pytest.raises(WriteConflict) as refused:
        database.write([adjust(set={"more": bytes(200 * KB)}), put(n=2)])
    assert refused.value.index == 1
