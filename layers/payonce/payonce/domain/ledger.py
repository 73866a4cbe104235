"""Double-entry journal entries, balanced by construction.

Entries are append-only; a correction is a new entry. An authorization books a hold in two memorandum accounts, and a
capture or void reverses it, so that money promised and money moved are never confused.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from payonce.domain.ids import content_id, journal_entry_id

CORRECTION_NAMESPACE = "payonce/correction/v1"
MERCHANT_PAYABLE = "merchant_payable"
# Money at a gateway that nobody has claimed: a charge missing from our books, until it is refunded.
RECONCILIATION_SUSPENSE = "reconciliation_suspense"
AUTHORIZATION_HOLD = "authorization_hold"
AUTHORIZATION_COMMITMENT = "authorization_commitment"


def gateway_receivable(gateway: str) -> str:
    """Return the account that holds what ``gateway`` owes us."""
    return f"gateway_receivable:{gateway}"


def gateway_disputed(gateway: str) -> str:
    """Return the account that holds what ``gateway`` has withdrawn for disputes that are not lost."""
    return f"gateway_disputed:{gateway}"


@dataclass(frozen=True, slots=True)
class Posting:
    """One line: a positive amount (debit) or a negative one (credit) in minor units on an account."""

    account: str
    amount_minor: int


class MovementKind(StrEnum):
    """The movements of money that a gateway's report contains too.

    ``CHARGE_REVERSAL``: the payer's bank took a charge back, in whole or in part. ``DISPUTE``: the gateway withdrew
    money for a dispute, or gave it back.
    """

    CHARGE = "charge"
    REFUND = "refund"
    CHARGE_REVERSAL = "charge_reversal"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A movement of money at ``gateway``, in the terms in which the gateway's report can be compared with it.

    ``gateway_payment_id`` is the gateway's id of the charge. ``payer`` is the payment-method token, or ``None`` for a
    correction's entry, which has no payer. ``reverses_entry_id`` is set on an entry that reverses an earlier one; such
    an entry keeps the kind of the earlier one. ``gateway_refund_id`` is the gateway's id of a refund that was made
    there, by which it is booked once.
    """

    kind: MovementKind
    gateway: str
    gateway_reference: str
    gateway_payment_id: str | None
    payer: str | None
    idempotency_record_id: str | None = None
    reverses_entry_id: str | None = None
    gateway_refund_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Postings in one currency that sum to zero. Raises ``ValueError`` when they do not, or when there are none.

    ``movement`` is set when money moved at a gateway; holds have none.

    A correction's entry names its ``break_id``. Its ``version`` then counts the entries of that correction, not the
    changes of the payment.
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
        """The id of this entry. It is a function of the change alone."""
        if self.break_id is not None:
            return content_id("je", CORRECTION_NAMESPACE, self.merchant_id, self.break_id, str(self.version))
        return journal_entry_id(self.merchant_id, self.payment_id, self.version)

    @property
    def moved_minor(self) -> int:
        """By how much this entry increases (or, if negative, decreases) what the gateway owes us."""
        return 0 if self.movement is None else self.by_account().get(gateway_receivable(self.movement.gateway), 0)

    def by_account(self) -> dict[str, int]:
        """Return the net amount per account, including accounts that net to zero."""
        totals: dict[str, int] = {}
        for posting in self.postings:
            totals[posting.account] = totals.get(posting.account, 0) + posting.amount_minor
        return totals


def transfer(debit: str, credit: str, amount_minor: int) -> tuple[Posting, Posting]:
    """Return the two postings that move ``amount_minor`` (positive) from ``credit`` to ``debit``."""
    return Posting(debit, amount_minor), Posting(credit, -amount_minor)


def hold(amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings of an authorization: the issuer has promised the amount."""
    return transfer(AUTHORIZATION_HOLD, AUTHORIZATION_COMMITMENT, amount_minor)


def release_hold(amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings that end a hold, because the promise was used or given up."""
    return transfer(AUTHORIZATION_COMMITMENT, AUTHORIZATION_HOLD, amount_minor)


def charge(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings of a capture: the gateway owes us the amount, and we owe it to the merchant."""
    return transfer(gateway_receivable(gateway), MERCHANT_PAYABLE, amount_minor)


def refund(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings of a refund: the amount went back to the payer."""
    return transfer(MERCHANT_PAYABLE, gateway_receivable(gateway), amount_minor)


def refund_returned(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings of a refund that came back: the gateway owes us the amount again, and we the merchant."""
    return reversed_postings(refund(gateway, amount_minor))


def charge_reversal(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings of a late reversal: the payer's bank took the amount back, and the merchant bears it."""
    return transfer(MERCHANT_PAYABLE, gateway_receivable(gateway), amount_minor)


def dispute_postings(
    gateway: str, *, before_minor: int, was_lost: bool, after_minor: int, is_lost: bool
) -> tuple[Posting, ...]:
    """Return the postings that bring a dispute's money from what was booked of it to what is withdrawn now.

    What is withdrawn is missing at the gateway. It stands as disputed money until the dispute is lost, and is the
    merchant's loss then. The postings are the difference of the two positions, so that entries add up to the last
    position by whatever steps it was reached: also where a decision is taken back. Empty when nothing has moved.
    """
    totals: dict[str, int] = {}
    for sign, withdrawn_minor, lost in ((-1, before_minor, was_lost), (1, after_minor, is_lost)):
        for account, amount_minor in (
            (MERCHANT_PAYABLE if lost else gateway_disputed(gateway), withdrawn_minor),
            (gateway_receivable(gateway), -withdrawn_minor),
        ):
            totals[account] = totals.get(account, 0) + sign * amount_minor
    return tuple(Posting(account, amount_minor) for account, amount_minor in sorted(totals.items()) if amount_minor)


def recognition(gateway: str, amount_minor: int) -> tuple[Posting, ...]:
    """Return the postings of a charge missing from our books: the gateway owes it to us, and its owner is unknown."""
    return transfer(gateway_receivable(gateway), RECONCILIATION_SUSPENSE, amount_minor)


def reversed_postings(postings: tuple[Posting, ...]) -> tuple[Posting, ...]:
    """Return the postings that undo ``postings``."""
    return tuple(Posting(posting.account, -posting.amount_minor) for posting in postings)
