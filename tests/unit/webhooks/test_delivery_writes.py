"""Each write of a delivery is refused once anything that it was drafted from has changed.

One attribute at a time, so that no condition is held by another one that happens to fail with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.delivery import MAX_EXCERPT_CHARACTERS, Answer
from payonce.domain.errors import WriteConflict
from payonce.domain.ids import UlidSource, event_id
from payonce.domain.webhooks import DeliveryStatus
from payonce.ports import Adjust, Table
from payonce.stores.limits import item_bytes
from payonce.stores.memory import MemoryDatabase
from payonce.webhooks.deliveries import (
    MAX_KEPT_ATTEMPTS,
    RETENTION_SECONDS,
    attempt_entry,
    attempt_name,
    delivery_from,
    key_of,
    new_delivery,
)
from payonce.webhooks.delivery_writes import (
    attempt_write,
    insert_write,
    lease_write,
    reopen_write,
    status_write,
    yield_write,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Item, Write
    from payonce.webhooks.deliveries import Delivery

NOW_MS = 1_800_000_000_000
DAY_SECONDS = 86_400
EVENT = {
    "merchant_id": "mer_1",
    "event_id": "evt_1",
    "event_type": "payment.captured",
    "pk": "mer_1#pay_1",
    "sk": "0000000001",
    "created_at_ms": NOW_MS,
}
OWNED = {"status": "delivered", "fence": 1, "attempt_count": 1}
WRITES: dict[str, tuple[Callable[[Delivery], Write], dict[str, Any]]] = {
    "lease": (
        lambda read: lease_write(read, lease_expires_at_ms=NOW_MS + 25_000, lane_mark=0),
        {**OWNED, "lease_expires_at_ms": NOW_MS + 1},
    ),
    "attempt": (lambda read: attempt_write(read, {}, DeliveryStatus.DELIVERED, at_ms=NOW_MS), OWNED),
    "status": (lambda read: status_write(read, DeliveryStatus.HELD, at_ms=NOW_MS), OWNED),
    "yield": (lambda read: yield_write(read, at_ms=NOW_MS), OWNED),
    "reopen": (lambda read: reopen_write(read, at_ms=NOW_MS + 1), OWNED),
}


def stored_delivery(database: MemoryDatabase) -> Delivery:
    delivery = new_delivery(EVENT, "ep_1", DeliveryStatus.PENDING, now_ms=NOW_MS)
    database.write([insert_write(delivery)])
    return read(database, delivery)


def read(database: MemoryDatabase, delivery: Delivery) -> Delivery:
    return delivery_from(item(database, delivery))


def item(database: MemoryDatabase, delivery: Delivery) -> Item:
    found = database.get(Table.DELIVERIES, key_of(delivery))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "attribute"), [(name, attribute) for name, (_, compared) in WRITES.items() for attribute in compared]
)
def test_a_write_is_refused_when_one_thing_has_changed_since(name: str, attribute: str) -> None:
    """Fails when that one comparison is taken out of that one write (P5)."""
    database = MemoryDatabase()
    delivery = stored_delivery(database)
    make, compared = WRITES[name]
    database.write(
        [Adjust(table=Table.DELIVERIES, key=key_of(delivery), set={attribute: compared[attribute]})],
    )
    before = item(database, delivery)
    with pytest.raises(WriteConflict):
        database.write([make(delivery)])
    assert item(database, delivery) == before


@pytest.mark.parametrize("name", WRITES)
def test_a_write_is_taken_when_nothing_has_changed(name: str) -> None:
    """Keeps the test above from passing because a write is refused whatever is stored."""
    database = MemoryDatabase()
    delivery = stored_delivery(database)
    before = item(database, delivery)
    database.write([WRITES[name][0](delivery)])
    assert item(database, delivery) != before


def test_a_lease_raises_the_fence() -> None:
    """Fails when two senders hold the same fence: the older one's record would be taken."""
    database = MemoryDatabase()
    delivery = stored_delivery(database)
    database.write([lease_write(delivery, lease_expires_at_ms=NOW_MS + 25_000, lane_mark=3)])
    leased = read(database, delivery)
    assert (leased.fence, leased.lease_expires_at_ms, leased.lane_mark) == (delivery.fence + 1, NOW_MS + 25_000, 3)


def test_the_oldest_attempt_makes_room_and_looking_at_it_lasts_from_the_newest() -> None:
    """Fails when attempts pile up in the item, or a delivery of today is forgotten by the day of its first attempt."""
    database = MemoryDatabase()
    delivery = stored_delivery(database)
    for number in range(MAX_KEPT_ATTEMPTS + 2):
        at_ms = NOW_MS + number * DAY_SECONDS * 1000
        database.write(
            [attempt_write(read(database, delivery), {}, DeliveryStatus.PENDING, at_ms=at_ms, not_before_ms=1)]
        )
    after = item(database, delivery)
    kept = sorted(name for name in after if name.startswith("attempt#"))
    assert kept == [attempt_name(number) for number in range(3, MAX_KEPT_ATTEMPTS + 3)]
    assert after["purge_at"] == at_ms // 1000 + RETENTION_SECONDS


def test_a_delivery_that_is_accepted_at_once_is_below_a_kilobyte() -> None:
    """Fails when a talkative receiver, or another attribute, makes every record a second write unit."""
    database = MemoryDatabase()
    ids = UlidSource(lambda: NOW_MS, lambda size: b"x" * size)
    event = {
        **EVENT,
        "merchant_id": ids.new("mer"),
        "event_id": event_id(ids.new("pay"), 1),
        "event_type": "payment.requires_action",
    }
    delivery = new_delivery(event, ids.new("we"), DeliveryStatus.PENDING, now_ms=NOW_MS)
    database.write([insert_write(delivery)])
    answer = Answer(status=200, latency_ms=14_999, excerpt="x" * MAX_EXCERPT_CHARACTERS)
    entry = attempt_entry(answer, at_ms=NOW_MS)
    database.write([attempt_write(read(database, delivery), entry, DeliveryStatus.DELIVERED, at_ms=NOW_MS)])
    assert item_bytes(item(database, delivery)) <= 1024
    refused = Answer(status=500, latency_ms=1, excerpt="x" * MAX_EXCERPT_CHARACTERS)
    assert attempt_entry(refused, at_ms=NOW_MS)["response_excerpt"] == refused.excerpt
