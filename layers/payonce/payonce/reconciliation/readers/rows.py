"""The typed rows every reader returns. Amounts are integers in the minor unit of ISO 4217; there is no float.

Time: an instant is epoch milliseconds UTC and comes only from a source that states its zone. A bank's booking or value
date is a calendar date of the bank's own books: it is kept as a date and never converted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


class FileFormat(StrEnum):
    """The formats that are read; the value is stored with the file's id."""

    STRIPE_CSV = "stripe_csv"
    ADYEN_CSV = "adyen_csv"
    GENERIC_GATEWAY_CSV = "generic_gateway_csv"
    GENERIC_BANK_CSV = "generic_bank_csv"
    MAPPED_BANK_TABLE = "mapped_bank_table"
    CAMT = "camt"
    MT940 = "mt940"
    BAI2 = "bai2"
    OFX = "ofx"


class RowKind(StrEnum):
    """What a gateway's row is, whatever the gateway calls it."""

    CHARGE = "charge"
    REFUND = "refund"
    DISPUTE = "dispute"
    FEE = "fee"
    ADJUSTMENT = "adjustment"
    PAYOUT = "payout"


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """One movement of the merchant's balance at the gateway.

    ``amount_minor`` is signed as the balance sees it (a charge is positive, a refund or a payout negative),
    ``fee_minor`` is positive when it costs the merchant; ``net_minor`` is amount less fee; all are in ``currency``.
    ``gateway_payment_id`` is the payment the movement belongs to, as the gateway names it.
    ``presented_minor`` and ``presented_currency`` are what the payer saw, where the gateway converted it.
    """

    row_number: int
    transaction_id: str
    reference: str | None
    kind: RowKind
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    created_at_ms: int
    available_at_ms: int | None = None
    payout_id: str | None = None
    gateway_payment_id: str | None = None
    presented_minor: int | None = None
    presented_currency: str | None = None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One booked movement of a bank account: positive is money in.

    ``references`` are all identifiers the bank gives, without duplicates, in the file's order. ``end_to_end_id`` is set
    when exactly one is given: a batch has several, and none of them alone is the line's.
    """

    row_number: int
    amount_minor: int
    currency: str
    booking_date: date
    value_date: date | None
    references: tuple[str, ...] = ()
    end_to_end_id: str | None = None
    counterparty: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One account's lines, in one currency.

    ``unproved`` is ``None`` for a statement that proves itself: opening + lines = closing, and every control total of
    the file agrees. Else it says why the lines may be incomplete: they are matched, but nothing that rests on them
    closes a case. Balances are ``None`` where the file does not state them.
    ``account`` is in the canonical form of ``accounts.canonical_account``, ``written_account`` as the file writes it.
    ``sequence`` is the bank's number of the statement, where it has one; ``first_day`` and ``last_day`` are the dates
    of its balances.
    """

    statement_id: str
    account: str
    currency: str
    opening_minor: int | None
    closing_minor: int | None
    lines: tuple[StatementLine, ...]
    sequence: int | None = None
    first_day: date | None = None
    last_day: date | None = None
    unproved: str | None = None
    written_account: str | None = None


@dataclass(frozen=True, slots=True)
class ReconciliationFile:
    """A whole file that was read. ``file_id`` is the SHA-256 of its bytes: the same file has the same id."""

    file_id: str
    format: FileFormat
    gateway_rows: tuple[GatewayRow, ...] = ()
    statements: tuple[Statement, ...] = ()

    @property
    def unproved(self) -> tuple[str, ...]:
        """Why statements of the file do not prove themselves, each reason once, with the statement it is of."""
        return tuple(dict.fromkeys(f"{one.account}: {one.unproved}" for one in self.statements if one.unproved))
