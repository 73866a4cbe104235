"""A database whose answers are lost, refused or late, write by write and read by read, as a test says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.stores.memory import MemoryDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Item, Key, Page, Table, Write


class FaultyDatabase(MemoryDatabase):
    """Goes by ``script``, one word a write, and by ``reads``, one word a read; when they are empty, all is well.

    Words for writes: ok; refused (certainly not written); lost (not written, no answer); applied (written, no answer);
    late (no answer, and written when ``land`` is called). For reads: ok; refused. ``before_write`` is called before
    each write, with its number from 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.script: list[str] = []
        self.reads: list[str] = []
        self.on_their_way: list[Sequence[Write]] = []
        self.before_write: Callable[[int], None] = lambda _number: None
        self.writes = 0

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        self.writes += 1
        self.before_write(self.writes)
        word = self.script.pop(0) if self.script else "ok"
        if word == "refused":
            raise StoreUnavailable("The database refused the request; nothing was written by it.")
        if word == "late":
            self.on_their_way.append(list(writes))
        if word in {"ok", "applied"}:
            try:
                super().write(writes)
            except WriteConflict:
                if word == "ok":
                    raise
        if word != "ok":
            raise OutcomeUnknown("The database did not confirm the write.")

    def land(self) -> int:
        """Apply what is on its way, as far as its conditions allow; return how many writes there were."""
        landing, self.on_their_way = self.on_their_way, []
        for writes in landing:
            with contextlib.suppress(WriteConflict):
                super().write(writes)
        return len(landing)

    def get(self, table: Table, key: Key) -> Item | None:
        """See ``Database``."""
        self._read()
        return super().get(table, key)

    def query(self, table: Table, **request: Any) -> Page:
        """See ``Database``."""
        self._read()
        return super().query(table, **request)

    def _read(self) -> None:
        if self.reads and self.reads.pop(0) == "refused":
            raise StoreUnavailable("The database could not be read.")
