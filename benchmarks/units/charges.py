"""What one write or read is charged, for the table and for each of its indexes.

The rules, and the pages of the DynamoDB Developer Guide that publish them
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/):

- A write costs one unit for each begun KB of the item; an update, of the larger of the item before and after
  (read-write-operations.html).
- A refused conditional write costs the table's units for the item that is stored, at least one (WorkingWithItems.html,
  "Conditional writes").
- In a transaction each item is written twice, to prepare and to commit, and costs twice as much, also when the
  transaction is cancelled (transaction-apis.html, "Capacity management for transactions"). Its changes
  are propagated to indexes once it has completed (the same page, "TransactWriteItems API"): their writes are single.
- An index (GSI.html, "Provisioned throughput considerations"): one write to put an entry, one to delete one, one when a
  projected attribute changed, two when a key attribute of the index changed, none when nothing of the entry did.
- A read costs one unit for each begun 4 KB, half of that when eventually consistent, twice in a transaction
  (read-write-operations.html). What finds nothing costs a unit too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.units.sizes import TRANSACTION_FACTOR, item_size, write_units

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from benchmarks.units.sizes import Item


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index: its key, partition first, and what it projects (``None``: every attribute)."""

    name: str
    key: tuple[str, ...]
    projected: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Schema:
    """A table: its key, partition first, its indexes, and which images its stream shows ("" without a stream)."""

    name: str
    key: tuple[str, ...]
    indexes: tuple[Index, ...] = ()
    stream: str = ""

    def index(self, name: str) -> Index:
        """Return the index ``name``."""
        return next(index for index in self.indexes if index.name == name)

    def key_of(self, item: Item) -> dict[str, Mapping[str, Any]]:
        """Return the key attributes of ``item``."""
        return {name: item[name] for name in self.key}


@dataclass(frozen=True, slots=True)
class Charge:
    """Units taken from one partition key of a table, or of its index when ``index`` is not ""."""

    table: str
    index: str
    partition: str
    write: float = 0.0
    read: float = 0.0

    @property
    def place(self) -> str:
        """The table, or the index, for people."""
        return self.index or self.table


@dataclass(slots=True)
class Written:
    """One write: the images before and after it (``None``: there is no item), and whether a transaction made it."""

    schema: Schema
    before: Item | None
    after: Item | None
    transactional: bool = False
    key: Item = field(default_factory=dict)

    def charges(self) -> list[Charge]:
        """Return the charges of the table and of its indexes."""
        table = _table_charge(self.schema, self.key, (self.before, self.after), transactional=self.transactional)
        return [table, *(charge for index in self.schema.indexes for charge in self._of_index(index))]

    def _of_index(self, index: Index) -> list[Charge]:
        old, new = (entry_of(self.schema, index, image) for image in (self.before, self.after))
        if old == new:
            return []
        if old and new and all(old[name] == new[name] for name in index.key):
            larger = max(item_size(old), item_size(new))
            return [Charge(self.schema.name, index.name, _text(new[index.key[0]]), write=write_units(larger))]
        return [
            Charge(self.schema.name, index.name, _text(entry[index.key[0]]), write=write_units(item_size(entry)))
            for entry in (old, new)
            if entry
        ]


def refused(schema: Schema, key: Item, stored: Item | None, *, transactional: bool = False) -> list[Charge]:
    """Return what a write costs whose condition failed: the table's units for what is stored, none of an index."""
    return [_table_charge(schema, key, (stored,), transactional=transactional)]


def entry_of(schema: Schema, index: Index, item: Item | None) -> Item | None:
    """Return the index's entry for ``item``: none unless the item has every key attribute of the index."""
    if item is None or not all(name in item for name in index.key):
        return None
    if index.projected is None:
        return item
    kept = {*schema.key, *index.key, *index.projected}
    return {name: value for name, value in item.items() if name in kept}


def _table_charge(schema: Schema, key: Item, images: tuple[Item | None, ...], *, transactional: bool) -> Charge:
    size = max(item_size(image) if image else 0 for image in images)
    factor = TRANSACTION_FACTOR if transactional else 1
    return Charge(schema.name, "", _text(key[schema.key[0]]), write=write_units(size) * factor)


def _text(value: Mapping[str, Any]) -> str:
    ((_, content),) = value.items()
    return str(content)
