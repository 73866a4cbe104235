"""The meter of write units, held to the examples that AWS's pages work out.

They are of the DynamoDB Developer Guide, docs.aws.amazon.com/amazondynamodb/latest/developerguide/:
read-write-operations.html, CapacityUnitCalculations.html, WorkingWithItems.html, GSI.html, transaction-apis.html.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.units.charges import Index, Schema, Written
from benchmarks.units.meter import Meter
from benchmarks.units.sizes import item_size, read_units, write_units
from benchmarks.units.tally import tally

KB = 1024
KEY = {"id": {"S": "k"}}
BY_OWNER = Index("by-owner", ("owner", "at"), frozenset({"name"}))
KEYS_ONLY = Index("keys-only", ("owner",))
EVERYTHING = Index("everything", ("owner",), None)
TABLE = Schema("Items", ("id",), (BY_OWNER, KEYS_ONLY, EVERYTHING), "NEW_AND_OLD_IMAGES")
PLAIN = Schema("Plain", ("id",))


def sized(size: int, **members: str) -> dict[str, Any]:
    """Return an item of exactly ``size`` bytes."""
    item: dict[str, Any] = {**KEY, **{name: {"S": value} for name, value in members.items()}}
    return {**item, "pad": {"S": "x" * (size - item_size(item) - len("pad"))}}


class Fake:
    """Answers as DynamoDB: each operation gets the next answer, and makes ``after`` what is stored."""

    def __init__(self, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None) -> None:
        self.stored, self.after = before, after
        self.status = 200
        self.answer: dict[str, Any] = {}
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def send(self, operation: str, body: bytes) -> tuple[int, bytes]:
        """See ``sender``."""
        request = json.loads(body)
        self.sent.append((operation, request))
        if operation == "GetItem":
            return 200, json.dumps({"Item": self.stored} if self.stored else {}).encode()
        if self.status == 200:
            self.stored = self.after
        return self.status, json.dumps(self.answer).encode()


def charged(fake: Fake, operation: str, request: dict[str, Any], schema: Schema = PLAIN) -> Meter:
    """Return a meter that has charged one request."""
    meter = Meter({schema.name: schema}, fake.send)
    meter.handle(operation, json.dumps(request).encode())
    return meter


def units(meter: Meter) -> dict[str, float]:
    """Return the write units by table and index."""
    return {place: amount for (_, place), amount in tally(meter.requests).write.items()}


def index_units(before: dict[str, Any] | None, after: dict[str, Any] | None, index: str) -> float:
    """Return the units of one index for a write."""
    charges = Written(TABLE, before, after, key=KEY).charges()
    return sum(charge.write for charge in charges if charge.index == index)


@pytest.mark.parametrize(
    ("item", "size"),
    [
        # "Items": an item of shirt-color R and shirt-size M has 23 bytes (Constraints.html).
        ({"shirt-color": {"S": "R"}, "shirt-size": {"S": "M"}}, 23),
        ({"a": {"S": "ü"}}, 3),  # UTF-8 bytes
        ({"a": {"N": "1234"}}, 1 + 2 + 1),  # a byte for two digits, and one
        ({"a": {"N": "12345"}}, 1 + 3 + 1),
        ({"a": {"N": "-1000"}}, 1 + 1 + 1),  # trailing zeroes are trimmed
        ({"a": {"N": "0.0012"}}, 1 + 1 + 1),  # and leading ones
        ({"a": {"B": "AAAA"}}, 1 + 3),  # raw bytes, not their base64
        ({"a": {"B": b"1234"}}, 1 + 4),
        ({"a": {"BOOL": True}, "b": {"NULL": True}}, 2 + 2),
        ({"a": {"L": []}}, 1 + 3),
        ({"a": {"M": {}}}, 1 + 3),
        ({"a": {"L": [{"S": "xy"}, {"BOOL": False}]}}, 1 + 3 + (1 + 2) + (1 + 1)),  # a byte for each element
        ({"a": {"M": {"bc": {"S": "xy"}}}}, 1 + 3 + (1 + 2 + 2)),
        ({"a": {"SS": ["xy", "z"]}, "n": {"NS": ["1", "22"]}, "b": {"BS": ["AAAA"]}}, 4 + 5 + 4),
    ],
)
def test_size_of_an_item(item: dict[str, Any], size: int) -> None:
    """Fails when a part of an item is counted otherwise than CapacityUnitCalculations.html says."""
    assert item_size(item) == size


def test_units_of_a_size() -> None:
    """Fails when sizes are not rounded up to 1 KB for a write and to 4 KB for a read, or nothing costs nothing."""
    assert [write_units(size) for size in (0, 1, KB, KB + 1, 3 * KB)] == [1, 1, 1, 2, 3]
    # 3,500 bytes consume the same throughput as 4 KB; 10 KB are 12 KB; 8 KB are 2, 1 or 4 units.
    assert [read_units(size) for size in (0, 3_500, 4 * KB, 10 * KB)] == [1, 1, 1, 3]
    assert [read_units(8 * KB, factor=factor) for factor in (1, 0.5, 2)] == [2, 1, 4]


@pytest.mark.parametrize(("before", "after"), [(None, 1_536), (1_536, 300), (300, 1_536)])
def test_a_write_costs_the_larger_image(before: int | None, after: int) -> None:
    """Fails when a put or an update is charged by the smaller of the item before and after."""
    fake = Fake(sized(before) if before else None, sized(after))
    assert units(charged(fake, "UpdateItem", {"TableName": "Plain", "Key": KEY})) == {"Plain": 2}


def test_a_delete_costs_what_was_there() -> None:
    """Fails when a delete is free, or costs one unit whatever it deletes."""
    assert units(charged(Fake(sized(2_000)), "DeleteItem", {"TableName": "Plain", "Key": KEY})) == {"Plain": 2}
    assert units(charged(Fake(), "DeleteItem", {"TableName": "Plain", "Key": KEY})) == {"Plain": 1}


def test_transactions_cost_twice() -> None:
    """Fails unless a transaction of three 500-byte items takes six units, AWS's example."""
    put = {"Put": {"TableName": "Plain", "Item": sized(500)}}
    fake = Fake(None, sized(500))
    assert units(charged(fake, "TransactWriteItems", {"TransactItems": [put] * 3})) == {"Plain": 6}


