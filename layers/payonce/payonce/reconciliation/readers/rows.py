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
    PAYPAL_CSV = "paypal_csv"
    BRAINTREE_CSV = "braintree_csv"
    MOLLIE_CSV = "mollie_csv"
    GOCARDLESS_CSV = "gocardless_csv"
    KLARNA_CSV = "klarna_csv"
    CHECKOUT_CSV = "checkout_csv"
    GENERIC_GATEWAY_CSV = "generic_gateway_csv"
    GENERIC_BANK_CSV = "generic_bank_csv"
    MAPPED_BANK_TABLE = "mapped_bank_table"
    CAMT = "camt"
    MT940 = "mt940"
    BAI2 = "bai2"
    OFX = "ofx"


class RowKind(StrEnum):
    """What a gateway's row is, whatever the gateway calls it: its own word is kept in ``GatewayRow.category``.

    A reader gives the narrowest kind that the gateway's documentation allows. A word that it does not know is an
    ``ADJUSTMENT`` and a notice of the file: no row is lost and no file is refused for a new word.
    """

    # Movements that our ledger has too. The reversals stand under the reference of what they take back.
    CHARGE = "charge"
    """Money of a payer was captured or settled: positive."""
    UNCAPTURED = "uncaptured"
    """The part of a charge that was authorised and never captured is taken out again: negative. Nothing has failed."""
    CHARGE_REVERSAL = "charge_reversal"
    """A charge failed after it was booked, or its settlement was reversed: negative, the money is gone."""
    REFUND = "refund"
    """Money was paid back to a payer, or paid out to one: negative."""
    REFUND_REVERSAL = "refund_reversal"
    """A refund failed or bounced: positive, the payer does not have the money."""

    # A dispute's life. The rows stand under the reference of the charge that is disputed.
    DISPUTE = "dispute"
    """The disputed money was taken: negative."""
    DISPUTE_REVERSAL = "dispute_reversal"
    """It was given back, because the dispute was won or withdrawn: positive."""
    DISPUTE_LOST = "dispute_lost"
    """It was taken for good, after a defence (a second chargeback): negative."""

    # What our ledger does not have. It is listed, and moves the balance.
    FEE = "fee"
    """The gateway's own fees, network costs and taxes on them, that are no part of a payment's row."""
    RESERVE = "reserve"
    """Money that the gateway holds back (negative) or releases (positive)."""
    TRANSFER = "transfer"
    """Money between balances at the gateway: platform fees and earnings, connected accounts, top-ups."""
    CONVERSION = "conversion"
    """One side of a conversion between two balances of different currencies."""
    ADJUSTMENT = "adjustment"
    """Anything else that moves the balance."""

    # The bank's side has it.
    PAYOUT = "payout"
    """Money sent to the bank account (negative), or come back from there (positive)."""


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """One movement of the merchant's balance at the gateway.

    ``amount_minor`` is signed as the balance sees it (a charge is positive, a refund or a payout negative),
    ``fee_minor`` is positive when it costs the merchant; ``net_minor`` is amount less fee; all are in ``currency``.
    ``category`` is the gateway's own word for the row, as it writes it.

    Names, from the narrowest to the widest. ``transaction_id`` is unique to the row at the gateway and the same in
    every report. ``gateway_object_id`` is what moved: the charge, capture, refund or dispute. ``reference`` is what we
    gave the gateway for this movement (a capture's own, a refund's own), else what we gave for its payment;
    ``payment_reference`` is what we gave for its payment. ``gateway_charge_id`` is the charge that it belongs to, where
    the gateway tells charge and payment apart, ``gateway_payment_id`` the payment.

    ``presented_minor`` and ``presented_currency`` are what the payer saw, signed like ``amount_minor``, where the
    gateway converted it; ``rate_millionths`` is the rate that the row itself states: of one presented minor unit in
    millionths of one of ``currency``.
    ``payment_method`` (lower case, as the gateway writes it: ``card``, ``visa``, ``sepa_debit``) and ``card_country``
    (ISO 3166, two capitals) are what a fee may depend on.
    ``payout_id`` is the payout that the row is paid out in. Of a payout's own row ``gateway_object_id`` is the payout
    that it is or takes back, where that is another one. ``payout_reference`` is what a bank may call that payout, and
    ``payout_at_ms`` when it is sent, where the row states it.
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
    category: str | None = None
    gateway_charge_id: str | None = None
    gateway_object_id: str | None = None
    payment_reference: str | None = None
    rate_millionths: int | None = None
    payment_method: str | None = None
    card_country: str | None = None
    payout_reference: str | None = None
    payout_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One booked movement of a bank account: positive is money in.

    ``references`` are all identifiers the bank gives, without duplicates, in the file's order. ``end_to_end_id`` is set
    when exactly one is given: a batch has several, and none of them alone is the line's. ``sent_minor`` and
    ``sent_currency`` are what was sent, where the file has elements for it: before charges, or in another currency.
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
    sent_minor: int | None = None
    sent_currency: str | None = None


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
    """A whole file that passed its checks. ``file_id`` is the SHA-256 of its bytes: the same file has the same id.

    ``notices`` say in a sentence each what was read in a way that its sender should know of, such as an unknown word.
    """

    file_id: str
    format: FileFormat
    gateway_rows: tuple[GatewayRow, ...] = ()
    statements: tuple[Statement, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def unproved(self) -> tuple[str, ...]:
        """Why statements of the file do not prove themselves, each reason once, with the statement it is of."""
        return tuple(dict.fromkeys(f"{one.account}: {one.unproved}" for one in self.statements if one.unproved))
