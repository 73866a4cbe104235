"""What a file says line by line, as it may be shown to a person. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from payonce.domain.card_numbers import looks_like_card_number
from payonce.reconciliation.readers.values import plain

if TYPE_CHECKING:
    from payonce.reconciliation.readers.rows import GatewayRow, Statement, StatementLine

MAX_SHOWN_CHARACTERS: Final = 200
MASKED: Final = "(a text that may hold a card number is not shown)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLine:
    """What a line was read as. ``at`` is an ISO date of the bank, or an ISO time in UTC of the gateway.

    ``kind`` is a ``RowKind``, or ``in`` and ``out`` for a bank's line. ``amount_minor`` is signed, in ``currency``.
    """

    line: int
    at: str
    kind: str
    word: str
    amount_minor: int
    fee_minor: int | None
    currency: str
    reference: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLine:
    """What is wrong, where, and what to do. ``line`` is ``None`` for what concerns the file as a whole.

    ``excerpt`` are numbered lines of the file around it, as they may be shown.
    """

    line: int | None
    field: str | None
    problem: str
    to_do: str
    excerpt: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSum:
    """A statement in a line. Balances are ``None`` where the file does not state them."""

    account: str
    currency: str
    lines: int
    opening_minor: int | None
    closing_minor: int | None
    unproved: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineReading:
    """What a file says. It can be accepted if nothing is ``wrong``.

    ``is_bank`` is ``None`` for a file of no known format. ``lines`` are the first ``MAX_LINES`` of ``line_count``;
    with something wrong they are what the others would be read as, none if that can't be told. ``sums`` are
    (currency, lines, signed sum in minor units).
    """

    file_id: str
    size_bytes: int
    file_format: str | None
    is_bank: bool | None
    line_count: int = 0
    lines: tuple[ReadLine, ...] = ()
    wrong: tuple[WrongLine, ...] = ()
    sums: tuple[tuple[str, int, int], ...] = ()
    statements: tuple[StatementSum, ...] = ()
    notices: tuple[str, ...] = ()
    looked_at_all: bool = True


def shown_text(text: str, *, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """Return a text of a file as it may be shown: bounded, nothing invisible, no formula, and no card number."""
    text = text if len(text) <= limit else text[:limit] + "…"
    return MASKED if looks_like_card_number(text) else plain(text)


def line_of_gateway(row: GatewayRow) -> ReadLine:
    at = datetime.fromtimestamp(row.created_at_ms / 1000, UTC)
    return ReadLine(
        line=row.row_number,
        at=at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        kind=row.kind.value,
        word=shown_text(row.category or ""),
        amount_minor=row.amount_minor,
        fee_minor=row.fee_minor,
        currency=row.currency,
        reference=_reference(row.reference or row.payment_reference or row.transaction_id),
        text=_reference(row.payout_id or ""),
    )


def line_of_bank(line: StatementLine) -> ReadLine:
    return ReadLine(
        line=line.row_number,
        at=line.booking_date.isoformat(),
        kind="in" if line.amount_minor >= 0 else "out",
        word="",
        amount_minor=line.amount_minor,
        fee_minor=None,
        currency=line.currency,
        reference=_reference(", ".join(line.references)),
        text=shown_text(" ".join(filter(None, (line.counterparty, line.description)))),
    )


def _reference(text: str) -> str:
    # Ids of gateways and banks pass for card numbers too often to be hidden; a run compares and shows them, too.
    return plain(text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…")


def sum_of_statement(statement: Statement) -> StatementSum:
    return StatementSum(
        account=_reference(statement.written_account or statement.account),
        currency=statement.currency,
        lines=len(statement.lines),
        opening_minor=statement.opening_minor,
        closing_minor=statement.closing_minor,
        unproved=statement.unproved,
    )
