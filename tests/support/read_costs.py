"""Counts what reads cost: round trips, and read units by the sizes of the items as they are stored."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeSerializer

from benchmarks.units.sizes import READ_UNIT_BYTES, item_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.ports import Database, Item, Key, Page, Table, Write

_SERIALIZER = TypeSerializer()


def size_of(item: Item) -> int:
    """Return the size in bytes by which the item is charged."""
    return item_size({name: _SERIALIZER.serialize(value) for name, value in item.items()})


@dataclass
class CountedReads:
    """``Database`` that counts reads and passes everything on. Units are those of strongly consistent reads."""

    database: Database
    round_trips: int = 0
    units: int = 0
    items: int = 0
    calls: list[str] = field(default_factory=list)

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        item = self.database.get(table, key)
        self._count(f"get {table.value}", [] if item is None else [item], together=False)
        return item

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        found = self.database.get_many(table, keys)
        self._count(f"get_many {table.value}", found, together=False)
        return found

    def query(self, table: Table, **options: Any) -> Page:
        """See ``Database``."""
        page = self.database.query(table, **options)
        self._count(f"query {table.value} {options.get('index') or ''}", page.items, together=True)
        return page

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        self.database.write(writes)

    def reset(self) -> None:
        """Begin anew."""
        self.round_trips = self.units = self.items = 0
        self.calls.clear()

    def _count(self, call: str, items: Iterable[Item], *, together: bool) -> None:
        sizes = [size_of(item) for item in items]
        self.round_trips += 1
        self.items += len(sizes)
        self.calls.append(call.strip())
        # A query adds the sizes up and rounds once; single items are rounded each.
        self.units += (
            max(1, math.ceil(sum(sizes) / READ_UNIT_BYTES))
            if together
            else sum(max(1, math.ceil(size / READ_UNIT_BYTES)) for size in sizes)
        )
