"""The proof of a statement: its balances, its control totals and its lines say the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.reconciliation.readers.accounts import canonical_account
from payonce.reconciliation.readers.values import decimal_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.reconciliation.readers.rows import Statement

NO_BALANCES = "it states no balances, so lines may be missing"
INTERIM = "it is an interim report: more may be booked before the day's statement"
MAX_REASON_CHARACTERS = 600


def judged(statement: Statement, reasons: Iterable[str] = (), *, bank_code: str | None = None) -> Statement:
    """Return the statement with its account in canonical form, and marked *unproved* where it does not prove itself.

    ``reasons`` are what the reader found amiss in it; the balances are looked at here. ``bank_code`` is the bank's BIC
    where the file states it.
    """
    found = tuple(dict.fromkeys([*reasons, *_of_balances(statement)]))
    written = statement.account
    return replace(
        statement,
        account=canonical_account(written, statement.currency, bank_code=bank_code),
        written_account=written,
        unproved="; ".join(found)[:MAX_REASON_CHARACTERS] or None,
    )


def _of_balances(statement: Statement) -> Iterable[str]:
    opening, closing = statement.opening_minor, statement.closing_minor
    if opening is None and closing is None:
        yield NO_BALANCES
    elif opening is None or closing is None:
        yield f"it states no {'opening' if opening is None else 'closing'} balance, so lines may be missing"
    else:
        booked = sum(line.amount_minor for line in statement.lines)
        if opening + booked != closing:
            stated, lines, made, ends = (
                decimal_text(amount, statement.currency) for amount in (opening, booked, opening + booked, closing)
            )
            yield (
                f"opening {stated} and {len(statement.lines)} lines of {lines} make {made}, not the closing {ends} "
                f"{statement.currency}; lines are missing or were changed"
            )
