"""Replays: a job that goes through a range in bounded steps, and sends the matching deliveries again.

A step may be killed at any point, and may run twice, even concurrently::

    step      read a page ─ open deliveries ─ wake their lanes ─ move the cursor
    killed                               ✗ the same page again: what this pass has opened is only woken again
    twice          A ──────────────────────────────────────────── moves it
                   B ───────────────── finds A's rounds, opens none ─ is refused

A replay of held deliveries goes through the deliveries and not the events: a delivery that was waiting for its next
attempt when the endpoint was disabled belongs to an older event. It makes two passes. The second one finds what a
sender or the relay held because it had read the endpoint before it was enabled.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from payonce.domain.endpoint import Endpoint, EndpointStatus
from payonce.domain.errors import StoreUnavailable, WriteConflict
from payonce.domain.webhooks import DeliveryStatus, delivery_id
from payonce.merged_lists import LAST
from payonce.outbox import created_key, events_of_merchant
from payonce.ports import Adjust, Table
from payonce.webhooks.deliveries import (
    DELIVERY_PREFIX,
    RETENTION_SECONDS,
    Delivery,
    deliveries_of_endpoint,
    delivery_from,
    delivery_key,
    new_delivery,
)
from payonce.webhooks.delivery_writes import insert_write, reopen_write
from payonce.webhooks.endpoints import load_endpoint
from payonce.webhooks.messages import wake
from payonce.webhooks.relay import is_for
from payonce.webhooks.replay_items import Replay, ReplayOnly, ReplayStatus, replay_from, replay_key

if TYPE_CHECKING:
    from payonce.ports import Clock, Database, Item, Key, MessageQueue, Page

STEP_ITEMS = 50  # per step, each a read and a write: about a second, and little to repeat when killed
NEXT_PASS_MS = 5 * 60_000  # longer than any sender or relay runs, and so than any outdated read of an endpoint
MAX_TRIES = 4  # to open a delivery that a sender is changing concurrently
REOPENED = {
    ReplayOnly.UNDELIVERED: frozenset({DeliveryStatus.FAILED, DeliveryStatus.HELD}),
    ReplayOnly.ALL: frozenset({DeliveryStatus.FAILED, DeliveryStatus.HELD, DeliveryStatus.DELIVERED}),
    ReplayOnly.HELD: frozenset({DeliveryStatus.HELD}),
}


def advance_replay(database: Database, queue: MessageQueue, clock: Clock, key: Key) -> bool:
    """Make one step of the replay stored under ``key``. Return whether there is nothing left to do now.

    That is so when the replay is over, when its next pass is due later, or when a concurrent step has moved it.
    Idempotent. Raises ``StoreUnavailable`` or ``OutcomeUnknown``; the step is then made again.
    """
    item = database.get(Table.DELIVERIES, key)
    if item is None:
        return True
    replay, now_ms = replay_from(item), clock.now_ms()
    if replay.status is not ReplayStatus.RUNNING or replay.due_at_ms > now_ms:
        return True
    endpoint = load_endpoint(database, replay.merchant_id, replay.endpoint_id)
    if endpoint is None or endpoint.status is not EndpointStatus.ENABLED:
        return _move(database, replay, _over(ReplayStatus.CANCELED, now_ms), now_ms, opened=0, seen=0)
    step = _Step(database, replay, now_ms)
    page = _page(database, replay)
    opened = [found for item in page.items if (found := step.open(endpoint, item)) is not None]
    lanes = {delivery.lane for delivery in opened if delivery.status is DeliveryStatus.PENDING}
    if lanes:
        queue.send([wake(replay.merchant_id, replay.endpoint_id, lane) for lane in sorted(lanes)])
    after = _next(replay, page, now_ms)
    return _move(database, replay, after, now_ms, opened=len(opened), seen=len(page.items))


@dataclass(frozen=True, slots=True)
class _Step:
    """The context of one step: the replay as it was read, and the time."""

    database: Database
    replay: Replay
    now_ms: int

    def open(self, endpoint: Endpoint, item: Item) -> Delivery | None:
        """Return the delivery of ``item`` (an event or a held delivery) if this pass has opened it, now or earlier."""
        event = None if self.replay.only is ReplayOnly.HELD else item
        if event is not None and not is_for(event, endpoint):
            return None
        key = (
            {"pk": item["pk"], "sk": item["sk"]}
            if event is None
            else delivery_key(
                endpoint.merchant_id,
                endpoint.endpoint_id,
                delivery_id(event["event_id"], endpoint.endpoint_id, event["created_at_ms"]),
            )
        )
        for _ in range(MAX_TRIES):
            try:
                return self._open_once(endpoint, event, key)
            except WriteConflict:
                continue
        raise StoreUnavailable("A delivery is being changed again and again; the replay goes on with its next step.")

    def _open_once(self, endpoint: Endpoint, event: Item | None, key: Key) -> Delivery | None:
        """Open the delivery as it is stored now. Raises ``WriteConflict`` when it has changed meanwhile."""
        mark = f"{self.replay.replay_id}#{self.replay.passes_left}"
        stored = self.database.get(Table.DELIVERIES, key)
        if stored is None:
            if event is None or self._may_be_forgotten(event):
                return None
            made = new_delivery(event, endpoint.endpoint_id, DeliveryStatus.PENDING, now_ms=self.now_ms)
            made = replace(made, opened_by=mark)
            self.database.write([insert_write(made)])
            return made
        delivery = delivery_from(stored)
        if delivery.opened_by == mark:
            return delivery
        if delivery.status not in REOPENED[self.replay.only]:
            return None
        self.database.write([reopen_write(delivery, at_ms=self.now_ms, opened_by=mark)])
        return replace(delivery, status=DeliveryStatus.PENDING)

    def _may_be_forgotten(self, event: Item) -> bool:
        """Return whether a missing delivery may have been purged: then assume that it was delivered."""
        purged_before_ms = self.now_ms - RETENTION_SECONDS * 1000
        return self.replay.only is ReplayOnly.UNDELIVERED and event["created_at_ms"] <= purged_before_ms


def _page(database: Database, replay: Replay) -> Page:
    if replay.only is not ReplayOnly.HELD:
        until = created_key(replay.until_ms, LAST)
        return events_of_merchant(database, replay.merchant_id, after=replay.cursor, until=until, limit=STEP_ITEMS)
    return deliveries_of_endpoint(
        database, replay.merchant_id, replay.endpoint_id, after=replay.cursor, limit=STEP_ITEMS
    )


def _next(replay: Replay, page: Page, now_ms: int) -> dict[str, Any]:
    """Return the changes of the replay's item after this page."""
    if page.next_key is not None:
        sort = "sk" if replay.only is ReplayOnly.HELD else "created_key"
        return {"cursor": page.next_key[sort], "due_at_ms": now_ms}
    if replay.passes_left > 1:
        return {
            "cursor": DELIVERY_PREFIX,
            "passes_left": replay.passes_left - 1,
            "due_at_ms": now_ms + NEXT_PASS_MS,
        }
    return _over(ReplayStatus.COMPLETED, now_ms)


def _over(status: ReplayStatus, now_ms: int) -> dict[str, Any]:
    return {"status": status.value, "purge_at": now_ms // 1000 + RETENTION_SECONDS}


def _move(database: Database, replay: Replay, changes: dict[str, Any], now_ms: int, *, opened: int, seen: int) -> bool:
    """Store the step, unless a concurrent step has. Return whether there is nothing left to do now."""
    stays_due = "status" not in changes
    try:
        database.write(
            [
                Adjust(
                    table=Table.DELIVERIES,
                    key=replay_key(replay.merchant_id, replay.endpoint_id, replay.replay_id),
                    require={
                        "status": replay.status.value,
                        "cursor": replay.cursor,
                        "passes_left": replay.passes_left,
                    },
                    set={**changes, "updated_at_ms": now_ms},
                    add={"seen_count": seen, "queued_count": opened},
                    remove=() if stays_due else ("due_at_ms", "due_list"),
                )
            ]
        )
    except WriteConflict:
        return True
    return not stays_due or "passes_left" in changes
