"""The bank's back office, for a merchant's accounting: reports, settlements, statements, and their faults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.faults import commit_fault
from local.sandbox_bank.report import report
from local.sandbox_bank.settlement import settle
from local.sandbox_bank.statement import statement

if TYPE_CHECKING:
    from local.sandbox_bank.books import Books

FOR_EVER_MS = 2**53


@dataclass(frozen=True, slots=True)
class BackOffice:
    """Answers from the books. Raises ``Refused``, and ``ValueError`` or ``TypeError`` for invalid values."""

    books: Books

    def file(self, bank: str, kind: str, query: dict[str, str]) -> tuple[str, bytes]:
        """Return the content type and bytes of a ``report`` or a ``statement`` for the period in ``query``."""
        from_ms, to_ms = int(query.get("from", "0")), int(query.get("to", str(FOR_EVER_MS)))
        with self.books.desk(bank) as desk:
            if kind == "report":
                return "text/csv; charset=utf-8", report(desk.connection, bank, from_ms, to_ms)
            return "application/xml", statement(desk.connection, bank, query.get("account"), from_ms, to_ms)

    def settle(self, bank: str, body: dict[str, Any]) -> dict[str, Any]:
        """Close a settlement batch as of ``as_of_ms`` and return the payouts."""
        as_of_ms = body.get("as_of_ms")
        if not isinstance(as_of_ms, int):
            raise ValueError("as_of_ms is missing: the time, in epoch milliseconds, up to which is settled")
        with self.books.desk(bank) as desk:
            return settle(desk.connection, bank, as_of_ms)

    def commit_fault(self, bank: str, body: dict[str, Any]) -> dict[str, Any]:
        """Commit the ``fault`` named in ``body``, with the other members as its arguments."""
        values = {name: value for name, value in body.items() if name != "fault"}
        with self.books.desk(bank) as desk:
            return commit_fault(desk, str(body.get("fault")), values)
