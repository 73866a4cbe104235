"""The database port in memory, for tests: the same conditions, atomic under one lock, with DynamoDB's limits."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import StoreRequestInvalid, WriteConflict
from payonce.ports import Adjust, Delete, Insert, Item, Key, Page, Table, Write
from payonce.stores.limits import (
    check_key,
    check_keys,
    check_query,
    check_transaction_bytes,
    check_writes,
    checked_item,
    same,
    storable,
)
from payonce.stores.schema import SCHEMAS, primary_key, sort_attribute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryDatabase:
    """Keeps everything in dicts. Thread-safe. Returns and stores copies, as a real database does."""

    def __init__(self) -> None:
        self._tables: dict[Table, dict[tuple[str, ...], Item]] = {table: {} for table in Table}
        self._lock = threading.Lock()

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        check_key(table, key)
        with self._lock:
            return copy.deepcopy(self._tables[table].get(primary_key(table, key)))

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        check_keys(table, keys)
        with self._lock:
            found = [self._tables[table].get(primary_key(table, key)) for key in keys]
            return [copy.deepcopy(item) for item in found if item is not None]

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        check_writes(writes)
        with self._lock:
            # Check all conditions first: where one fails, the sizes of the items to be stored do not matter.
            stored = [self._met(index, write) for index, write in enumerate(writes)]
            items = [_after(write, item) for write, item in zip(writes, stored, strict=True)]
            check_transaction_bytes([item for item in items if item is not None])
            for write, item in zip(writes, items, strict=True):
                if item is None:
                    self._tables[write.table].pop(_key_of(write), None)
                else:
                    self._tables[write.table][_key_of(write)] = item

    def query(
        self,
        table: Table,
        *,
        partition: tuple[str, str],
        index: str | None = None,
        sort_prefix: tuple[str, str] | None = None,
        sort_at_least: tuple[str, int | str] | None = None,
        sort_at_most: tuple[str, int | str] | None = None,
        descending: bool = False,
        limit: int,
        start: Item | None = None,
    ) -> Page:
        """See ``Database``."""
        bounds = [bound for bound in (sort_prefix, sort_at_least, sort_at_most) if bound is not None]
        check_query(table, index, partition, bounds, prefixed=sort_prefix is not None, limit=limit, start=start)
        sort = sort_attribute(table, index)
        with self._lock:
            found = [
                copy.deepcopy(item)
                for item in self._tables[table].values()
                if item.get(partition[0]) == partition[1]
                and (sort is None or sort in item)
                and (sort_prefix is None or str(item[sort_prefix[0]]).startswith(sort_prefix[1]))
                and (sort_at_least is None or item[sort_at_least[0]] >= sort_at_least[1])
                and (sort_at_most is None or item[sort_at_most[0]] <= sort_at_most[1])
            ]
        found.sort(key=lambda item: _position(table, sort, item), reverse=descending)
        if start is not None:
            after = _position(table, sort, start)
            found = [
                item
                for item in found
                if (_position(table, sort, item) < after if descending else _position(table, sort, item) > after)
            ]
        items, more = found[:limit], len(found) > limit
        return Page(items, _page_key(table, index, items[-1]) if more else None)

    def _met(self, index: int, write: Write) -> Item | None:
        """Return the item under the write's key if the write's conditions hold."""
        stored = self._tables[write.table].get(_key_of(write))
        match write:
            case Insert():
                met = stored is None
            case Delete(require=require):
                met = _holds(stored, require, {})
            case Adjust(require=require, minimum=minimum):
                met = _holds({} if stored is None and write.upsert else stored, require, minimum)
        if not met:
            raise WriteConflict("a condition failed", index=index, current=copy.deepcopy(stored))
        return stored


def _key_of(write: Write) -> tuple[str, ...]:
    return primary_key(write.table, write.item if isinstance(write, Insert) else write.key)


def _holds(stored: Item | None, require: Mapping[str, Any], minimum: Mapping[str, int]) -> bool:
    return (
        stored is not None
        and all(name in stored and same(stored[name], storable(value)) for name, value in require.items())
        and all(type(stored.get(name)) is int and stored[name] >= least for name, least in minimum.items())
    )


def _after(write: Write, stored: Item | None) -> Item | None:
    match write:
        case Insert(table, item):
            return checked_item(table, item)
        case Delete():
            return None
        case Adjust(table=table):
            return checked_item(table, _adjusted(dict(write.key) if stored is None else dict(stored), write))


def _adjusted(item: Item, write: Adjust) -> Item:
    for name, amount in write.add.items():
        if type(item.get(name, 0)) is not int:
            raise StoreRequestInvalid(f"The request to the database adds to {name}, which is no number.")
        item[name] = item.get(name, 0) + amount
    item.update(write.set)
    for name in write.remove:
        item.pop(name, None)
    return item


def _position(table: Table, sort: str | None, item: Mapping[str, Any]) -> tuple[Any, ...]:
    return (item[sort] if sort else "", primary_key(table, item))


def _page_key(table: Table, index: str | None, item: Item) -> Item:
    names = set(SCHEMAS[table].key) | set(SCHEMAS[table].indexes[index] if index else ())
    return {name: item[name] for name in names}
