"""The books in an SQLite file: payments, what was asked of them, disputes, keys, tasks to come and notifications."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

type Row = dict[str, Any]

# `state` of a payment: waiting (for its payer), shown (the payer has answered, the details are not submitted yet),
# received, pending, presented, authorised, refused, error, cancelled, closed (the offer), expired.
SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (
    psp_reference TEXT PRIMARY KEY, company TEXT NOT NULL, merchant_account TEXT NOT NULL, reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, currency TEXT NOT NULL, method TEXT NOT NULL, holder_name TEXT NOT NULL,
    state TEXT NOT NULL, captured_minor INTEGER NOT NULL, refunded_minor INTEGER NOT NULL,
    released_minor INTEGER NOT NULL, capture_delay_hours INTEGER, token TEXT UNIQUE, payer_said TEXT,
    native_step TEXT, details_done INTEGER NOT NULL, return_url TEXT NOT NULL, shopper_reference TEXT,
    stored_method_id TEXT, store_it INTEGER NOT NULL, request TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
    card TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS payments_by_reference ON payments (reference);
CREATE TABLE IF NOT EXISTS operations (
    psp_reference TEXT PRIMARY KEY, payment_psp_reference TEXT, company TEXT NOT NULL, merchant_account TEXT NOT NULL,
    kind TEXT NOT NULL, reference TEXT NOT NULL, amount_minor INTEGER, currency TEXT, status TEXT NOT NULL,
    reason TEXT NOT NULL, created_at_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS operations_by_reference ON operations (reference);
CREATE TABLE IF NOT EXISTS disputes (
    psp_reference TEXT PRIMARY KEY, payment_psp_reference TEXT NOT NULL, amount_minor INTEGER NOT NULL,
    taken_minor INTEGER NOT NULL, events TEXT NOT NULL, created_at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS stored_methods (
    id TEXT PRIMARY KEY, company TEXT NOT NULL, merchant_account TEXT NOT NULL, shopper_reference TEXT NOT NULL,
    method TEXT NOT NULL, holder_name TEXT NOT NULL, models TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
    first_psp_reference TEXT NOT NULL, card TEXT NOT NULL DEFAULT '', authenticated INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS keys (
    company TEXT NOT NULL, idempotency_key TEXT NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, kept_until_ms INTEGER NOT NULL, PRIMARY KEY (company, idempotency_key));
CREATE TABLE IF NOT EXISTS tasks (
    id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, task TEXT NOT NULL, psp_reference TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notifications (
    id INTEGER PRIMARY KEY, item TEXT NOT NULL, event_code TEXT NOT NULL, psp_reference TEXT NOT NULL,
    state TEXT NOT NULL, due_at_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, created_at_ms INTEGER NOT NULL,
    last_answer TEXT NOT NULL);
"""
# Columns that files from before them lack.
ADDED_COLUMNS = (
    ("payments", "card", "TEXT NOT NULL DEFAULT ''"),
    ("stored_methods", "first_psp_reference", "TEXT NOT NULL DEFAULT ''"),
    ("stored_methods", "card", "TEXT NOT NULL DEFAULT ''"),
    ("stored_methods", "authenticated", "INTEGER NOT NULL DEFAULT 0"),
)


class Books:
    """The books, with one writer at a time. Every change is on disk before it is answered."""

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)
        for table, name, kind in ADDED_COLUMNS:
            columns = self._connection.execute(f"PRAGMA table_info({table})")
            if not any(column["name"] == name for column in columns):  # an older file
                self._connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Ledger]:
        """Yield the tables for one atomic transaction; other writers wait. It must not be nested."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Ledger(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def rows(self, table: str, filters: dict[str, str]) -> list[Row]:
        """Return the rows of ``table`` with these values, in the order in which they were inserted."""
        with self._lock:
            return Ledger(self._connection).select(table, **filters)


class Ledger:
    """The tables within one transaction. Tables and columns are named by this package alone, values are bound."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def insert(self, table: str, row: Row) -> None:
        """Insert a row; a primary key that is taken raises ``sqlite3.IntegrityError``."""
        names, places = ",".join(row), ",".join(f":{name}" for name in row)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)  # noqa: S608

    def select(self, table: str, **values: Any) -> list[Row]:
        """Return the rows with these values, oldest first. An unknown column raises ``sqlite3.OperationalError``."""
        where = " AND ".join(f"{name}=:{name}" for name in values) or "1=1"
        statement = f"SELECT * FROM {table} WHERE {where} ORDER BY rowid"  # noqa: S608
        return [dict(row) for row in self._connection.execute(statement, values)]

    def one(self, table: str, **values: Any) -> Row | None:
        """Return the oldest row with these values, or ``None``."""
        rows = self.select(table, **values)
        return rows[0] if rows else None

    def update(self, table: str, key: Row, **values: Any) -> None:
        """Change the rows with the values of ``key``."""
        change = ",".join(f"{name}=:{name}" for name in values)
        where = " AND ".join(f"{name}=:key_{name}" for name in key)
        bound = {**values, **{f"key_{name}": value for name, value in key.items()}}
        self._connection.execute(f"UPDATE {table} SET {change} WHERE {where}", bound)  # noqa: S608

    def add(self, payment: Row, **minor: int) -> None:
        """Add to ``captured_minor``, ``refunded_minor`` or ``released_minor`` of a payment."""
        values = {f"{name}_minor": payment[f"{name}_minor"] + by_minor for name, by_minor in minor.items()}
        self.update("payments", {"psp_reference": payment["psp_reference"]}, **values)

    def delete(self, table: str, **values: Any) -> int:
        """Delete the rows with these values and return their number."""
        where = " AND ".join(f"{name}=:{name}" for name in values)
        return self._connection.execute(f"DELETE FROM {table} WHERE {where}", values).rowcount  # noqa: S608

    def put_off(self, task: str, psp_reference: str, at_ms: int) -> None:
        """Have ``task`` done at that time."""
        self.insert("tasks", {"at_ms": at_ms, "task": task, "psp_reference": psp_reference})

    def next_due(self, table: str, column: str, now_ms: int, **values: Any) -> Row | None:
        """Return the row that has been due the longest at ``now_ms``, or ``None``."""
        where = "".join(f" AND {name}=:{name}" for name in values)
        statement = f"SELECT * FROM {table} WHERE {column}<=:now{where} ORDER BY {column}, rowid LIMIT 1"  # noqa: S608
        row = self._connection.execute(statement, {"now": now_ms, **values}).fetchone()
        return None if row is None else dict(row)


def spelled(document: Any) -> str:
    """Return JSON that is equal for equal documents."""
    return json.dumps(document, sort_keys=True)


def digest(document: Any) -> str:
    """Return a digest that is equal for equal documents: a request may hold a card, which no file shall."""
    return hashlib.sha256(spelled(document).encode()).hexdigest()
