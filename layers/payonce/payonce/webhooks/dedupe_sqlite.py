"""The deduplication store in an SQLite file, for consumers on one machine. Needs only the standard library."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

from payonce.domain.errors import StoreUnavailable
from payonce.webhooks.dedupe import (
    DEFAULT_LEASE_SECONDS,
    DEFAULT_WINDOW_SECONDS,
    Begun,
    Entry,
    Outcome,
    check_times,
    claim,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY_TIMEOUT_SECONDS = 5  # waits for another process's transaction, which takes milliseconds


class SqliteDedupeStore:
    """Keeps entries in an SQLite file, which survives restarts. Safe across threads and processes of one machine.

    Not for network file systems, on whose locks SQLite can't rely.
    """

    _SCHEMA = (
        "CREATE TABLE IF NOT EXISTS webhooks"
        " (id TEXT PRIMARY KEY, done INTEGER NOT NULL, fence INTEGER NOT NULL, until REAL NOT NULL) WITHOUT ROWID",
        "CREATE INDEX IF NOT EXISTS webhooks_until ON webhooks (until)",
    )

    def __init__(
        self,
        path: str | Path,
        *,
        window_seconds: int = DEFAULT_WINDOW_SECONDS,
        lease_seconds: int = DEFAULT_LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_times(window_seconds, lease_seconds)
        self._path = path
        self._window_seconds = window_seconds
        self._lease_seconds = lease_seconds
        self._clock = clock
        with self._transaction() as connection:
            for statement in self._SCHEMA:
                connection.execute(statement)

    def begin(self, message_id: str) -> Begun:
        """See ``DedupeStore``."""
        with self._transaction() as connection:
            now = self._clock()  # read inside the lock, because waiting for the lock may take seconds
            row = connection.execute("SELECT done, fence, until FROM webhooks WHERE id = ?", (message_id,)).fetchone()
            known = Entry(bool(row[0]), *row[1:]) if row else None
            outcome, entry = claim(known, known.fence + 1 if known else 1, now, self._lease_seconds)
            if outcome is Outcome.NEW:
                # Expired entries are kept for another window: the next claim of the id needs a fence never used before.
                connection.execute(
                    "DELETE FROM webhooks WHERE until <= ? AND id != ?", (now - self._window_seconds, message_id)
                )
                self._put(connection, message_id, entry)
            return Begun(outcome, entry.fence)

    def done(self, message_id: str) -> None:
        """See ``DedupeStore``."""
        with self._transaction() as connection:
            row = connection.execute("SELECT fence FROM webhooks WHERE id = ?", (message_id,)).fetchone()
            until = self._clock() + self._window_seconds
            self._put(connection, message_id, Entry(done=True, fence=row[0] if row else 1, until=until))

    def forget(self, message_id: str, fence: int) -> None:
        """See ``DedupeStore``."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE webhooks SET until = ? WHERE id = ? AND fence = ? AND NOT done",
                (self._clock(), message_id, fence),
            )

    @staticmethod
    def _put(connection: sqlite3.Connection, message_id: str, entry: Entry) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO webhooks VALUES (?, ?, ?, ?)", (message_id, entry.done, entry.fence, entry.until)
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Each call has its own connection: none is shared between threads or inherited through a fork."""
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
            with contextlib.closing(connection):
                # IMMEDIATE takes the write lock before the first read, so that no two callers read the same state.
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreUnavailable("The dedupe store's file could not be used. Nothing was handled.") from error
