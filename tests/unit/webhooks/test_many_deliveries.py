"""An endpoint that gets more deliveries than a partition takes: they are spread, read as one list, and get more lanes.

A partition of a table or an index takes 1,000 write units a second, and a write whose index is full is refused:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html and gsi-throttling.html.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import OutcomeUnknown, StoreThrottled, StoreUnavailable
from payonce.domain.ids import UlidSource
from payonce.domain.webhooks import MOST_LANES, DeliveryStatus, delivery_id
from payonce.merged_lists import just_before
from payonce.ports import Insert, Table
from payonce.webhooks.commit_work import Services
from payonce.webhooks.deliveries import (
    DELIVERY_PREFIX,
    DELIVERY_SHARDS,
    DIRECT_LEASE_MS,
    deliveries_of_endpoint,
    key_of,
    lane_of,
    new_delivery,
)
from payonce.webhooks.delivery_writes import insert_write
from payonce.webhooks.webhook_reads import list_deliveries
from tests.support.webhooks import WebhookWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.domain.endpoint import Endpoint
    from payonce.ports import Item, Page, Write
    from payonce.webhooks.deliveries import Delivery
    from payonce.webhooks.gate import Gate

SECOND_UNITS = 1_000  # of a partition
EVENTS = 1_200


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


@pytest.fixture
def endpoint(world: WebhookWorld) -> Endpoint:
    return world.endpoint("one")


def stored(
    world: WebhookWorld, endpoint: Endpoint, count: int, status: DeliveryStatus = DeliveryStatus.PENDING
) -> list[Delivery]:
    made = []
    for number in range(count):
        world.clock.ms += 1
        event = world.event(f"pay_{endpoint.endpoint_id}{number:03d}")
        made.append(new_delivery(event, endpoint.endpoint_id, status, now_ms=world.clock.ms, lanes=MOST_LANES))
        world.database.write([insert_write(made[-1])])
    return made


def delivery_id_of(event: Item, endpoint: Endpoint) -> str:
    return delivery_id(event["event_id"], endpoint.endpoint_id, event["created_at_ms"])


def refusing(
    world: WebhookWorld, monkeypatch: pytest.MonkeyPatch, refuses: Callable[[Insert], Exception | None]
) -> None:
    """Let the database refuse the deliveries for which ``refuses`` returns an error."""
    original = world.database.write

    def write(writes: Sequence[Write]) -> None:
        for one in writes:
            if isinstance(one, Insert) and one.table is Table.DELIVERIES and (error := refuses(one)) is not None:
                raise error
        original(writes)

    monkeypatch.setattr(world.database, "write", write)


def test_an_endpoints_deliveries_lie_in_several_partitions_evenly(world: WebhookWorld, endpoint: Endpoint) -> None:
    """Fails when all are in one partition, which takes 500 a second, or one of them takes most."""
    partitions = Counter(key_of(delivery)["pk"] for delivery in stored(world, endpoint, 400))
    assert len(partitions) == DELIVERY_SHARDS
    assert max(partitions.values()) < 400 / DELIVERY_SHARDS * 1.4


@pytest.mark.parametrize("limit", [1, 7, 25, 100])
def test_they_are_read_as_one_list_in_order_and_none_is_left_out(
    world: WebhookWorld, endpoint: Endpoint, limit: int
) -> None:
    """Fails when a page ends before another partition's entries, or the next one begins after them."""
    other = world.endpoint("two")
    made = [delivery.delivery_id for delivery in stored(world, endpoint, 100)]
    stored(world, other, 3)
    forward, after = [], DELIVERY_PREFIX
    while after:
        page = deliveries_of_endpoint(world.database, "mer_1", "one", after=after, limit=limit)
        assert len(page.items) <= limit
        forward += [item["delivery_id"] for item in page.items]
        after = page.next_key["sk"] if page.next_key else ""
    backward, until = [], DELIVERY_PREFIX + "~"
    while until:
        page = deliveries_of_endpoint(world.database, "mer_1", "one", until=until, limit=limit, descending=True)
        backward += [item["delivery_id"] for item in page.items]
        until = just_before(page.next_key["sk"]) if page.next_key else ""
    assert forward == sorted(made)
    assert backward == sorted(made, reverse=True)


