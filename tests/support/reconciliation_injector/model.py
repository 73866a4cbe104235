"""The words of the injector: payments, payouts, bank lines and what was planted in them. Amounts are minor units."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date

    from payonce.reconciliation.model import LedgerRow, RunSettings, Source
    from payonce.reconciliation.readers.rows import GatewayRow
    from payonce.reconciliation.taxonomy import BreakClass

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Shape(StrEnum):
    """What a payment consists of, so that a fault finds one that it fits."""

    SINGLE = "single"  # one charge
    CAPTURES = "captures"  # one payment captured in parts
    REFUNDED = "refunded"  # one charge and one refund of a part of it
    CONVERTED = "converted"  # one charge that the gateway converted
    OTHER = "other"  # a near-miss; no fault is planted there


@dataclass(slots=True, kw_only=True)
class Payment:
    """One payment as both sides hold it. In a clean world the rows of ``ledger`` and ``reported`` are in pairs."""

    shape: Shape
    gateway: str
    merchant_id: str
    payment_id: str
    gateway_payment_id: str | None
    payer: str
    currency: str
    ledger: list[LedgerRow] = field(default_factory=list)
    reported: list[GatewayRow] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class BankLine:
    """One line of an account. ``description`` is unique in the world and names the line in ``Planted.rows``."""

    account: str
    currency: str
    amount_minor: int
    booked_on: date
    description: str
    references: tuple[str, ...] = ()
    end_to_end_id: str | None = None


@dataclass(slots=True, kw_only=True)
class Payout:
    """A payout and the line it became; ``None`` while the bank has not booked it."""

    gateway: str
    row: GatewayRow
    paid_on: date
    line: BankLine | None


@dataclass(slots=True, kw_only=True)
class BankStatement:
    """A day of an account."""

    statement_id: str
    account: str
    currency: str
    day: date
    sequence: int
    opening_minor: int
    closing_minor: int
    lines: list[BankLine]


@dataclass(frozen=True, slots=True)
class RowName:
    """A row: by ``entry_id``, ``gateway|transaction_id``, the bank line's description or ``account|day number``."""

    source: Source
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One fault. The break has to have this class, a subject that begins like this, and all these rows as evidence."""

    break_class: BreakClass
    subject: tuple[str, ...]
    rows: tuple[RowName, ...]


@dataclass(slots=True, kw_only=True)
class Case:
    """What a run is fed with, and what it has to find."""

    seed: int
    settings: RunSettings
    ledger: list[LedgerRow]
    reported: dict[str, list[GatewayRow]]
    statements: list[BankStatement]
    planted: list[Planted]
