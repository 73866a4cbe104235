"""The contract of the Database port, passed by every adapter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import WriteConflict
from payonce.ports import Adjust, Delete, Insert, Table

if TYPE_CHECKING:
    from payonce.ports import Database

KEY = {"pk": "p", "sk": "s"}


def item(sort: str = "s", **attributes: Any) -> dict[str, Any]:
    return {"pk": "p", "sk": sort, **attributes}


def test_insert_refuses_what_is_stored_and_shows_it(database: Database) -> None:
    database.write([Insert(Table.PAYMENTS, item(n=1))])
    with pytest.raises(WriteConflict) as refused:
        database.write([Insert(Table.PAYMENTS, item(n=2))])
    assert (refused.value.index, refused.value.current) == (0, item(n=1))
    assert database.get(Table.PAYMENTS, KEY) == item(n=1)


def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    """Fails when the writes are sent one after the other."""
    database.write([Insert(Table.PAYMENTS, item(n=1))])
    with pytest.raises(WriteConflict) as refused:
        database.write([Insert(Table.OUTBOX, item()), Insert(Table.PAYMENTS, item(n=2))])
    assert refused.value.index == 1
    assert refused.value.current == item(n=1)
    assert database.get(Table.OUTBOX, KEY) is None


def test_a_conflict_names_the_first_refused_write(database: Database) -> None:
    database.write([Insert(Table.PAYMENTS, item(n=1)), Insert(Table.OUTBOX, item(n=2))])
    with pytest.raises(WriteConflict) as refused:
        database.write([Insert(Table.PAYMENTS, item()), Insert(Table.OUTBOX, item())])
    assert (refused.value.index, refused.value.current) == (0, item(n=1))


def test_values_come_back_as_they_were(database: Database) -> None:
    values = item(
        text="odd ☃ \u0000 \U0001f4b6",
        empty="",
        number=-(10**30),
        raw=b"\x00\xff",
        nothing=None,
        yes=True,
        nested={"a": [1, "b", {"c": b""}]},
        none_at_all={},
    )
    database.write([Insert(Table.PAYMENTS, values)])
    assert database.get(Table.PAYMENTS, KEY) == values


def test_adjust_needs_every_condition(database: Database) -> None:
    """Fails when a condition is left out of the expression."""
    database.write([Insert(Table.PAYMENTS, item(version=3, left=10, gone="x"))])
    for wrong in ({"require": {"version": 2}}, {"minimum": {"left": 11}}, {"minimum": {"missing": 0}}):
        with pytest.raises(WriteConflict) as refused:
            database.write([Adjust(table=Table.PAYMENTS, key=KEY, set={"touched": True}, **wrong)])  # type: ignore[arg-type]
        assert refused.value.current == item(version=3, left=10, gone="x")
    database.write(
        [
            Adjust(
                table=Table.PAYMENTS,
                key=KEY,
                require={"version": 3},
                minimum={"left": 10},
                add={"left": -10, "new": 5},
                set={"version": 4},
                remove=("gone",),
            )
        ]
    )
    assert database.get(Table.PAYMENTS, KEY) == item(version=4, left=0, new=5)


def test_adjust_refuses_a_missing_item_unless_it_may_make_one(database: Database) -> None:
    with pytest.raises(WriteConflict) as refused:
        database.write([Adjust(table=Table.LEDGER, key=KEY, add={"n": 1})])
    assert refused.value.current is None
    database.write([Adjust(table=Table.LEDGER, key=KEY, add={"n": 1}, upsert=True)])
    database.write([Adjust(table=Table.LEDGER, key=KEY, add={"n": 2}, upsert=True)])
    assert database.get(Table.LEDGER, KEY) == item(n=3)


def test_delete_is_conditional(database: Database) -> None:
    database.write([Insert(Table.PAYMENTS, item(fence=2))])
    with pytest.raises(WriteConflict):
        database.write([Delete(table=Table.PAYMENTS, key=KEY, require={"fence": 1})])
    database.write([Delete(table=Table.PAYMENTS, key=KEY, require={"fence": 2})])
    assert database.get(Table.PAYMENTS, KEY) is None
    with pytest.raises(WriteConflict):
        database.write([Delete(table=Table.PAYMENTS, key=KEY, require={})])


def test_queries_page_in_both_directions(database: Database) -> None:
    database.write([Insert(Table.LEDGER, item(f"{number:03d}")) for number in range(7)])
    for descending in (False, True):
        seen, start = [], None
        while True:
            page = database.query(Table.LEDGER, partition=("pk", "p"), limit=3, descending=descending, start=start)
            seen += [found["sk"] for found in page.items]
            start = page.next_key
            if start is None:
                break
        assert seen == sorted(seen, reverse=descending)
        assert len(seen) == 7


def test_a_query_is_bounded_on_both_sides(database: Database) -> None:
    """Fails when one of the bounds is left out, or does not include itself."""
    database.write([Insert(Table.LEDGER, item(f"{number:03d}")) for number in range(7)])

    def found(**bounds: Any) -> list[str]:
        page = database.query(Table.LEDGER, partition=("pk", "p"), limit=10, **bounds)
        return [one["sk"] for one in page.items]

    assert found(sort_at_least=("sk", "002"), sort_at_most=("sk", "004")) == ["002", "003", "004"]
    assert found(sort_at_least=("sk", "005")) == ["005", "006"]
    assert found(sort_at_most=("sk", "001")) == ["000", "001"]
    assert found(sort_prefix=("sk", "00"), descending=True)[0] == "006"


def test_an_index_lists_only_items_that_have_its_attributes(database: Database) -> None:
    for number, lease in enumerate((30, 10, 20, None)):
        record: dict[str, Any] = {"id": f"r{number}"}
        if lease is not None:
            record |= {"open_shard": "0", "lease_expires_at_ms": lease}
        database.write([Insert(Table.IDEMPOTENCY, record)])
    page = database.query(
        Table.IDEMPOTENCY,
        index="open-leases",
        partition=("open_shard", "0"),
        sort_at_most=("lease_expires_at_ms", 20),
        limit=10,
    )
    assert [found["id"] for found in page.items] == ["r1", "r2"]


def test_concurrent_changes_are_all_counted(database: Database, request: pytest.FixtureRequest) -> None:
    """Fails when a change is read, added and written back, or when a transaction conflict is not tried again.

    moto's transactions are not isolated from each other, so there one thread has to do.
    """
    threads = 1 if request.node.callspec.params["database"] == "moto" else 4
    database.write([Insert(Table.LEDGER, item(n=0))])

    def add(number: int) -> None:
        database.write([Adjust(table=Table.LEDGER, key=KEY, add={"n": 1}), Insert(Table.OUTBOX, item(f"{number:03d}"))])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add, range(24)))
    found = database.get(Table.LEDGER, KEY)
    assert found is not None
    assert found["n"] == 24


def test_many_items_are_read_at_once(database: Database) -> None:
    """More than the 16 MB of one answer of DynamoDB's. Fails when what it left out is not asked for again."""
    keys = [{"pk": "p", "sk": f"{number:03d}"} for number in range(100)]
    for key in keys[:60]:
        database.write([Insert(Table.PAYMENTS, {**key, "blob": bytes(300_000)})])
    found = database.get_many(Table.PAYMENTS, keys)
    assert sorted(item["sk"] for item in found) == [key["sk"] for key in keys[:60]]
    assert database.get_many(Table.PAYMENTS, keys[60:]) == []