@pytest.mark.parametrize("fits", [1, 3, 10])
@pytest.mark.parametrize("status", [None, "failed"])
def test_what_is_beyond_a_partitions_page_of_one_megabyte_is_not_left_out(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, fits: int, status: str | None
) -> None:
    """Fails when a page goes on in another partition behind the end of one that DynamoDB cut short.

    A query's answer ends at 1 MB, before its limit: a delivery with twenty refusals, of which an excerpt each is kept,
    has more than twenty kilobytes (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html).
    """
    made = stored(world, endpoint, 60, DeliveryStatus.FAILED)
    original = world.database.query
    # Two partitions' deliveries are large, the others' are not.
    most = dict(zip(sorted({key_of(delivery)["pk"] for delivery in made}), (fits, fits + 2), strict=False))

    def query(table: Table, *, partition: tuple[str, str], limit: int, **more: Any) -> Page:
        return original(table, partition=partition, limit=min(limit, most.get(partition[1], limit)), **more)

    monkeypatch.setattr(world.database, "query", query)
    found, cursor = [], None
    services = Services(database=world.database, clock=world.clock, ids=UlidSource(world.clock.now_ms, os.urandom))
    while True:
        page = list_deliveries(services, "mer_1", "one", limit=20, cursor=cursor, status=status)
        found += [one["id"] for one in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == sorted((delivery.delivery_id for delivery in made), reverse=True)
    after, held = DELIVERY_PREFIX, []
    while after:
        part = deliveries_of_endpoint(world.database, "mer_1", "one", after=after, limit=50)
        held += [item["delivery_id"] for item in part.items]
        after = part.next_key["sk"] if part.next_key else ""
    assert held == sorted(delivery.delivery_id for delivery in made)


def test_just_before_skips_no_neighbour() -> None:
    """Fails when an id that differs from the last one read in its last character is left out of the next page."""
    assert "whd_0AA" < just_before("whd_0AB") < "whd_0AB"
    assert just_before("whd_0A0") < "whd_0A0"


def test_a_full_list_gets_more_lanes_and_nothing_is_lost(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the relay goes on writing to a lane's list that takes no more, or forgets what was refused.

    1,200 events come in one second. A list takes 1,000 of these writes in it, so one lane is not enough.
    """
    units: Counter[str] = Counter()

    def refuses(insert: Insert) -> Exception | None:
        units[insert.item["due_list"]] += 1
        return StoreThrottled("full") if units[insert.item["due_list"]] > SECOND_UNITS else None

    refusing(world, monkeypatch, refuses)
    events = [world.event(f"pay_{number:04d}") for number in range(EVENTS)]
    report = world.relay_events(*events)
    assert len(report.failed) == EVENTS - SECOND_UNITS
    assert world.gate(endpoint).lane_count == 2
    units.clear()  # the next second
    again = world.relay_events(*(events[position] for position in report.failed))
    assert not again.failed
    assert len(units) == 2
    while world.dispatch():
        pass
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * EVENTS


def test_what_is_refused_again_and_again_gets_all_lanes_and_no_more(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when lanes are not added step by step, or a gate that has them all is written again."""
    refusing(world, monkeypatch, lambda _insert: StoreThrottled("full"))
    lanes, events = [], [world.event("pay_1"), world.event("pay_2")]
    for _ in range(4):
        report = world.relay_events(*events)
        assert sorted(report.failed) == [0, 1]
        lanes.append(world.gate(endpoint).lane_count)
    assert lanes == [2, 4, 4, 4]
    writes: list[Write] = []
    monkeypatch.setattr(world.database, "write", writes.extend)
    world.gates.add_lanes(world.gate(endpoint))
    assert writes == []


def test_each_merchants_endpoint_gets_its_own_lanes_and_only_those_that_are_full(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when endpoints of one batch are taken for one another, or one that was not refused gets lanes too."""
    namesake, quiet = world.endpoint("one", merchant_id="mer_2"), world.endpoint("two", merchant_id="mer_2")
    refusing(world, monkeypatch, lambda insert: StoreThrottled("full") if insert.item["endpoint_id"] == "one" else None)
    report = world.relay_events(world.event("pay_1"), world.event("pay_2", merchant_id="mer_2"))
    assert sorted(report.failed) == [0, 1]
    assert [world.gate(one).lane_count for one in (endpoint, namesake, quiet)] == [2, 2, 1]
    world.dispatch()
    assert world.statuses(quiet) == [DeliveryStatus.DELIVERED]


def test_a_database_that_is_not_there_makes_no_lanes(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when any refusal makes lanes: each is looked into once a minute from then on."""
    refusing(world, monkeypatch, lambda _insert: StoreUnavailable("away"))
    assert world.relay_events(world.event()).failed
    assert world.gate(endpoint).lane_count == 1


def test_what_is_stored_in_another_lane_than_planned_is_looked_for_there(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when an event that comes again after lanes were added wakes the lane that it would be in now.

    Its delivery was stored in the first lane, but the answer was lost, or the function was killed before it had queued
    a message. Nobody would look into the first lane until the scheduler does.
    """
    original, lost = world.database.write, iter(range(40))

    def write(writes: Sequence[Write]) -> None:
        original(writes)
        if any(isinstance(one, Insert) and one.table is Table.DELIVERIES for one in writes) and next(lost, None):
            raise OutcomeUnknown("The answer is lost.")

    events = [world.event(f"pay_{number}") for number in range(40)]
    with monkeypatch.context() as losing:
        losing.setattr(world.database, "write", write)
        world.queue.down = True
        assert len(world.relay_events(*events).failed) == 40
    world.queue.down = False
    world.gates.add_lanes(world.gate(endpoint))
    assert {delivery.lane for delivery in world.deliveries(endpoint)} == {0}
    again = [event for event in events if lane_of(delivery_id_of(event, endpoint), 2) == 1]
    world.relay_events(*again)
    world.clock.ms += DIRECT_LEASE_MS + 1_000  # two of them were leased to messages that were not sent
    while world.dispatch():
        pass
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED] * 40


def test_lanes_that_can_not_be_added_do_not_matter(
    world: WebhookWorld, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the run ends with the error of a gate, and the other events' messages are not sent."""
    good = world.event("pay_good")
    refusing(
        world,
        monkeypatch,
        lambda insert: None if insert.item["event_id"] == good["event_id"] else StoreThrottled("full"),
    )

    def add_lanes(_gate: Gate) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.gates, "add_lanes", add_lanes)
    assert sorted(world.relay_events(world.event("pay_bad"), good).failed) == [0]
    world.dispatch()
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]
