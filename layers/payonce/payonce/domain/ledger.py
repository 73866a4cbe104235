"""Double-entry journal entries, balanced by construction.

An entry is only ever added. A correction is a new entry. Holds are booked in two memorandum accounts when a payment is
authorized and reversed when it is captured or voided, so that money promised and money moved can't be confused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from payonce.domain.ids import content_id, journal_entry_id

CORRECTION_NAMESPACE = "payonce/correction/v1"
MERCHANT_PAYABLE = "merchant_payable"
# What a gateway holds and nobody has claimed: a charge that our books did not know, until it is given back.
RECONCILIATION_SUSPENSE = "reconciliation_suspense"
AUTHORIZATION_HOLD = "authorization_hold"
AUTHORIZATION_COMMITMENT = "authorization_commitment"


def gateway_receivable(gateway: str) -> str:
    """Return the account of what ``gateway`` owes us."""
    return f"gateway_receivable:{gateway}"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line: a positive amount (debit) or a negative one (credit) in minor units on an account."""

    account: str
    amount_minor: int


class MovementKind(StrEnum):
    """The two movements of money that a gateway reports too."""

    CHARGE = "charge"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """What a journal entry says that ``gateway`` moved, in the words by which its report can be compared with it.

    ``gateway_payment_id`` is the gateway's id of the charge, ``payer`` the payment-method token, ``None`` where nobody
    bought anything: what a correction books. ``reverses_entry_id`` is set on an entry that takes back an earlier one,
    whose kind it keeps.
    """

    kind: MovementKind
    gateway: str
    gateway_reference: str
    gateway_payment_id: str | None
    payer: str | None
    idempotency_record_id: str | None = None
    reverses_entry_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Postings in one currency that sum to zero. Raises ``ValueError`` when they don't, or when there are none.

    ``movement`` is set where money moved at a gateway, not for holds.

    An entry of a correction names its ``break_id``; its ``version`` then counts the entries of that correction, and not
    the changes of the payment.
    """

    merchant_id: str
    payment_id: str
    version: int
    currency: str
    description: str
    booked_at_ms: int
    postings: tuple[Posting, ...]
    break_id: str | None = None
    movement: Movement | None = None

    def __post_init__(self) -> None:
        if not self.postings or any(posting.amount_minor == 0 for posting in self.postings):
            raise ValueError("a journal entry needs postings, and none of zero")
        if sum(posting.amount_minor for posting in self.postings) != 0:
            raise ValueError("the postings of a journal entry must sum to zero")
        if self.movement is not None and self.moved_minor == 0:
            raise ValueError("a movement needs a posting on its gateway's account")

    @property
    def entry_id(self) -> str:
        """The id that every computation of this entry agrees on."""
        if self.break_id is not None:
            return content_id("je", CORRECTION_NAMESPACE, self.merchant_id, self.break_id, str(self.version))
        return journal_entry_id(self.merchant_id, self.payment_id, self.version)

    @property
    def moved_minor(self) -> int:
        """What the gateway owes us more (or, negative, less) because of this entry."""
        return 0 if self.movement is None else self.by_account().get(gateway_receivable(self.movement.gateway), 0)

    def by_account(self) -> dict[str, int]:
        """Return the net amount per account, accounts that net to zero included."""
        totals: dict[str, int] = {}
        for posting in self.postings:
            totals[posting.account] = totals.get(posting.account, 0) + posting.amount_minor
        return totals


def transfer(debit: str, credit: str, amount_minor: int) -> tuple[Posting, Posting]:
    """Return the two postings that move ``amount_minor`` (positive) from ``credit`` to ``debit``."""
    return Posting(debit, amount_minor), Posting(credit, -amount_minor)


def hold(amount_minor: int) -> tuple[Posting, ...]:
    """An authorization: the issuer has promised the amount."""
    return transfer(AUTHORIZATION_HOLD, AUTHORIZATION_COMMITMENT, amount_minor)


def release_hold(amount_minor: int) -> tuple[Posting, ...]:
    """The promise is used up or given back."""
    return transfer(AUTHORIZATION_COMMITMENT, AUTHORIZATION_HOLD, amount_minor)


def charge(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Money captured: the gateway owes it to us, we owe it to the merchant."""
    return transfer(gateway_receivable(gateway), MERCHANT_PAYABLE, amount_minor)


def refund(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Money given back to the payer."""
    return transfer(MERCHANT_PAYABLE, gateway_receivable(gateway), amount_minor)


def recognition(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """A charge that the gateway made and our books lack: it owes us the money, and we owe it to nobody known."""
    return transfer(gateway_receivable(gateway), RECONCILIATION_SUSPENSE, amount_minor)


def reversed_postings(postings: tuple[Posting, ...]) -> tuple[Posting, ...]:
    """Return the postings that undo ``postings``."""
    return tuple(Posting(posting.account, -posting.amount_minor) for posting in postings)
