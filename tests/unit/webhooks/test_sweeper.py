"""The sweeper relays what the stream did not bring, and passes nothing over.

``docs/adr/0031-one-item-a-change.md`` says why events bear no mark.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.durations import DAY_MS
from payonce.domain.endpoint import EndpointChange, EndpointStatus
from payonce.domain.errors import StoreUnavailable
from payonce.domain.webhooks import DeliveryStatus
from payonce.each import InThreads
from payonce.idempotency.window import LEASE_MARGIN_MS
from payonce.outbox import DAY_SHARDS
from payonce.ports import Deadline, Insert, Table
from payonce.stores.memory import MemoryDatabase
from payonce.webhooks import sweeper
from payonce.webhooks.sweeper import MAX_ASIDE, SWEEP_AFTER_MS, SWEEP_KEY, SWEEPING_THREADS, Sweeper, SweepReport
from tests.support.webhooks import WebhookWorld

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Item, Key, Write

LATER_MS = SWEEP_AFTER_MS + 1


@pytest.fixture
def world() -> WebhookWorld:
    return WebhookWorld()


def sweep(world: WebhookWorld, *, within_ms: int = 1_000_000) -> SweepReport:
    return world.sweeper.run(Deadline(world.clock.now_ms() + within_ms))


def test_an_event_that_the_stream_lost_is_relayed_two_minutes_later(world: WebhookWorld) -> None:
    """Fails when nothing looks for it, and when the sweeper runs ahead of the stream."""
    endpoint = world.endpoint("one")
    world.event()
    world.clock.ms += SWEEP_AFTER_MS - 1
    assert sweep(world).swept == 0
    world.clock.ms += 2
    report = sweep(world)
    assert (report.swept, report.failed, report.behind_ms) == (1, 0, 0)
    world.dispatch()
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]
    assert sweep(world).swept == 0


def test_an_event_that_reached_one_of_two_endpoints_is_relayed_to_the_other(world: WebhookWorld) -> None:
    """Fails when one delivery is taken for all of them: a relay may be killed between two inserts."""
    one, two = world.endpoint("one"), world.endpoint("two")
    event = world.event()
    world.relay_events(event)
    world.dispatch()
    stored = world.database
    assert isinstance(stored, MemoryDatabase)
    lost = [key for key in stored._tables[Table.DELIVERIES] if "#two#" in key[0]]
    for key in lost:
        del stored._tables[Table.DELIVERIES][key]
    world.clock.ms += LATER_MS
    assert sweep(world).swept == 1
    world.dispatch()
    assert world.statuses(one) == world.statuses(two) == [DeliveryStatus.DELIVERED]
    assert [one.url for one in world.receivers.received] == [one.url, two.url, two.url]


def test_an_event_that_becomes_visible_late_is_not_passed_over(world: WebhookWorld) -> None:
    """A write may become visible up to a minute after its event's time. Fails when the position runs up to now::

    time      e1 ─── e2 (visible a minute late) ─── run ──────────── run
    position                    └ stays two minutes behind
    """
    endpoint = world.endpoint("one")
    began_ms = world.clock.ms
    world.event("pay_1")
    world.clock.ms = began_ms + 60_000
    sweep(world)
    world.clock.ms = began_ms
    world.event("pay_2")
    world.clock.ms = began_ms + 60_000
    sweep(world)
    world.clock.ms = began_ms + LATER_MS
    assert sweep(world).swept == 2
    assert len(world.deliveries(endpoint)) == 2


def test_events_of_a_merchant_without_endpoints_cost_no_further_read(world: WebhookWorld) -> None:
    """Fails when deliveries are looked up that nobody is owed."""
    world.endpoint("one")
    for number in range(3):
        world.event(f"pay_{number}", merchant_id="mer_2")
    world.clock.ms += LATER_MS
    counting = CountingDatabase(world.database)
    Sweeper(database=counting, relay=world.relay, clock=world.clock, report_error=_raise).run(
        Deadline(world.clock.ms + 1000)
    )
    assert counting.asked == []


def test_an_endpoint_is_not_owed_what_was_before_it(world: WebhookWorld) -> None:
    """Fails when the endpoints of today are asked about the events of yesterday."""
    world.event()
    world.clock.ms += LEASE_MARGIN_MS + 1
    endpoint = world.endpoint("one")
    world.clock.ms += LATER_MS
    assert sweep(world).swept == 0
    assert world.deliveries(endpoint) == []


def test_an_event_of_a_machine_whose_clock_is_behind_is_owed_to_a_new_endpoint(world: WebhookWorld) -> None:
    """Found by an interleaving: the event came after the endpoint and bears a time before it. Fails (it is never sent
    where the stream has lost it) when the two times are compared as if one clock had made them.
    """
    endpoint = world.endpoint("one")
    world.clock.ms -= LEASE_MARGIN_MS
    world.event()
    world.clock.ms += LEASE_MARGIN_MS + LATER_MS
    assert sweep(world).swept == 1
    world.dispatch()
    assert world.statuses(endpoint) == [DeliveryStatus.DELIVERED]


def test_what_an_endpoint_has_not_subscribed_to_is_not_missing(world: WebhookWorld) -> None:
    world.endpoint("one", event_types=["refund.*"])
    world.event()
    world.clock.ms += LATER_MS
    assert sweep(world).swept == 0


def test_a_disabled_endpoint_has_its_event_held(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.change(endpoint, EndpointChange.DISABLED, status=EndpointStatus.DISABLED)
    world.event()
    world.clock.ms += LATER_MS
    assert sweep(world).swept == 1
    assert world.statuses(endpoint) == [DeliveryStatus.HELD]
    assert sweep(world).swept == 0


def test_a_stack_that_stood_still_for_days_is_made_good(world: WebhookWorld) -> None:
    """Fails when a run looks at one day only."""
    endpoint = world.endpoint("one")
    sweep(world)
    for number in range(4):
        world.event(f"pay_{number}")
        world.clock.ms += DAY_MS
    assert sweep(world).swept == 4
    assert len(world.deliveries(endpoint)) == 4


def test_a_page_after_the_other_is_looked_at(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several events of one moment too. Fails when a run ends at its first page, or goes on by time alone."""
    monkeypatch.setattr(sweeper, "PAGE_SIZE", 2)
    monkeypatch.setattr("payonce.outbox.DAY_SHARDS", 1)
    endpoint = world.endpoint("one")
    for number in range(9):
        world.event(f"pay_{number}")
    world.clock.ms += LATER_MS
    assert sweep(world).swept == 9
    assert len(world.deliveries(endpoint)) == 9


