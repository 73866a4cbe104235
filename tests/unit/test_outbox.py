"""A merchant's lists are spread over partitions and read as one, and a change's item opens to what was stored."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from payonce.domain.events import build_event
from payonce.domain.payment import Change
from payonce.outbox import (
    CHANGES,
    DAY_SHARDS,
    FIRSTS,
    LIST_SHARDS,
    created_key,
    event_item,
    event_write,
    events_of_day,
    events_of_merchant,
    find_event,
    list_partition,
    listed_keys,
    opened,
)
from payonce.ports import Insert, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.webhook_api import texts_in

AT_MS = 1_800_000_000_000
LAST = "~"


def event(number: int, *, merchant_id: str = "mer_1", version: int = 1, **more: Any) -> Any:
    return build_event(
        Change.CHARGED,
        merchant_id=merchant_id,
        resource_id=f"pay_{number:026d}",
        version=version,
        created_at_ms=AT_MS + number,
        data={"number": number, "text": "ö☃\n"},
        **more,
    )


def filled(count: int) -> MemoryDatabase:
    """Return a database with ``count`` payments, every second one with a second version, and a stranger's."""
    database = MemoryDatabase()
    for number in range(count):
        database.write([event_write(event(number), listed=FIRSTS)])
        if number % 2:
            database.write([event_write(event(number, version=2))])
    database.write([event_write(event(999, merchant_id="mer_2"), listed=FIRSTS)])
    return database


def test_an_item_opens_to_its_event() -> None:
    """Fails when the bytes are not those that were made, or a line break within the data ends the first part."""
    one = event(1, only_endpoint_id="we_1")
    item = event_item(one, {"entry": {"note": "a\nb"}})
    found = opened(item)
    assert (found["event_id"], found["event_type"], found["body"]) == (one.event_id, "payment.captured", one.body)
    assert (found["merchant_id"], found["created_at_ms"], found["only_endpoint_id"]) == ("mer_1", AT_MS + 1, "we_1")
    assert found["told"] == {"entry": {"note": "a\nb"}}
    assert opened(found) is found
    assert set(item) & {"event_id", "event_type", "body"} == set()


@pytest.mark.parametrize("damage", [{"packed": b""}, {"packed": b"\x63?"}, {"packed": b"\x00no JSON\n{}"}, {"sk": "x"}])
def test_what_is_no_event_is_a_key_error(damage: dict[str, Any]) -> None:
    """The relay and the sweeper put such an item aside. Fails when it ends their run."""
    with pytest.raises(KeyError):
        opened({**event_item(event(1)), **damage})
    with pytest.raises(KeyError):
        opened({"pk": "x", "sk": "0000000001"})


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_of_all_shards_are_one_list_in_order(limit: int) -> None:
    """Fails when a page takes its items from one shard after the other, or skips what a shard has beyond its limit."""
    database = filled(40)
    after, ids = "", []
    while True:
        page = events_of_merchant(database, "mer_1", after=after, until=LAST, limit=limit)
        ids += [one["event_id"] for one in page.items]
        if page.next_key is None:
            break
        after = page.next_key["created_key"]
    assert ids == sorted(ids, key=lambda identity: (int(identity.split("_")[2]), identity))
    assert len(ids) == len(set(ids)) == 60


def test_a_list_descends_and_keeps_its_bounds() -> None:
    database = filled(20)
    page = listed_keys(
        database,
        "mer_1",
        (FIRSTS,),
        after=created_key(AT_MS + 4, LAST),
        until=created_key(AT_MS + 15, LAST),
        descending=True,
        limit=5,
    )
    assert [int(key["pk"].removeprefix("pay_")) for key in page.items] == [15, 14, 13, 12, 11]
    assert page.next_key is not None
    assert listed_keys(database, "mer_1", (FIRSTS,), after="b", until="a", limit=5).items == []


def test_a_merchants_writes_are_spread_over_its_partitions() -> None:
    """A partition of an index takes some 1,000 writes a second, and a throttled index throttles its table.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html
    """
    items = [event_item(event(number), listed=FIRSTS) for number in range(2_000)]
    lists = Counter(item["list_shard"] for item in items)
    days = Counter(item["day_shard"] for item in items)
    assert set(lists) == {list_partition("mer_1", FIRSTS, shard) for shard in range(LIST_SHARDS)}
    assert len(days) == DAY_SHARDS
    assert max(lists.values()) < 1.2 * 2_000 / LIST_SHARDS
    assert max(days.values()) < 1.5 * 2_000 / DAY_SHARDS
    later = event_item(event(1, version=2))
    assert later["list_shard"].split("#")[1] == CHANGES


def test_an_event_is_found_by_its_id_by_its_merchant_alone() -> None:
    database, one = filled(3), event(1)
    found = find_event(database, "mer_1", one.event_id)
    assert found is not None
    assert json.loads(found["body"])["id"] == one.event_id
    for merchant_id, identity in (("mer_2", one.event_id), ("mer_1", one.event_id + "1"), ("mer_1", "nonsense")):
        assert find_event(database, merchant_id, identity) is None


def test_a_days_events_are_read_in_order_from_a_position_on() -> None:
    database = MemoryDatabase()
    items = [event_item(event(number)) | {"day_shard": "20833#00"} for number in range(5)]
    database.write([Insert(Table.OUTBOX, item) for item in items])
    page = events_of_day(database, 0, from_ms=AT_MS + 1, until_ms=AT_MS + 3, limit=2)
    assert [item["created_at_ms"] - AT_MS for item in page.items] == [1, 2]
    rest = events_of_day(database, 0, from_ms=AT_MS + 1, until_ms=AT_MS + 3, limit=2, start=page.next_key)
    assert [item["created_at_ms"] - AT_MS for item in rest.items] == [3]


def test_who_looks_for_secrets_looks_into_what_is_packed() -> None:
    """Fails when a scan of the tables for secrets sees packed bytes alone."""
    assert any('"number":1' in text for text in texts_in(event_item(event(1))))
