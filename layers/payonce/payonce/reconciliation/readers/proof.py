"""The proof of a statement: its balances and its lines say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected

if TYPE_CHECKING:
    from payonce.reconciliation.readers.rows import Statement


def prove(statement: Statement, *, line: int | None, field: str) -> Statement:
    """Return the statement when opening + lines = closing and every line is in its currency.

    ``line`` and ``field`` are where the file states the closing balance. Raises ``FileRejected``.
    """
    for booked in statement.lines:
        if booked.currency != statement.currency:
            problem = f"the line is in {booked.currency}, the account in {statement.currency}"
            raise FileRejected(problem, line=booked.row_number, field="currency")
    if statement.opening_minor is None or statement.closing_minor is None:
        return statement
    booked_minor = sum(booked.amount_minor for booked in statement.lines)
    if statement.opening_minor + booked_minor != statement.closing_minor:
        raise FileRejected(
            f"opening {statement.opening_minor} and {len(statement.lines)} lines of {booked_minor} make "
            f"{statement.opening_minor + booked_minor}, not the closing {statement.closing_minor}, "
            f"in minor units of {statement.currency}; lines are missing or were changed",
            line=line,
            field=field,
        )
    return statement