def test_a_damaged_event_holds_nothing_up_and_is_tried_on(world: WebhookWorld) -> None:
    """Fails when the position waits for it, and when it is forgotten."""
    endpoint = world.endpoint("one")
    event = world.event("pay_1")
    damaged = {**event, "pk": "pay_0"}
    del damaged["merchant_id"]
    world.database.write([Insert(Table.OUTBOX, damaged)])
    world.clock.ms += LATER_MS
    report = sweep(world)
    assert (report.swept, report.failed, report.behind_ms) == (1, 1, 0)
    assert len(world.deliveries(endpoint)) == 1
    world.clock.ms += 60_000
    assert sweep(world).failed == 1
    repaired(world, damaged | {"merchant_id": event["merchant_id"]})
    report = sweep(world)
    assert (report.swept, report.failed) == (0, 0)  # its id is the other one's, whose delivery is there
    assert sweep(world).failed == 0


def test_in_an_outage_the_position_waits(world: WebhookWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when more is put aside than is tried on: what does not fit would be lost."""
    monkeypatch.setattr("payonce.outbox.DAY_SHARDS", 1)
    endpoint = world.endpoint("one")
    for number in range(MAX_ASIDE + 5):
        world.event(f"pay_{number:02d}")
        world.clock.ms += 1
    world.clock.ms += LATER_MS
    world.queue.down = True
    # The queue refuses all at once; what was inserted is found by the index of due deliveries.
    report = sweep(world)
    assert report.failed == MAX_ASIDE + 5
    assert report.behind_ms > 0
    deliveries = world.database
    assert isinstance(deliveries, MemoryDatabase)
    deliveries._tables[Table.DELIVERIES].clear()
    world.queue.down = False
    report = sweep(world)
    assert (report.swept, report.behind_ms) == (MAX_ASIDE + 5, 0)
    assert len(world.deliveries(endpoint)) == MAX_ASIDE + 5


def test_a_shard_that_can_not_be_read_does_not_hold_up_the_others(world: WebhookWorld) -> None:
    """Fails when a failing query ends the run, or moves the position."""
    endpoint = world.endpoint("one")
    for number in range(40):
        world.event(f"pay_{number}")
    world.clock.ms += LATER_MS
    failing = CountingDatabase(world.database, refuse=world.event("pay_40")["day_shard"])
    errors: list[Exception] = []
    one = Sweeper(
        database=failing, relay=world.relay, clock=world.clock, report_error=lambda _name, error: errors.append(error)
    )
    report = one.run(Deadline(world.clock.ms + 1000))
    assert (report.failed, len(errors)) == (1, 1)
    assert report.behind_ms > 0
    assert sweep(world).swept + report.swept == 40
    assert len(world.deliveries(endpoint)) == 40


def test_a_run_out_of_time_goes_on_with_the_next(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    world.event()
    world.clock.ms += LATER_MS
    assert sweep(world, within_ms=0).swept == 0
    assert sweep(world).swept == 1
    assert len(world.deliveries(endpoint)) == 1


def test_two_runs_at_once_lose_nothing(world: WebhookWorld) -> None:
    """Fails when the slower run's older positions overwrite the newer ones, or when it fails for that."""
    world.endpoint("one")
    sweep(world)
    world.event()
    world.clock.ms += LATER_MS
    newest: list[Item | None] = []

    def overtake() -> None:
        world.clock.ms += 60_000
        sweep(world)
        newest.append(world.database.get(Table.ENDPOINTS, SWEEP_KEY))

    overtaken = CountingDatabase(world.database, before_write=overtake)
    slower = Sweeper(database=overtaken, relay=world.relay, clock=world.clock, report_error=_raise)
    slower.run(Deadline(world.clock.ms + 9))
    assert newest[0] is not None
    assert world.database.get(Table.ENDPOINTS, SWEEP_KEY) == newest[0]


def test_an_idle_stack_stores_its_position_once_an_hour(world: WebhookWorld) -> None:
    """Fails when every run writes, or when the range to be read grows for ever."""
    turns = []
    for _ in range(121):
        sweep(world)
        stored = world.database.get(Table.ENDPOINTS, SWEEP_KEY)
        assert stored is not None
        turns.append(stored["turn"])
        world.clock.ms += 60_000
    assert turns[-1] == 3


def test_threads_find_the_same(world: WebhookWorld) -> None:
    endpoint = world.endpoint("one")
    for number in range(2 * DAY_SHARDS):
        world.event(f"pay_{number}")
    world.clock.ms += LATER_MS
    threaded = Sweeper(
        database=world.database,
        relay=world.relay,
        clock=world.clock,
        report_error=_raise,
        each=InThreads(SWEEPING_THREADS),
    )
    assert threaded.run(Deadline(world.clock.ms + 1000)).swept == 2 * DAY_SHARDS
    assert len(world.deliveries(endpoint)) == 2 * DAY_SHARDS


@dataclass
class CountingDatabase:
    """Notes the keys of batches, refuses to read one partition, and lets something happen before its first write."""

    database: Any
    refuse: str = ""
    before_write: Any = None
    asked: list[Key] = field(default_factory=list)

    def get(self, table: Table, key: Key) -> Item | None:
        return self.database.get(table, key)  # type: ignore[no-any-return]

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        self.asked += keys
        return self.database.get_many(table, keys)  # type: ignore[no-any-return]

    def query(self, table: Table, **given: Any) -> Any:
        if given["partition"][1] == self.refuse:
            raise StoreUnavailable("The index does not answer.")
        return self.database.query(table, **given)

    def write(self, writes: Sequence[Write]) -> None:
        act, self.before_write = self.before_write, None
        if act is not None:
            act()
        self.database.write(writes)


def repaired(world: WebhookWorld, item: Item) -> None:
    database = world.database
    assert isinstance(database, MemoryDatabase)
    database._tables[Table.OUTBOX][item["pk"], item["sk"]] = item


def _raise(_name: str, error: Exception) -> None:
    raise error
