"""A local file that keeps the idempotency key of each intent over crashes and restarts.

::

    begin     the key is on the disk (SQLite, synchronous=EXTRA) before the first byte is sent
    ✗ killed  the row says "one call is open": the next call with the intent has the same key
    conclude  the operation has its final answer
    without_effect   the call certainly did nothing; when no call is open, other arguments get a new key

The file holds intents, keys, times, digests of arguments and paths of what was made. It holds neither API keys nor
request bodies, so no payment method and no payer's data.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.client.errors import IntentReused, IntentTooOld, JournalUnusable, Misused
from payonce.client.intents import IntentKey, random_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.client.intents import NewKey

HOUR_SECONDS = 3600
DAY_SECONDS = 24 * HOUR_SECONDS
# The API replays a key for 24 hours or more, and blocks it for 30 days after that (README, the contract).
DEFAULT_KEY_LIFETIME_SECONDS = 31 * DAY_SECONDS
DEFAULT_KEEP_SECONDS = 90 * DAY_SECONDS
MARGIN_SECONDS = HOUR_SECONDS  # for clocks that differ, and for a retry that is under way
BUSY_SECONDS = 30
PRUNED_AT_ONCE = 100
_SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    operation TEXT NOT NULL, intent TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL,
    open_calls INTEGER NOT NULL, concluded INTEGER NOT NULL DEFAULT 0, resource TEXT, created_s INTEGER NOT NULL,
    PRIMARY KEY (operation, intent)
) WITHOUT ROWID
"""
_INDEX = "CREATE INDEX IF NOT EXISTS intents_by_age ON intents (created_s)"


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent whose outcome this machine does not know: repeat its call. ``created_s``: seconds since the epoch."""

    operation: str
    intent: str
    idempotency_key: str
    created_s: int


class Journal:
    """Keys of intents in a SQLite file at ``path``, made with mode 0600. One file serves many processes and threads.

    ``key_lifetime_seconds`` must not exceed the stack's window plus guard: an older intent raises ``IntentTooOld``
    instead of being sent. ``keep_seconds``: intents that no call has open are forgotten after that; open ones never.
    The file must be on a local disk: SQLite's locks do not hold on most network file systems
    (https://www.sqlite.org/faq.html#q5).

    Raises ``JournalUnusable`` where the file can't be made, is no journal, or may be read by others, and ``Misused``
    where intents would be forgotten while the API still knows their keys.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key_lifetime_seconds: int = DEFAULT_KEY_LIFETIME_SECONDS,
        keep_seconds: int = DEFAULT_KEEP_SECONDS,
        clock: Callable[[], float] = time.time,
        new_key: NewKey = random_key,
    ) -> None:
        if not MARGIN_SECONDS < key_lifetime_seconds <= keep_seconds:
            raise Misused("key_lifetime_seconds is over an hour, and keep_seconds is not shorter than it.")
        self._path = Path(path)
        self._key_lifetime_seconds = key_lifetime_seconds
        self._keep_seconds = keep_seconds
        self._clock = clock
        self._new_key = new_key
        try:
            _make_private(self._path)
        except OSError as error:
            raise JournalUnusable(f"The journal {self._path} can't be made: {error.strerror}.") from error
        with self._changing() as database:
            database.execute(_SCHEMA)
            database.execute(_INDEX)

    def begin(self, operation: str, intent: str, digest: str) -> IntentKey:
        """See ``IntentKeys``. When this returns, the key is on the disk."""
        now = int(self._clock())
        with self._changing() as database:
            found = database.execute(
                "SELECT key, digest, open_calls, concluded, resource, created_s FROM intents"
                " WHERE operation = ? AND intent = ?",
                (operation, intent),
            ).fetchone()
            if found is None:
                return self._insert(database, operation, intent, digest, now)
            key, known_digest, open_calls, concluded, resource, created_s = found
            if digest != known_digest:
                if open_calls or concluded:
                    raise _reused(operation, intent, resource)
                # Every call so far was refused: these are the corrected arguments, and they are a new request.
                database.execute("DELETE FROM intents WHERE operation = ? AND intent = ?", (operation, intent))
                return self._insert(database, operation, intent, digest, now)
            if (open_calls or concluded) and now - created_s > self._key_lifetime_seconds - MARGIN_SECONDS:
                raise _too_old(operation, intent, resource)
            # Only what can have been executed is as old as its first call.
            database.execute(
                "UPDATE intents SET open_calls = open_calls + 1, created_s = ? WHERE operation = ? AND intent = ?",
                (created_s if open_calls or concluded else now, operation, intent),
            )
            return IntentKey(key, may_be_executed=bool(open_calls or concluded))

    def _insert(self, database: sqlite3.Connection, operation: str, intent: str, digest: str, now: int) -> IntentKey:
        database.execute(
            "DELETE FROM intents WHERE (operation, intent) IN (SELECT operation, intent FROM intents"
            " WHERE created_s < ? AND (concluded = 1 OR open_calls = 0) LIMIT ?)",
            (now - self._keep_seconds, PRUNED_AT_ONCE),
        )
        key = self._new_key()
        database.execute(
            "INSERT INTO intents (operation, intent, key, digest, open_calls, created_s) VALUES (?, ?, ?, ?, 1, ?)",
            (operation, intent, key, digest, now),
        )
        return IntentKey(key)

    def conclude(self, operation: str, intent: str, key: str, resource: str | None) -> None:
        """See ``IntentKeys``. Raises ``JournalUnusable``; the intent then stays open, which is safe."""
        with self._changing() as database:
            database.execute(
                "UPDATE intents SET concluded = 1, resource = coalesce(?, resource)"
                " WHERE operation = ? AND intent = ? AND key = ?",
                (resource, operation, intent, key),
            )

    def without_effect(self, operation: str, intent: str, key: str) -> None:
        """See ``IntentKeys``. Raises ``JournalUnusable``; the intent then stays open, which is safe."""
        with self._changing() as database:
            database.execute(
                "UPDATE intents SET open_calls = max(0, open_calls - 1) WHERE operation = ? AND intent = ? AND key = ?",
                (operation, intent, key),
            )

    def open_intents(self) -> list[OpenIntent]:
        """Return the intents whose outcome is not known here, the oldest first: what to repeat after a crash.

        Raises ``JournalUnusable``.
        """
        with self._changing() as database:
            rows = database.execute(
                "SELECT operation, intent, key, created_s FROM intents WHERE concluded = 0 AND open_calls > 0"
                " ORDER BY created_s, operation, intent"
            ).fetchall()
        return [OpenIntent(*row) for row in rows]

    def forget(self, operation: str, intent: str) -> None:
        """Forget an intent, once somebody has seen what became of it. Raises ``JournalUnusable``.

        A later call with it gets a new key, and is executed.
        """
        with self._changing() as database:
            database.execute("DELETE FROM intents WHERE operation = ? AND intent = ?", (operation, intent))

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection within one durable transaction.

        A connection an operation: SQLite's must not cross a fork (https://www.sqlite.org/howtocorrupt.html).
        """
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
                # FULL would let a power failure undo the last commit in this journal mode; EXTRA does not
                # (https://www.sqlite.org/pragma.html#pragma_synchronous).
                database.execute("PRAGMA synchronous = EXTRA")
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalUnusable(f"The journal {self._path} can't be used: {error}.") from error


def _make_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            raise JournalUnusable(f"Others may read or change the journal {path}: chmod 600 it.") from None
        return
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # otherwise a power failure could lose the new file with the first key in it
    finally:
        os.close(folder)


def _reused(operation: str, intent: str, resource: str | None) -> IntentReused:
    made = f" It made {resource}." if resource else ""
    return IntentReused(
        f"The intent {intent!r} stands for another call of {operation}, which was or may have been executed.{made}"
        " Repeat that call unchanged, or name another intent.",
        operation=operation,
    )


def _too_old(operation: str, intent: str, resource: str | None) -> IntentTooOld:
    where = f"It made {resource}" if resource else "Look for what it made, by its reference"
    error = IntentTooOld(
        f"The intent {intent!r} of {operation} is older than the API's memory of keys: a repetition could be executed"
        f" again. {where}, then forget the intent.",
        operation=operation,
    )
    error.resource = resource
    return error
