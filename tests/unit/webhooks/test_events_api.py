"""A merchant's events: in order, complete, and byte for byte as they are delivered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.payment import Change
from payonce.outbox import SETTLING_MS
from payonce.webhooks import webhook_reads
from tests.support.events import call
from tests.support.webhook_api import MERCHANT, an_id, document, store_event

if TYPE_CHECKING:
    from payonce.stores.memory import MemoryDatabase
    from payonce.wiring.application import Application
    from tests.support.world import ManualClock

ODD_ORDER = {"z": 1, "a": {"y": "☃ ü \u2028", "b": [1, "1e5", None]}, "m": 10**20}


def listed(application: Application, merchant_id: str = MERCHANT, **query: str) -> Any:
    answer = call(application, "list_events", None, query=query, merchant_id=merchant_id)
    assert answer["statusCode"] == 200, answer["body"]
    return document(answer)


def test_an_event_is_its_stored_bytes(application: Application, database: MemoryDatabase, clock: ManualClock) -> None:
    """Fails when the body is parsed and rendered again with another order, spacing or escape."""
    event = store_event(database, 1, created_at_ms=clock.ms - SETTLING_MS, data=ODD_ORDER)
    single = call(application, "get_event", None, path={"event_id": event["event_id"]})
    assert single["body"].encode() == event["body"]
    assert single["headers"]["Content-Type"] == "application/json"
    answer = call(application, "list_events", None)
    assert event["body"] in answer["body"].encode()
    assert document(answer)["data"] == [json.loads(event["body"])]


def test_who_goes_on_from_next_after_misses_nothing(
    application: Application, database: MemoryDatabase, clock: ManualClock
) -> None:
    """An event that is committed late has an older time than one that is visible already::

        time      e1 ───── e2 (slow commit) ── e3 ─────────
        visible   e1                           e3 ── e2
        reader             └ asks here: must not pass e2's place

    Fails when the last seconds are listed, or when ``next_after`` passes them.
    """
    start = clock.ms
    first = store_event(database, 1, created_at_ms=start)
    store_event(database, 3, created_at_ms=start + SETTLING_MS)
    clock.ms = start + SETTLING_MS
    page = listed(application)
    assert [event["id"] for event in page["data"]] == [first["event_id"]]
    late = store_event(database, 2, created_at_ms=start + SETTLING_MS - 1)
    clock.ms += SETTLING_MS
    after = page["next_after"]
    rest = listed(application, after=after)
    assert [event["data"]["number"] for event in rest["data"]] == [2, 3]
    assert rest["data"][0]["id"] == late["event_id"]
    nothing_new = listed(application, after=rest["next_after"])
    assert (nothing_new["data"], nothing_new["has_more"]) == ([], False)
    assert nothing_new["next_after"] == rest["next_after"]


def test_pages_meet_each_event_once_oldest_first(
    application: Application, database: MemoryDatabase, clock: ManualClock
) -> None:
    """Several at one moment too."""
    for number in range(7):
        store_event(database, number, created_at_ms=clock.ms + number // 3)
    clock.ms += SETTLING_MS + 10
    found: list[Any] = []
    query: dict[str, str] = {"limit": "2"}
    for _ in range(4):
        page = listed(application, **query)
        found += page["data"]
        query["after"] = page["next_after"]
    assert not page["has_more"]
    assert len({event["id"] for event in found}) == 7
    times = [event["created_at_ms"] for event in found]
    assert times == sorted(times)


def test_a_type_filters_within_a_bounded_page(
    application: Application, database: MemoryDatabase, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a filter reads on until the page is full, or when ``next_after`` skips what it has not looked at."""
    monkeypatch.setattr(webhook_reads, "FILTER_ITEMS", 3)
    changes = [Change.DECLINED, *[Change.CHARGED] * 4, Change.DECLINED, Change.DECLINED, Change.CHARGED]
    for number, change in enumerate(changes):
        store_event(database, number, created_at_ms=clock.ms + number, change=change)
    clock.ms += SETTLING_MS + 10
    query = {"limit": "1", "type": Change.DECLINED.value}
    pages = []
    for _ in range(5):
        page = listed(application, **query)
        pages.append(([event["data"]["number"] for event in page["data"]], page["has_more"]))
        query["after"] = page["next_after"]
    assert pages == [([0], True), ([], True), ([5], True), ([6], True), ([], False)]


def test_events_are_each_merchants_own(application: Application, database: MemoryDatabase, clock: ManualClock) -> None:
    """Fails when an event is found by its id alone, or a cursor is taken from another merchant."""
    mine = store_event(database, 1, created_at_ms=clock.ms)
    yours = store_event(database, 1, created_at_ms=clock.ms, merchant_id="mer_2")
    clock.ms += SETTLING_MS
    for merchant_id, own, other in ((MERCHANT, mine, yours), ("mer_2", yours, mine)):
        assert [event["id"] for event in listed(application, merchant_id)["data"]] == [own["event_id"]]
        for identity, status in ((own["event_id"], 200), (other["event_id"], 404)):
            answer = call(application, "get_event", None, path={"event_id": identity}, merchant_id=merchant_id)
            assert answer["statusCode"] == status
    after = listed(application)["next_after"]
    refused = call(application, "list_events", None, query={"after": after}, merchant_id="mer_2")
    assert refused["statusCode"] == 400


@pytest.mark.parametrize(
    "query",
    [{"after": "nonsense"}, {"after": ""}, {"limit": "0"}, {"type": "payment.*"}, {"type": ""}, {"cursor": "x"}],
)
def test_an_odd_query_is_refused(application: Application, query: dict[str, str]) -> None:
    assert call(application, "list_events", None, query=query)["statusCode"] == 400


@pytest.mark.parametrize("identity", ["", "evt_", an_id("evt", 1).upper(), an_id("pay", 1), "evt_" + "g" * 64])
def test_what_can_not_be_an_event_is_not_found(application: Application, identity: str) -> None:
    assert call(application, "get_event", None, path={"event_id": identity})["statusCode"] == 404
