"""The database port in memory, for tests: the same conditions, atomic under one lock."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import WriteConflict
from payonce.ports import Adjust, Delete, Insert, Item, Key, Page, Table, Write
from payonce.stores.schema import SCHEMAS, primary_key, sort_attribute

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class MemoryDatabase:
    """Keeps everything in dicts; safe for threads. Returns and stores copies, as a real database does."""

    def __init__(self) -> None:
        self._tables: dict[Table, dict[tuple[str, ...], Item]] = {table: {} for table in Table}
        self._lock = threading.Lock()

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        with self._lock:
            return copy.deepcopy(self._tables[table].get(primary_key(table, key)))

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        with self._lock:
            found = [self._tables[table].get(primary_key(table, key)) for key in keys]
            return [copy.deepcopy(item) for item in found if item is not None]

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        with self._lock:
            changes = [self._change(index, write) for index, write in enumerate(writes)]
            for table, key, item in changes:
                if item is None:
                    self._tables[table].pop(key, None)
                else:
                    self._tables[table][key] = item

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

    def _change(self, index: int, write: Write) -> tuple[Table, tuple[str, ...], Item | None]:
        key = primary_key(write.table, write.item if isinstance(write, Insert) else write.key)
        stored = self._tables[write.table].get(key)
        match write:
            case Insert(table, item):
                if stored is not None:
                    raise WriteConflict("already stored", index=index, current=copy.deepcopy(stored))
                return table, key, copy.deepcopy(item)
            case Delete(table=table, require=require):
                _check(index, stored, require, {})
                return table, key, None
            case Adjust(table=table):
                if stored is None and write.upsert:
                    stored = dict(write.key)
                _check(index, stored, write.require, write.minimum)
                return table, key, _adjusted(copy.deepcopy(stored or {}), write)


def _check(index: int, stored: Item | None, require: Mapping[str, Any], minimum: Mapping[str, int]) -> None:
    if (
        stored is None
        or any(name not in stored or stored[name] != value for name, value in require.items())
        or any(stored.get(name, -1) < least for name, least in minimum.items())
    ):
        raise WriteConflict("a condition failed", index=index, current=copy.deepcopy(stored))


def _adjusted(item: Item, write: Adjust) -> Item:
    for name, amount in write.add.items():
        item[name] = item.get(name, 0) + amount
    item.update(copy.deepcopy(dict(write.set)))
    for name in write.remove:
        item.pop(name, None)
    return item


def _position(table: Table, sort: str | None, item: Mapping[str, Any]) -> tuple[Any, ...]:
    return (item[sort] if sort else "", primary_key(table, item))


def _page_key(table: Table, index: str | None, item: Item) -> Item:
    names = set(SCHEMAS[table].key) | set(SCHEMAS[table].indexes[index] if index else ())
    return {name: item[name] for name in names}
