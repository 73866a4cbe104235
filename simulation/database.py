"""DynamoDB as the simulation has it: the store in memory behind a network, with indexes and a stream that lag.

The answers are those of the port ``Database``, as stores.dynamodb translates DynamoDB's errors: throttles and
transactions cancelled for contention are ``StoreUnavailable``, a lost answer is ``OutcomeUnknown``, a failed condition
is ``WriteConflict``. The store in memory is held to DynamoDB Local by tests/contract.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.ports import Adjust, Delete, Insert, Item, Key, Page, Table, Write
from payonce.stores.memory import MemoryDatabase
from payonce.stores.schema import primary_key
from simulation.goals import Goal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.scheduler import Actor, Exchange
    from simulation.wire import Wire

TYPICAL_MS = 6
GIVES_UP_MS = 3_000  # the client's tries, each with its timeout
INDEX_LAG_MS = 40


@dataclass(frozen=True, slots=True)
class Change:
    """One item before and after a commit; ``None`` where there is none."""

    table: Table
    key: tuple[str, ...]
    before: Item | None
    after: Item | None


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction that took place: who sent it, and what it changed."""

    actor: str
    changes: tuple[Change, ...]
    skew_ms: int = 0


class SimulatedDatabase:
    """The port ``Database``. ``on_commit`` sees every transaction that takes place, at the moment it does."""

    def __init__(self, wire: Wire, on_commit: Callable[[Commit], None]) -> None:
        self.wire = wire
        self.stored = MemoryDatabase()
        self._indexed = MemoryDatabase()
        self._on_commit = on_commit

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        return self._read(f"get {table.value} {_short(primary_key(table, key))}", partial(self.stored.get, table, key))

    def get_many(self, table: Table, keys: Sequence[Key]) -> list[Item]:
        """See ``Database``."""
        return self._read(f"get {len(keys)} of {table.value}", partial(self.stored.get_many, table, keys))

    def query(self, table: Table, *, index: str | None = None, **request: Any) -> Page:
        """See ``Database``. Indexes lag behind their table."""
        source = self.stored if index is None else self._indexed
        named = f"query {index or table.value} {request['partition'][1]}"
        return self._read(named, partial(source.query, table, index=index, **request))

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        wire = self.wire
        fault = wire.begin("write")
        kind, ms = fault
        actor = wire.scheduler.alive()
        text = describe(writes)
        if kind == "throttled":
            wire.exchange(fault, _nothing, typical_ms=TYPICAL_MS)
            wire.scheduler.record(f"{text} -> throttled")
            raise StoreUnavailable("The database is busy. Nothing was written.")
        effect = partial(self._commit, actor, list(writes), text)
        if kind == "late" and isinstance(writes[0], Insert) and writes[0].table is Table.IDEMPOTENCY:
            wire.reached[Goal.CLAIM_LANDED_LATE] += 1
        if kind in {"lost", "applied", "late"}:
            lands_ms = {"lost": -1, "applied": None, "late": GIVES_UP_MS + ms}[kind]
            exchange = wire.exchange(fault, effect, typical_ms=TYPICAL_MS, waits_ms=GIVES_UP_MS, lands_ms=lands_ms)
            wire.scheduler.record(f"{text} -> no answer ({kind})")
            if kind == "applied" and exchange.error is None and len(writes) > 1:
                wire.reached[Goal.COMMIT_ANSWER_LOST] += 1
            raise OutcomeUnknown("The database did not confirm the write.")
        exchange = wire.exchange(fault, effect, typical_ms=TYPICAL_MS)
        if exchange.error is not None:
            raise exchange.error

    def apply(self, writes: Sequence[Write]) -> None:
        """Write at once, as what is outside of the simulation does."""
        before = self._items(writes)
        self.stored.write(writes)
        self._index(self._changes(writes, before))

    def delete_expired(self, table: Table, purge_before_seconds: int) -> int:
        """Delete as the table's TTL does, and return how many items there were."""
        items = self.stored._tables[table]
        expired = [key for key, item in items.items() if 0 < item.get("purge_at", 0) < purge_before_seconds]
        for key in expired:
            del items[key]
            self._indexed._tables[table].pop(key, None)
        return len(expired)

    def items(self, table: Table) -> list[Item]:
        """Return what is stored now, without a call."""
        return list(self.stored._tables[table].values())

    def item(self, table: Table, key: Key) -> Item | None:
        """Return the item that is stored now, without a call."""
        return self.stored._tables[table].get(primary_key(table, key))

    def _read[T](self, text: str, effect: Callable[[], T]) -> T:
        wire = self.wire
        fault = wire.begin("read")
        if fault[0] == "throttled":
            wire.exchange(fault, _nothing, typical_ms=TYPICAL_MS)
            wire.scheduler.record(f"{text} -> throttled")
            raise StoreUnavailable("The database could not be read.")

        def read() -> T:
            found = effect()
            wire.scheduler.record(f"{text} -> {_seen(found)}")
            return found

        return _answer(wire.exchange(fault, read, typical_ms=TYPICAL_MS))

    def _commit(self, actor: Actor, writes: list[Write], text: str) -> None:
        before = self._items(writes)
        scheduler = self.wire.scheduler
        try:
            self.stored.write(writes)
        except WriteConflict as conflict:
            scheduler.record(f"{text} -> refused: condition {conflict.index} failed", by=actor.name)
            self._goals_of(writes, conflict)
            raise
        changes = self._changes(writes, before)
        scheduler.record(f"{text} -> ok", by=actor.name)
        scheduler.after(actor.latencies.random() * INDEX_LAG_MS / 1000, partial(self._index, changes))
        self._on_commit(Commit(actor.name, changes, actor.skew_ms))

    def _goals_of(self, writes: list[Write], conflict: WriteConflict) -> None:
        first, reached = writes[0], self.wire.reached
        if first.table is Table.IDEMPOTENCY and len(writes) > 1 and conflict.index:
            reached[Goal.CONFLICT_RETRIED] += 1
        if conflict.index == 0 and isinstance(first, Adjust | Delete) and conflict.current is not None:
            required, stored = first.require.get("fence"), conflict.current.get("fence")
            if first.table is Table.IDEMPOTENCY and required is not None and required < stored:
                reached[Goal.STALE_OWNER_REFUSED] += 1
            if first.table is Table.DELIVERIES and required is not None and required < stored:
                reached[Goal.DELIVERY_OVERTAKEN] += 1

    def _items(self, writes: Sequence[Write]) -> list[Item | None]:
        return [self.stored._tables[write.table].get(_key(write)) for write in writes]

    def _changes(self, writes: Sequence[Write], before: list[Item | None]) -> tuple[Change, ...]:
        after = self._items(writes)
        return tuple(
            Change(write.table, _key(write), was, now) for write, was, now in zip(writes, before, after, strict=True)
        )

    def _index(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            # The newest image, not this change's: an index may lag, and yet it does not go backwards.
            newest = self.stored._tables[change.table].get(change.key)
            if newest is None:
                self._indexed._tables[change.table].pop(change.key, None)
            else:
                self._indexed._tables[change.table][change.key] = newest


def describe(writes: Sequence[Write]) -> str:
    """Return what is written, short enough for a line."""
    return " + ".join(_described(write) for write in writes)


def _described(write: Write) -> str:
    name = f"{write.table.value} {_short(_key(write))}"
    match write:
        case Insert(item=item):
            return f"put {name}{_marks(item)}"
        case Delete(require=require):
            return f"delete {name} if{_marks(require)}"
        case Adjust(require=require):
            changed = _marks({**write.add, **write.set})
            return f"set {name}{changed}" + (f" if{_marks(require)}" if require else "")


_MARKS = ("status", "fence", "version", "lease_expires_at_ms", "capturable_minor", "refundable_minor", "attempt_count")


def _marks(values: Any) -> str:
    return "".join(f" {name}={_shown(name, values[name])}" for name in _MARKS if name in values)


def _shown(name: str, value: Any) -> str:
    if name == "lease_expires_at_ms" and value:
        from simulation.scheduler import START_MS

        return f"{(value - START_MS) / 1000:.1f}s"
    return str(value)


def _short(key: tuple[str, ...]) -> str:
    return "/".join(part if len(part) < 64 else f"{part[:-56]}~" for part in key)


def _seen(found: Any) -> str:
    if isinstance(found, Page):
        return f"{len(found.items)} items"
    if isinstance(found, dict):
        return "found" + _marks(found)
    return "nothing" if not found else f"{len(found)} items"


def _key(write: Write) -> tuple[str, ...]:
    return primary_key(write.table, write.item if isinstance(write, Insert) else write.key)


def _answer[T](exchange: Exchange[T]) -> T:
    if exchange.error is not None:
        raise exchange.error
    return exchange.value  # type: ignore[return-value]


def _nothing() -> None:
    return None
