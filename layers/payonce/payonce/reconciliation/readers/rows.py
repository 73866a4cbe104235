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
    CAMT = "camt"
    MT940 = "mt940"
    BAI2 = "bai2"


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
    """One account's lines, in one currency. Where both balances are set, opening + lines = closing was checked.

    camt.054 notifies of single movements and has no balances; BAI2 may leave them out: then they are ``None``.
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


@dataclass(frozen=True, slots=True)
class ReconciliationFile:
    """A whole file that passed its checks. ``file_id`` is the SHA-256 of its bytes: the same file has the same id."""

    file_id: str
    format: FileFormat
    gateway_rows: tuple[GatewayRow, ...] = ()
    statements: tuple[Statement, ...] = ()
