"""A database that counts what the console's pages read: round trips, and read units by DynamoDB's published rules.

A read costs a unit for each begun 4 KB, half of that when eventually consistent, and what finds nothing costs one too
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html). A query is charged for the sum of
its items, a batch for each of its items.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

from benchmarks.units.charges import entry_of
from benchmarks.units.sizes import item_size
from benchmarks.units.template import Template
from payonce.ports import Insert, Table
from payonce.stores.dynamodb_requests import to_attributes
from payonce.stores.memory import MemoryDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Item, Key, Page, Write

READ_UNIT_BYTES = 4096
SCHEMAS = Template({}, "").schemas()


@dataclass(slots=True)
class Tally:
    """What was read since the last ``clear``."""

    round_trips: int = 0
    units: float = 0.0

    def clear(self) -> None:
        """Begin anew."""
        self.round_trips, self.units = 0, 0.0


class CountingDatabase(MemoryDatabase):
    """A database in memory with a tally of its reads. No page of the console may scan, so a scan does not exist."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()
        # Told of each change of a claim: its record's id, the item before and the item after.
        self.listener: Callable[[str, Item | None, Item | None], None] = lambda _id, _before, _after: None

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        ids = [
            write.item["id"] if isinstance(write, Insert) else write.key["id"]
            for write in writes
            if write.table is Table.IDEMPOTENCY
        ]
        before = {one: super(CountingDatabase, self).get(Table.IDEMPOTENCY, {"id": one}) for one in ids}
        super().write(writes)
        for one, old in before.items():
            self.listener(one, old, super().get(Table.IDEMPOTENCY, {"id": one}))

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        item = super().get(table, key)
        self._count([item])
        return item

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        items = super().get_many(table, keys)
        self._count([*items, *[None] * (len(keys) - len(items))])
        return items

    def query(self, table: Table, **how: Any) -> Page:
        """See ``Database``."""
        page = super().query(table, **how)
        self.tally.round_trips += 1
        size = sum(_size(item, table, how.get("index")) for item in page.items)
        self.tally.units += max(1, ceil(size / READ_UNIT_BYTES)) * (0.5 if how.get("index") else 1.0)
        return page

    def _count(self, items: Sequence[Item | None]) -> None:
        self.tally.round_trips += 1
        self.tally.units += sum(max(1, ceil(_size(item) / READ_UNIT_BYTES)) for item in items)


def _size(item: Item | None, table: Table | None = None, index: str | None = None) -> int:
    if item is None:
        return 0
    attributes = to_attributes(item)
    if table is not None and index is not None:
        schema = SCHEMAS[f"{table.value.capitalize()}Table"]
        attributes = entry_of(schema, schema.index(index), attributes) or {}
    return item_size(attributes)
