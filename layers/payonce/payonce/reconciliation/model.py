"""What a run takes and gives: ledger rows in; breaks, counts and sums out. Pure; amounts are integer minor units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.ids import content_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.taxonomy import BreakClass

BREAK_NAMESPACE = "payonce/break/v1"


class LedgerKind(StrEnum):
    """The movements of our ledger that a gateway reports too."""

    CHARGE = "charge"
    REFUND = "refund"


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
    positive, a refund negative; a reversal of either has the other sign and names the entry in ``reverses_entry_id``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeRule:
    """What a gateway may take of a charge: ``fixed_minor`` plus ``basis_points`` of it, within a tolerance."""

    gateway: str
    currency: str
    fixed_minor: int
    basis_points: int
    tolerance_minor: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run judges by. Times are in the unit of their name.

    ``as_of_ms``: the end of what is looked at; nothing that happened later is missed. ``in_transit_hours``: how long a
    movement may be on only one side. ``settlement_sla_hours``: from a charge to its availability. ``payout_sla_days``:
    from a payout to the bank's booking date. ``fx_tolerance_basis_points``: around the day's median rate.
    ``judged_days``: the last days, in which anomalies are looked for; what is earlier calibrates.
    """

    as_of_ms: int
    in_transit_hours: int = 24
    settlement_sla_hours: int = 24 * 7
    payout_sla_days: int = 5
    fx_tolerance_basis_points: int = 100
    judged_days: int = 7
    fees: tuple[FeeRule, ...] = ()
