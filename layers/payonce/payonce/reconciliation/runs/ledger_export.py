"""Exports the stack's journal of a period as a ledger CSV, so that ``payonce reconcile`` can run on it offline."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, TextIO

from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.model import LedgerRow
from payonce.reconciliation.readers.ledger_csv import write_ledger_csv
from payonce.reconciliation.readers.values import neutralised, shown
from payonce.reconciliation.runs.ledger_rows import booked_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payonce.ports import Database

PROGRESS_EVERY = 500  # rows, which gives a few screen refreshes per second


def export_ledger(
    database: Database,
    path: Path,
    *,
    from_ms: int,
    until_ms: int,
    merchant_id: str | None = None,
    gateway: str | None = None,
    progress: Callable[[int, int], None] = lambda _rows, _at_ms: None,
) -> int:
    """Write the movements booked in [``from_ms``, ``until_ms``) to a new file, ordered by time; return how many.

    The file is written atomically. ``progress`` is called with the number of rows so far and the time of the last.
    Raises ``BodyMalformed`` for a file that exists or can't be written, and for a text that a spreadsheet would
    execute; raises ``StoreUnavailable``.
    """

    def rows() -> Iterator[LedgerRow]:
        count = 0
        for row in booked_in_order(database, from_ms=from_ms, until_ms=until_ms):
            if merchant_id in (None, row.merchant_id) and gateway in (None, row.gateway):
                count += 1
                yield _harmless(row)
            if count % PROGRESS_EVERY == 0:
                progress(count, row.booked_at_ms)

    with _new_file(path) as file:
        return write_ledger_csv(rows(), file)


def _harmless(row: LedgerRow) -> LedgerRow:
    """Return the row if a spreadsheet would execute none of its texts, else raise: escaping would change the row."""
    for field in fields(LedgerRow):
        value = getattr(row, field.name)
        if isinstance(value, str) and (neutralised(value) != value or not value.isprintable()):
            raise BodyMalformed(
                f"The entry {row.entry_id} can't be exported: a spreadsheet would run its {field.name} {shown(value)}. "
                "Nothing was written. Look at where that text came from."
            )
    return row


@contextmanager
def _new_file(path: Path) -> Iterator[TextIO]:
    """Yield a file that gets its name once it is complete. Raises ``BodyMalformed``."""
    if path.exists():  # checked before the journal is read
        raise BodyMalformed(f"{path} exists. Name a new file.")
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        # A link, because it does not overwrite a file created meanwhile.
        path.hardlink_to(part)
    except FileExistsError:
        raise BodyMalformed(f"{path} exists. Name a new file.") from None
    except OSError as error:
        raise BodyMalformed(f"{path} can't be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
