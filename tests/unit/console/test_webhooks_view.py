"""Webhook endpoints, their state and backlog, deliveries with each answer: only the merchant's, by bounded reads."""

from __future__ import annotations

import pytest

from payonce.console.views.endpoint_rows import MOST_COUNTED
from payonce.console.views.webhooks import (
    PAGE_DELIVERIES,
    PAGE_ENDPOINTS,
    deliveries_sheet,
    delivery_page,
    endpoint_page,
    endpoints_sheet,
    webhooks_page,
)
from payonce.domain.delivery import Answer
from payonce.domain.endpoint import DisabledReason, EndpointChange, EndpointStatus
from payonce.domain.errors import BodyMalformed, NotFound
from tests.support.console_reads import CountingDatabase
from tests.support.console_views import sources_of
from tests.support.webhooks import MERCHANT, WebhookWorld
from tests.support.world import World

STRANGER = "mer_2"


@pytest.fixture
def world() -> World:
    return World(database=CountingDatabase())


@pytest.fixture
def hooks(world: World) -> WebhookWorld:
    return WebhookWorld(clock=world.clock, database=world.database)


def sent(hooks: WebhookWorld, name: str, events: int) -> None:
    """Relay events and try each once; the receiver's script decides how that goes."""
    for number in range(events):
        hooks.relay_events(hooks.event(f"pay_{name}{number}"))
    hooks.dispatch()


def test_an_endpoints_state_says_why(world: World, hooks: WebhookWorld) -> None:
    """Fails when a disabled, failing or paused endpoint looks like one that works."""
    hooks.endpoint("we_1")
    failing = hooks.endpoint("we_2")
    hooks.change(
        hooks.endpoint("we_3"),
        EndpointChange.DISABLED,
        status=EndpointStatus.DISABLED,
        disabled_reason=DisabledReason.GONE,
        disabled_at_ms=world.clock.ms,
    )
    hooks.endpoint("we_4", merchant_id=STRANGER)
    hooks.receivers.always[failing.url] = Answer(status=500, latency_ms=1)
    sent(hooks, "a", 1)
    page = webhooks_page(sources_of(world), MERCHANT, {})
    assert [(row.endpoint_id, row.state, row.backlog) for row in page.rows] == [
        ("we_1", "enabled", 0),
        ("we_2", "failing", 1),
        ("we_3", "disabled", 0),
    ]
    assert "410" in page.rows[2].why
    for _ in range(8):
        world.clock.ms += 7_200_000
        hooks.schedule()
        hooks.dispatch()
    (row,) = [row for row in webhooks_page(sources_of(world), MERCHANT, {}).rows if row.endpoint_id == "we_2"]
    assert row.state == "paused"
    assert (row.paused_until_ms or 0) > world.clock.ms
    assert len(list(endpoints_sheet(sources_of(world), MERCHANT).rows)) == 3


def test_the_pages_of_endpoints_share_them(world: World, hooks: WebhookWorld) -> None:
    for number in range(PAGE_ENDPOINTS + 2):
        hooks.endpoint(f"we_{number:03d}")
    first = webhooks_page(sources_of(world), MERCHANT, {})
    second = webhooks_page(sources_of(world), MERCHANT, {"after": first.next_after or ""})
    assert (len(first.rows), len(second.rows), second.next_after) == (PAGE_ENDPOINTS, 2, None)
    assert first.total == PAGE_ENDPOINTS + 2


def test_a_delivery_shows_each_attempts_answer(world: World, hooks: WebhookWorld) -> None:
    """Fails when an attempt, its answer or the event's bytes are missing, or a pending one can be repeated."""
    endpoint = hooks.endpoint("we_1")
    hooks.receivers.scripts[endpoint.url] = [Answer(status=503, latency_ms=70, excerpt="<b>down</b>")]
    sent(hooks, "a", 1)
    (listed,) = endpoint_page(sources_of(world), MERCHANT, "we_1", {}).deliveries
    page = delivery_page(sources_of(world), MERCHANT, "we_1", listed["id"])
    (attempt,) = page.delivery["attempts"]
    assert (attempt["status"], attempt["latency_ms"], attempt["response_excerpt"]) == (503, 70, "<b>down</b>")
    assert not page.can_redeliver
    assert listed["event_id"] in page.body
    for merchant_id, endpoint_id, delivery_id in (
        (STRANGER, "we_1", listed["id"]),
        (MERCHANT, "we_9", listed["id"]),
        (MERCHANT, "we_1", "whd_none"),
    ):
        with pytest.raises(NotFound):
            delivery_page(sources_of(world), merchant_id, endpoint_id, delivery_id)


def test_a_status_is_looked_for_and_the_page_says_so(world: World, hooks: WebhookWorld) -> None:
    hooks.endpoint("we_1")
    sent(hooks, "a", 3)
    found = endpoint_page(sources_of(world), MERCHANT, "we_1", {"status": "delivered"})
    assert (len(found.deliveries), found.looks_through) == (3, True)
    assert endpoint_page(sources_of(world), MERCHANT, "we_1", {"status": "failed"}).deliveries == ()
    with pytest.raises(BodyMalformed, match="status is one of"):
        endpoint_page(sources_of(world), MERCHANT, "we_1", {"status": "x"})
    sheet, more = deliveries_sheet(sources_of(world), MERCHANT, "we_1", {})
    assert (len(list(sheet.rows)), more) == (3, None)
    with pytest.raises(NotFound):
        deliveries_sheet(sources_of(world), STRANGER, "we_1", {})


def test_an_endpoint_reads_as_much_with_1_000_deliveries_as_with_200() -> None:
    """Fails when a page's reads grow with the deliveries, or with the backlog."""
    read = []
    for events in (200, 1_000):
        world = World(database=(database := CountingDatabase()))
        hooks = WebhookWorld(clock=world.clock, database=database)
        hooks.endpoint("we_1")
        hooks.relay_events(*(hooks.event(f"pay_{number:04d}") for number in range(events)))
        database.tally.clear()
        page = endpoint_page(sources_of(world), MERCHANT, "we_1", {})
        assert (len(page.deliveries), page.row.backlog, page.row.has_more) == (PAGE_DELIVERIES, MOST_COUNTED, True)
        read.append((database.tally.round_trips, database.tally.units))
    assert read[0] == read[1]
    assert read[0][0] == 8, read  # four of them are the partitions of the endpoint's deliveries
    assert read[0][1] <= 25, read
