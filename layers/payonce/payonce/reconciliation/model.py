"""What a run takes and gives: ledger rows in; breaks, counts and sums out. Pure; amounts are integer minor units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.ids import content_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.manual import Match, OwnRule, Tolerance
    from payonce.reconciliation.taxonomy import BreakClass

BREAK_NAMESPACE = "payonce/break/v1"


class LedgerKind(StrEnum):
    """The movements of our ledger that a gateway reports too."""

    CHARGE = "charge"
    REFUND = "refund"
    CHARGE_REVERSAL = "charge_reversal"
    DISPUTE = "dispute"


class LedgerState(StrEnum):
    """What we hold of a movement. Only ``booked`` moved money."""

    BOOKED = "booked"
    AUTHORIZED = "authorized"
    IN_DOUBT = "in_doubt"
    DECLINED = "declined"
    FAILED = "failed"
    VOIDED = "voided"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One movement as we hold it.

    ``entry_id`` is unique. ``amount_minor`` is signed as the merchant's balance at the gateway sees it: a charge is
    positive, a refund or the reversal of a charge negative, and what was withdrawn for a dispute negative until it is
    given back. A correction that takes an entry back has the other sign and names it in ``reverses_entry_id``.
    ``reference`` is what we gave the gateway. ``payer`` is the payment-method token, never a card number.
    ``idempotency_record_id`` leads to the claim, for the *why*.
    """

    entry_id: str
    merchant_id: str
    payment_id: str
    gateway: str
    kind: LedgerKind
    state: LedgerState
    reference: str
    amount_minor: int
    currency: str
    booked_at_ms: int
    gateway_payment_id: str | None = None
    payer: str | None = None
    reverses_entry_id: str | None = None
    idempotency_record_id: str | None = None


class Source(StrEnum):
    """Where a row of a run comes from."""

    LEDGER = "ledger"
    GATEWAY = "gateway"
    BANK = "bank"
    STATEMENT = "statement"


class Outcome(StrEnum):
    """Where each row ends, exactly once."""

    MATCHED = "matched"
    BREAK = "break"
    EXCLUDED = "excluded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A row that shows the break. ``row_key`` identifies it by its content; a file's name or order is no part of it."""

    source: Source
    row_key: str
    fields: Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """One discrepancy. ``break_id`` follows from class and subject alone, so every run gives it the same.

    ``subject`` are the keys that name what it is about, such as gateway and reference, in the order of the class.
    ``amount_minor`` is the money at stake, not negative, in ``currency``. ``occurred_at_ms`` is the latest time of its
    rows. ``surplus_gateway_payment_id`` is the charge to give back, where the class has one.
    """

    break_class: BreakClass
    subject: tuple[str, ...]
    amount_minor: int
    currency: str
    occurred_at_ms: int
    merchant_id: str | None = None
    payment_id: str | None = None
    gateway: str | None = None
    surplus_gateway_payment_id: str | None = None
    evidence: tuple[Evidence, ...] = ()
    why: str | None = None

    @property
    def break_id(self) -> str:
        """``brk_`` and the SHA-256 of class and subject."""
        return break_id_of(self.break_class, self.subject)


