"""What waits in a lane of an endpoint, read in batches: the list, then the deliveries, then their events' bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import find_events
from payonce.ports import Table
from payonce.webhooks.deliveries import DUE_INDEX, delivery_from, key_of, list_of
from payonce.webhooks.pace import MOST_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from payonce.ports import Database, Item
    from payonce.webhooks.deliveries import Delivery

MOST_KEYS = 100  # of one BatchGetItem
MOST_PAGES = 10  # of a list that has to be gone through because its index is behind, or because it is being ended


@dataclass(frozen=True, slots=True)
class Job:
    """A delivery that is due, and its event."""

    delivery: Delivery
    event: Item


def count(database: Database, merchant_id: str, endpoint_id: str, lane: int, *, at_most: int) -> int:
    """Return how many deliveries of the lane are pending, up to ``at_most``. Eventually consistent."""
    name = list_of(merchant_id, endpoint_id, lane)
    page = database.query(Table.DELIVERIES, index=DUE_INDEX, partition=("due_list", name), limit=at_most)
    return len(page.items)


class WaitingList:
    """The list of one lane, for one session. It gives no entry twice, however far the index is behind."""

    def __init__(self, database: Database, merchant_id: str, endpoint_id: str, lane: int) -> None:
        self._database = database
        self._name = list_of(merchant_id, endpoint_id, lane)
        self._given: set[tuple[str, int]] = set()  # with the time: a delivery that failed is listed anew

    def take(self, at_most: int, *, now_ms: int, until_ms: int | None) -> list[Delivery]:
        """Return up to ``at_most`` deliveries that are due by ``until_ms`` (``None``: all) and leased to nobody now."""
        for keys in self._new_keys(min(at_most, MOST_KEYS), until_ms):
            items = self._database.get_many(Table.DELIVERIES, [{"pk": key["pk"], "sk": key["sk"]} for key in keys])
            place = {key["sk"]: number for number, key in enumerate(keys)}
            free = [found for item in items if _is_free(found := delivery_from(item), now_ms, until_ms)]
            if free:
                return sorted(free, key=lambda delivery: place[key_of(delivery)["sk"]])
        return []

    def _new_keys(self, at_most: int, until_ms: int | None) -> Iterator[list[Item]]:
        """Yield batches of entries that were not given before."""
        start: Item | None = None
        for _ in range(MOST_PAGES):
            page = self._database.query(
                Table.DELIVERIES,
                index=DUE_INDEX,
                partition=("due_list", self._name),
                sort_at_most=None if until_ms is None else ("due_at_ms", until_ms),
                # What was given before and is under way, or has just ended, is still at the head of the list.
                limit=at_most + 2 * MOST_WIDTH,
                start=start,
            )
            new = [key for key in page.items if (key["sk"], key["due_at_ms"]) not in self._given][:at_most]
            self._given.update((key["sk"], key["due_at_ms"]) for key in new)
            if new:
                yield new
            start = page.next_key
            if start is None:
                return


def with_events(database: Database, deliveries: Sequence[Delivery]) -> tuple[list[Job], list[Delivery]]:
    """Return the deliveries with their events, and those whose event is not in the outbox."""
    events = find_events(database, [delivery.event_id for delivery in deliveries])
    jobs, without = [], []
    for delivery in deliveries:
        event = events.get((delivery.merchant_id, delivery.event_id))
        if event is None:
            without.append(delivery)
        else:
            jobs.append(Job(delivery, event))
    return jobs, without


def _is_free(delivery: Delivery, now_ms: int, until_ms: int | None) -> bool:
    return (
        delivery.status is DeliveryStatus.PENDING
        and delivery.lease_expires_at_ms < now_ms
        and (until_ms is None or delivery.due_at_ms <= until_ms)
    )
