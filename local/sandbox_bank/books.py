"""The bank's books: every executed operation, written to disk before it is answered."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.movements import Refused, Terms, insert_charge, insert_operation, move, new_charge_id, now_ms
from local.sandbox_bank.schema import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = {"captures": "capture", "voids": "void", "refunds": "refund"}


class Books:
    """The books in an SQLite file in WAL mode, with one writer at a time."""

    def __init__(self, path: Path | str) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        prepare(self._connection)
        self._lock = threading.Lock()

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

    def execute_once(
        self,
        bank: str,
        key: str,
        retention_seconds: int,
        request: dict[str, Any],
        operation: dict[str, Any],
        terms: Terms,
    ) -> tuple[int, dict[str, Any]]:
        """Book ``operation``, or return the stored answer to ``key`` (``retention_seconds`` 0 stores none).

        An operation that ``fails`` is not booked; its failure is stored as any other answer.
        """
        spelled = json.dumps(request, sort_keys=True)
        with self.transaction():
            return self._answer(bank, key, retention_seconds, spelled, operation, terms)

    def _answer(
        self, bank: str, key: str, retention_seconds: int, spelled: str, operation: dict[str, Any], terms: Terms
    ) -> tuple[int, dict[str, Any]]:
        if retention_seconds and key:
            row = self._connection.execute(
                "SELECT * FROM answers WHERE bank=? AND idempotency_key=? AND kept_until_ms>?", (bank, key, now_ms())
            ).fetchone()
            if row is not None:
                if row["request"] != spelled:
                    raise Refused(422, "key_reused", "this idempotency key was used with another request")
                return row["status"], json.loads(row["body"])
        if operation.get("fails"):
            status, body = 500, {"error": {"code": "internal"}}
        else:
            status, body = self._book(bank, operation, terms)
        if retention_seconds and key:
            kept_until_ms = now_ms() + retention_seconds * 1000
            self._connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?)",
                (bank, key, spelled, status, json.dumps(body), kept_until_ms),
            )
        return status, body

    def _book(self, bank: str, operation: dict[str, Any], terms: Terms) -> tuple[int, dict[str, Any]]:
        kind, declined = operation["kind"], operation.get("decline_code")
        charge_id = operation.get("charge_id") or new_charge_id()
        moved = kind in {"capture", "refund"}
        if kind != "payment":
            operation = self._checked(bank, charge_id, operation, declined=bool(declined))
        elif not declined:
            moved = operation["capture"] == "automatic"
            insert_charge(self._connection, bank, charge_id, operation, operation["amount_minor"] if moved else 0)
        row = {
            "operation_id": f"op_{uuid.uuid4().hex}",
            "bank": bank,
            "charge_id": charge_id,
            "kind": kind,
            "reference": operation["reference"],
            "status": "declined" if declined else "succeeded",
            "amount_minor": operation["amount_minor"],
            "currency": operation["currency"],
            "payment_method": operation["payment_method"],
            "code": declined,
            "created_at_ms": now_ms(),
            "visible_at_ms": now_ms() + operation["visible_after_ms"],
        }
        insert_operation(self._connection, row)
        if declined:
            return 402, {"error": {"code": declined, "message": "the issuer declined"}, "operation": row}
        if moved:
            move(self._connection, row, terms)
        return 201, row

    def _checked(self, bank: str, charge_id: str, operation: dict[str, Any], *, declined: bool) -> dict[str, Any]:
        charge = self._connection.execute(
            "SELECT * FROM charges WHERE bank=? AND charge_id=?", (bank, charge_id)
        ).fetchone()
        if charge is None:
            raise Refused(404, "no_such_charge", "no such charge")
        kind = operation["kind"]
        left = {
            "capture": 0 if charge["voided"] else charge["amount_minor"] - charge["captured_minor"],
            "void": 0 if charge["voided"] or charge["captured_minor"] else charge["amount_minor"],
            "refund": charge["captured_minor"] - charge["refunded_minor"],
        }[kind]
        amount = operation.get("amount_minor") or charge["amount_minor"]
        if amount > left:
            raise Refused(409, "not_possible", f"only {left} left to {kind}")
        if not declined:
            column = {"capture": "captured_minor", "refund": "refunded_minor"}.get(kind)
            change = f"{column}={column}+{amount}" if column else "voided=1"
            self._connection.execute(f"UPDATE charges SET {change} WHERE charge_id=?", (charge_id,))  # noqa: S608
        return {
            **operation,
            "amount_minor": amount,
            "currency": charge["currency"],
            "payment_method": charge["payment_method"],
        }

    def find(self, bank: str, reference: str) -> list[dict[str, Any]]:
        """Return the operations with ``reference`` that lookups can see now, oldest first."""
        return self._rows(
            "SELECT * FROM operations WHERE bank=? AND reference=? AND visible_at_ms<=? ORDER BY created_at_ms",
            (bank, reference, now_ms()),
        )

    def charge(self, bank: str, charge_id: str) -> dict[str, Any] | None:
        """Return the present state of a charge, or ``None``."""
        rows = self._rows("SELECT * FROM charges WHERE bank=? AND charge_id=?", (bank, charge_id))
        return rows[0] if rows else None

    def all(self, filters: dict[str, str]) -> list[dict[str, Any]]:
        """Return all booked operations, visible or not, optionally filtered by bank, reference or token."""
        names = [name for name in ("bank", "reference", "payment_method", "kind", "status") if name in filters]
        where = " AND ".join(f"{name}=?" for name in names) or "1=1"
        return self._rows(
            f"SELECT * FROM operations WHERE {where} ORDER BY created_at_ms",  # noqa: S608
            tuple(filters[name] for name in names),
        )

    def _rows(self, statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._connection.execute(statement, values).fetchall()]
