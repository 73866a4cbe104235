"""The bank's books: every executed operation, written to disk before it is answered."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from local.sandbox_bank import payments, saved, setups
from local.sandbox_bank.behaviour import BankSettings
from local.sandbox_bank.desk import Desk, advance, now_ms
from local.sandbox_bank.follow_ups import follow_up
from local.sandbox_bank.movements import Refused
from local.sandbox_bank.present import charge_of, operations_of
from local.sandbox_bank.schema import prepare
from local.sandbox_bank.steps import catch_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KINDS = {
    "captures": "capture",
    "voids": "void",
    "refunds": "refund",
    "cancellations": "cancellation",
    "confirmations": "confirmation",
}


class Books:
    """The books in an SQLite file in WAL mode, with one writer at a time.

    ``settings_of`` returns the present settings of a bank. ``wakers`` has an event for each bank whose sender wants to
    know of every transaction.
    """

    def __init__(self, path: Path | str, settings_of: Callable[[str], BankSettings] = lambda _: BankSettings()) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        prepare(self._connection)
        self._lock = threading.Lock()
        self._settings_of = settings_of
        self.wakers: dict[str, threading.Event] = {}

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection for one atomic transaction; other writers wait."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def desk(self, bank: str, *, wake: bool = True) -> Iterator[Desk]:
        """Yield the desk of a bank for one atomic transaction, after everything due has happened.

        With ``wake`` the bank's sender looks for new events afterwards.
        """
        with self.transaction() as connection:
            desk = Desk(connection, bank, self._settings_of(bank), now_ms(connection, bank))
            catch_up(desk)
            yield desk
        if wake and (waker := self.wakers.get(bank)):
            waker.set()

    def advance(self, bank: str, advance_ms: int) -> int:
        """Move the bank's clock forward, let everything due happen, and return the bank's time."""
        with self.transaction() as connection:
            advance(connection, bank, advance_ms)
        with self.desk(bank) as desk:
            return desk.at_ms

    def execute_once(
        self, bank: str, key: str, request: dict[str, Any], operation: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Book ``operation``, or return the stored answer to ``key``, if the bank keeps answers.

        An operation that ``fails`` is not booked; its failure is stored as any other answer.
        """
        with self.desk(bank) as desk:
            return _answer(desk, key, json.dumps(request, sort_keys=True), operation)

    def find(self, bank: str, reference: str) -> list[dict[str, Any]]:
        """Return the operations with ``reference`` that lookups can see now, oldest first."""
        with self.desk(bank) as desk:
            return operations_of(desk, reference)

    def charge(self, bank: str, charge_id: str) -> dict[str, Any] | None:
        """Return the present state of a charge, or ``None``."""
        with self.desk(bank) as desk:
            return charge_of(desk, charge_id)

    def all(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Return all booked operations, visible or not, optionally filtered by bank, reference or token."""
        names = [name for name in ("bank", "reference", "payment_method", "kind", "status") if name in filters]
        where = " AND ".join(f"{name}=?" for name in names) or "1=1"
        for bank in self._banks_with_more_to_do():
            with self.desk(bank):
                pass
        return self._rows(
            f"SELECT * FROM operations WHERE {where} ORDER BY created_at_ms",  # noqa: S608
            tuple(filters[name] for name in names),
        )

    def banks_with_events(self) -> list[str]:
        """Return the banks that send events."""
        return [row["bank"] for row in self._rows("SELECT bank FROM event_endpoints", ())]

    def _banks_with_more_to_do(self) -> list[str]:
        return [row["bank"] for row in self._rows("SELECT DISTINCT bank FROM due", ())]

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values).fetchall()]


def _answer(desk: Desk, key: str, spelled: str, operation: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    retention_seconds = desk.settings.key_retention_seconds
    if retention_seconds and key:
        row = desk.connection.execute(
            "SELECT * FROM answers WHERE bank=? AND idempotency_key=? AND kept_until_ms>?",
            (desk.bank, key, desk.at_ms),
        ).fetchone()
        if row is not None:
            if row["request"] != spelled:
                raise Refused(422, "key_reused", "this idempotency key was used with another request")
            return row["status"], json.loads(row["body"])
    if operation.get("fails"):
        status, body = 500, {"error": {"code": "internal"}}
    else:
        status, body = _book(desk, operation)
    if retention_seconds and key:
        kept_until_ms = desk.at_ms + retention_seconds * 1000
        desk.connection.execute(
            "INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?)",
            (desk.bank, key, spelled, status, json.dumps(body), kept_until_ms),
        )
    return status, body


def _book(desk: Desk, operation: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    match operation["kind"]:
        case "payment":
            return payments.begin(desk, operation)
        case "setup":
            return setups.begin(desk, operation)
        case "revocation":
            return saved.revoke_as_asked(desk, operation["saved_method"], operation)
        case "cancellation":
            cancel = setups.cancel if operation["charge_id"].startswith(setups.PREFIX) else payments.cancel
            return cancel(desk, operation["charge_id"], operation)
        case "confirmation":
            confirm = setups.confirm if operation["charge_id"].startswith(setups.PREFIX) else payments.confirm
            return confirm(desk, operation["charge_id"], operation)
        case _:
            return follow_up(desk, operation["charge_id"], operation)