def test_indexes_are_not_doubled_in_a_transaction() -> None:
    """Fails when an index is charged twice because a transaction wrote the table."""
    item = sized(500, owner="o", at="1", name="n")
    put = {"Put": {"TableName": "Items", "Item": item}}
    found = units(charged(Fake(None, item), "TransactWriteItems", {"TransactItems": [put]}, TABLE))
    assert found == {"Items": 2, "by-owner": 1, "keys-only": 1, "everything": 1}


@pytest.mark.parametrize(
    ("stored", "operation", "expected"),
    [(None, "PutItem", 1), (1_000, "PutItem", 1), (2_000, "PutItem", 2), (2_000, "TransactWriteItems", 4)],
)
def test_refused_writes_cost_what_is_stored(stored: int | None, operation: str, expected: int) -> None:
    """Fails when a failed condition is free, ignores the stored item's size, or is charged to indexes."""
    item = sized(stored, owner="o", at="1") if stored else None
    fake = Fake(item)
    in_transaction = operation == "TransactWriteItems"
    code = "TransactionCanceledException" if in_transaction else "ConditionalCheckFailedException"
    fake.status, fake.answer = 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}"}
    put = {"TableName": "Items", "Item": {**KEY, "owner": {"S": "other"}}}
    request = {"TransactItems": [{"Put": put}]} if in_transaction else put
    meter = charged(fake, operation, request, TABLE)
    assert units(meter) == {"Items": expected}
    assert meter.requests[0].refused
    assert meter.records == {}


def test_refused_for_another_reason_costs_nothing() -> None:
    """Fails when a throttled or malformed request is charged like a failed condition."""
    fake = Fake()
    fake.status, fake.answer = 400, {"__type": "x#ValidationException"}
    assert charged(fake, "PutItem", {"TableName": "Plain", "Item": KEY}).requests == []


def test_an_index_is_charged_by_what_changes_in_it() -> None:
    """Fails when one of the five rules of GSI.html does not hold."""
    inside = sized(300, owner="o", at="1", name="n")
    outside = sized(300)
    assert index_units(None, inside, "by-owner") == 1  # put into the index
    assert index_units(inside, outside, "by-owner") == 1  # deleted from it
    assert index_units(inside, {**inside, "at": {"S": "2"}}, "by-owner") == 2  # a key attribute changed
    assert index_units(inside, {**inside, "name": {"S": "m"}}, "by-owner") == 1  # a projected attribute changed
    assert index_units(inside, {**inside, "pad": {"S": "y"}}, "by-owner") == 0  # nothing of the entry changed
    assert index_units(None, outside, "by-owner") == 0  # it is not in the index, and was not