def break_id_of(break_class: BreakClass, subject: tuple[str, ...]) -> str:
    """Return the one id of this break, whoever finds it and however often."""
    return content_id("brk", BREAK_NAMESPACE, break_class.value, *subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Rows and signed sum of one (source, currency, outcome)."""

    source: Source
    currency: str
    outcome: Outcome
    rows: int
    amount_minor: int


class OpenReason(StrEnum):
    """Why a row is neither matched nor a break. Each such row is listed as an open item with its reason."""

    IN_TRANSIT = "in_transit"
    """The other side may still tell of it."""
    NOT_REPORTED_YET = "not_reported_yet"
    """It came after the last movement that the gateway's reports of its currency tell of."""
    REPORTED_BEFORE = "reported_before"
    """Our ledger begins before the gateway's reports: it is in earlier ones."""
    NOT_BOOKED = "not_booked"
    """Our ledger holds that it moved no money."""
    TAKEN_BACK = "taken_back"
    """Our ledger has taken it back itself: an entry and its reversal."""
    GIVEN_BACK = "given_back"
    """A surplus at the gateway, and the refund by which somebody gave it back there."""
    UNCAPTURED = "uncaptured"
    """The part never captured of a charge that no row tells of."""
    FEE = "fee"
    """A fee of the gateway that belongs to no payment; our ledger does not have those."""
    RESERVE = "reserve"
    """Held back or released by the gateway."""
    TRANSFER = "transfer"
    """Moved between balances at the gateway."""
    CONVERSION = "conversion"
    """One side of a conversion between balances."""
    ADJUSTMENT = "adjustment"
    """Anything else that moved the balance."""
    GATEWAY_NOT_IN_LEDGER = "gateway_not_in_ledger"
    """The report's gateway is none of the ledger's, which has one without a report: probably a misspelt name."""
    NO_STATEMENT = "no_statement"
    """A payout in a currency of which no bank file tells."""
    CONVERTED = "converted"
    """A payout and the line that names it, in another currency: neither the entry nor the policy has a rate."""
    TOLD_AGAIN = "told_again"
    """A bank's line that is told elsewhere, too: in another format, a notification, or an export that overlaps."""
    CAME_BACK = "came_back"
    """A bank's line and the return of it, while the payout came otherwise."""
    NO_PAYOUT = "no_payout"
    """A bank's line that says it is a gateway's, which no payout explains."""
    OTHER_MOVEMENT = "other_movement"
    """A bank's line that says nothing of a gateway."""
    FIRST_STATEMENT = "first_statement"
    """There is no statement before it to compare with."""
    NOT_COMPARABLE = "not_comparable"
    """A notification, or a statement without balances that prove it."""
    NO_REPORT = "no_report"
    """No report of its gateway was given, while there is one of a gateway that the ledger does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """A row that is neither matched nor a break. ``label`` says what it is in its source's own word or reference.

    ``reason`` is a value of ``OpenReason``, or ``rule: `` and the label of one of the operator's own rules.
    """

    source: Source
    row_key: str
    reason: str
    currency: str
    amount_minor: int
    at_ms: int
    gateway: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceMovement:
    """What rows of one kind moved a gateway's balance by, and the fees in them. ``category`` is the gateway's word."""

    gateway: str
    kind: str
    category: str
    currency: str
    rows: int
    amount_minor: int
    fee_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRule:
    """What a gateway may take of a charge or a refund: ``fixed_minor`` plus ``basis_points`` of it, within a tolerance.

    It applies to rows of its gateway, currency and ``kind`` that meet each condition: the payment method; one of the
    countries; an amount from ``from_minor`` up to below ``until_minor``; a time from ``from_ms`` up to below
    ``until_ms``. Of several rules the first that applies is the one.
    """

    gateway: str
    currency: str
    fixed_minor: int
    basis_points: int
    tolerance_minor: int = 1
    kind: LedgerKind = LedgerKind.CHARGE
    payment_method: str | None = None
    card_countries: tuple[str, ...] = ()
    from_minor: int | None = None
    until_minor: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_conditional(self) -> bool:
        """Whether it applies to some rows of its gateway, currency and kind only."""
        bounds = (self.from_minor, self.until_minor, self.from_ms, self.until_ms)
        return bool(self.payment_method or self.card_countries) or any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class FxRate:
    """The rate of one day: how many millionths of a minor unit of ``currency`` one of ``presented_currency`` is."""

    presented_currency: str
    currency: str
    day_number: int
    rate_millionths: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run judges by. Times are in the unit of their name.

    ``as_of_ms``: the end of what is looked at; nothing that happened later is missed. ``in_transit_hours``: how long a
    movement may be on only one side. ``settlement_sla_hours``: from a charge to its availability; a bank debit takes
    five business days, which are eleven over Easter. ``payout_sla_days``: from a payout to the bank's booking date.
    ``dispute_days``: a dispute that nobody has decided after so many days is
    lost. ``fx_tolerance_basis_points``: around the rate of ``rates``, the row's own, or the median of those near it.
    ``judged_days``: the last days, in which bursts and outliers are looked for; what is earlier calibrates. Double
    charges are looked for in all days. ``tolerances``, ``rules`` and ``matches`` are what people decided beforehand.
    """

    as_of_ms: int
    in_transit_hours: int = 24
    settlement_sla_hours: int = 24 * 11
    payout_sla_days: int = 5
    dispute_days: int = 120
    fx_tolerance_basis_points: int = 100
    judged_days: int = 7
    fees: tuple[FeeRule, ...] = ()
    rates: tuple[FxRate, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()
    rules: tuple[OwnRule, ...] = ()
    matches: tuple[Match, ...] = ()
