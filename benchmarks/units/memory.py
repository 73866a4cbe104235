"""The database port in memory, where every request is charged as the meter charges those on the wire, only faster.

What the meter reads before and after a write is known here anyway.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from benchmarks.units.charges import Charge, Written, refused
from benchmarks.units.meter import identity
from benchmarks.units.sizes import EVENTUAL_FACTOR, item_size, read_units, total_size
from payonce.domain.errors import WriteConflict
from payonce.ports import Adjust, Insert
from payonce.stores.dynamodb_requests import to_attributes
from payonce.stores.memory import MemoryDatabase
from tests.support.stream import stream_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.units.charges import Schema
    from benchmarks.units.meter import Meter
    from payonce.ports import Item, Key, Page, Table, Write


class MeteredMemory(MemoryDatabase):
    """Charges to ``meter``. ``names`` are the template's tables by the port's."""

    def __init__(self, meter: Meter, names: Mapping[Table, str]) -> None:
        super().__init__()
        self._meter = meter
        self._names = names
        self._charging = threading.RLock()  # the images before and after a write are of that write alone

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        in_transaction = len(writes) > 1
        with self._charging:
            targets = [(self._schema(write.table), _key_of(self._schema(write.table), write)) for write in writes]
            before = [self._image(write) for write in writes]
            operation = "TransactWriteItems" if in_transaction else "PutItem"
            items = tuple((schema.name, identity(key)) for schema, key in targets)
            try:
                super().write(writes)
            except WriteConflict:
                charges = [
                    charge
                    for (schema, key), stored in zip(targets, before, strict=True)
                    for charge in refused(schema, key, stored, transactional=in_transaction)
                ]
                self._meter.keep(operation, charges, items, was_refused=True)
                raise
            charges = []
            for (schema, key), old, write in zip(targets, before, writes, strict=True):
                new = self._image(write)
                charges += Written(schema, old, new, transactional=in_transaction, key=key).charges()
                self._meter.record(schema, key, old, new)
            self._meter.keep(operation, charges, items, spread=tuple(self._spread(writes)))

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        found = super().get(table, key)
        self._read("GetItem", [self._one(table, key, found)])
        return found

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        self._read("BatchGetItem", [self._one(table, key, MemoryDatabase.get(self, table, key)) for key in keys])
        return super().get_many(table, keys)

    def query(self, table: Table, *, index: str | None = None, **options: Any) -> Page:
        """See ``Database``."""
        page = super().query(table, index=index, **options)
        schema = self._schema(table)
        size = total_size(to_attributes(item) for item in page.items)
        factor = EVENTUAL_FACTOR if index else 1.0
        charge = Charge(schema.name, index or "", options["partition"][1], read=read_units(size, factor=factor))
        self._read("Query", [charge])
        return page

    def _spread(self, writes: Sequence[Write]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
        """Yield the items that the adapter would rather write once its transactions have met, each after what it is."""
        for write in writes:
            if isinstance(write, Adjust) and write.spread_key is not None:
                name = self._schema(write.table).name
                pair = [(name, identity(to_attributes(key))) for key in (write.key, write.spread_key)]
                yield pair[0], pair[1]

    def _one(self, table: Table, key: Key, found: Item | None) -> Charge:
        schema = self._schema(table)
        size = item_size(to_attributes(found)) if found else 0
        return Charge(schema.name, "", str(key[schema.key[0]]), read=read_units(size))

    def _read(self, operation: str, charges: list[Charge]) -> None:
        with self._charging:
            self._meter.keep(operation, charges)

    def _image(self, write: Write) -> Any:
        schema = self._schema(write.table)
        key = write.item if isinstance(write, Insert) else write.key
        found = MemoryDatabase.get(self, write.table, {name: key[name] for name in schema.key})
        return None if found is None else stream_image(found)

    def _schema(self, table: Table) -> Schema:
        return self._meter.schemas[self._names[table]]


def _key_of(schema: Schema, write: Write) -> dict[str, Any]:
    key = write.item if isinstance(write, Insert) else write.key
    made: dict[str, Any] = to_attributes({name: key[name] for name in schema.key})
    return made