def test_an_index_is_charged_by_its_entry() -> None:
    """Fails when the whole item is charged for an index that projects a part of it, or a part for one that has all."""
    item = sized(3_000, owner="o", at="1", name="n" * 1_500)
    assert index_units(None, item, "keys-only") == 1
    assert index_units(None, item, "by-owner") == 2
    assert index_units(None, item, "everything") == 3


def test_an_item_without_the_sort_key_is_not_in_the_index() -> None:
    """Fails when an index is charged for an item that lacks one of its key attributes."""
    assert index_units(None, sized(300, owner="o"), "by-owner") == 0


def test_batches_and_condition_checks() -> None:
    """Fails when an action of a transaction or of a batch is not charged."""
    check = {"ConditionCheck": {"TableName": "Plain", "Key": KEY}}
    item = sized(1_500)
    assert units(charged(Fake(item, item), "TransactWriteItems", {"TransactItems": [check]})) == {"Plain": 4}
    batch = {"RequestItems": {"Plain": [{"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": KEY}}]}}
    assert units(charged(Fake(item, item), "BatchWriteItem", batch)) == {"Plain": 4}


@pytest.mark.parametrize(
    ("request_", "operation", "expected"),
    [
        ({"TableName": "Plain", "Key": KEY, "ConsistentRead": True}, "GetItem", 2.0),
        ({"TableName": "Plain", "Key": KEY}, "GetItem", 1.0),
        ({"RequestItems": {"Plain": {"Keys": [KEY, KEY], "ConsistentRead": True}}}, "BatchGetItem", 4.0),
        ({"TransactItems": [{"Get": {"TableName": "Plain", "Key": KEY}}]}, "TransactGetItems", 4.0),
    ],
)
def test_reads(request_: dict[str, Any], operation: str, expected: float) -> None:
    """Fails when a read of 6.5 KB costs other than 2 units, half when eventual, twice in a transaction."""
    item = sized(6_656)
    meter = charged(Fake(item, item), operation, request_)
    assert tally(meter.requests).read_units == expected


@pytest.mark.parametrize(
    ("index", "consistent", "expected"), [("", True, 2.0), ("", False, 1.0), ("everything", False, 1.0)]
)
def test_queries_round_once(index: str, consistent: bool, expected: float) -> None:
    """Fails when each item of a query is rounded up: 1.5 KB and 6.5 KB are 8 KB, two units and not three."""
    fake = Fake()
    fake.answer = {"Items": [sized(1_536), sized(6_656)]}
    request = {
        "TableName": "Items",
        "KeyConditionExpression": "#p = :p",
        "ExpressionAttributeNames": {"#p": "owner" if index else "id"},
        "ExpressionAttributeValues": {":p": {"S": "o"}},
        **({"IndexName": index} if index else {"ConsistentRead": consistent}),
    }
    meter = charged(fake, "Query", request, TABLE)
    (charge,) = meter.requests[0].charges
    assert (charge.read, charge.index, charge.partition) == (expected, index, "o")


def test_a_query_is_charged_for_what_it_leaves_out() -> None:
    """Fails when a filter or a projection makes a query look cheaper than what it reads."""
    fake = Fake()
    fake.answer = {"Items": [sized(6_656)]}
    request = {
        "TableName": "Plain",
        "KeyConditionExpression": "id = :p",
        "FilterExpression": "#f = :f",
        "ProjectionExpression": "#f",
        "ExpressionAttributeNames": {"#f": "owner"},
        "ExpressionAttributeValues": {":p": {"S": "k"}, ":f": {"S": "x"}},
    }
    charged(fake, "Query", request)
    assert fake.sent[1] == (
        "Query",
        {
            "TableName": "Plain",
            "KeyConditionExpression": "id = :p",
            "ExpressionAttributeValues": {":p": {"S": "k"}},
        },
    )


def test_an_operation_without_a_rule_is_not_free() -> None:
    """Fails when the meter lets an operation pass that it can't charge."""
    with pytest.raises(ValueError, match="Scan"):
        charged(Fake(), "Scan", {"TableName": "Plain"})


def test_the_stream_shows_changes_alone() -> None:
    """Fails when a write that changes nothing makes a record, or a record lacks an image."""
    item, other = sized(300, owner="o"), sized(300, owner="p")
    meter = charged(Fake(item, item), "UpdateItem", {"TableName": "Items", "Key": KEY}, TABLE)
    assert meter.records == {}
    meter = charged(Fake(item, other), "UpdateItem", {"TableName": "Items", "Key": KEY}, TABLE)
    (record,) = meter.records["Items"]
    assert record["eventName"] == "MODIFY"
    assert (record["dynamodb"]["OldImage"], record["dynamodb"]["NewImage"]) == (item, other)
