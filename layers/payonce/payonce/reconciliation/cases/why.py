"""Decides from idempotency records and their audit trail why a break arose: one reason of a closed list. Pure.

A break about one movement has one claim, a double charge has two. Reasons rest on stored facts only: a refused request
(a key reused while its record exists, 422) leaves none, and can't be a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.idempotency.audit import ENGINE_PRINCIPAL, AuditEntry, Transition
from payonce.idempotency.records import RecordStatus
from payonce.idempotency.window import MAX_WINDOW_SECONDS
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.idempotency.records import IdempotencyRecord

# The classes that requests and keys can cause. Fees, payouts and statements are between gateway and bank.
EXPLAINED = frozenset(
    {
        BreakClass.MISSING_IN_GATEWAY,
        BreakClass.MISSING_IN_LEDGER,
        BreakClass.ORPHAN_REFUND,
        BreakClass.DUPLICATE_CAPTURE,
        BreakClass.DOUBLE_CHARGE,
        BreakClass.DUPLICATE_POSTING,
        BreakClass.PAYLOAD_CONFLICT,
        BreakClass.AMOUNT_MISMATCH,
        BreakClass.CURRENCY_MISMATCH,
        BreakClass.STATUS_MISMATCH,
        BreakClass.REFUND_EXCEEDS_CAPTURE,
    }
)


class WhyReason(StrEnum):
    """The reason why a break arose."""

    KEY_REUSED = "key_reused"
    KEY_EXPIRED = "key_expired"
    NEW_KEY = "new_key"
    DIFFERENT_ORDERS = "different_orders"
    RESPONSE_LOST = "response_lost"
    TAKEN_OVER = "taken_over"
    STILL_OPEN = "still_open"
    RELEASED_BY_HAND = "released_by_hand"
    GIVEN_BACK = "given_back"
    NEVER_SUBMITTED = "never_submitted"
    AT_GATEWAY = "at_gateway"
    FORGOTTEN = "forgotten"


_R = WhyReason
TEXTS: Mapping[WhyReason, str] = MappingProxyType(
    {
        _R.KEY_REUSED: "The key was free again and was used with other content: two requests ran under one key.",
        _R.KEY_EXPIRED: "The request came again after its key had expired, and was taken for a new one.",
        _R.NEW_KEY: "One sale was sent under two keys. A retry has to repeat its key.",
        _R.DIFFERENT_ORDERS: "The two payments name different orders, so these may be two sales.",
        _R.RESPONSE_LOST: "The answer was lost: when the request ended, its outcome was not known.",
        _R.TAKEN_OVER: "The execution was cut off or lost its lease, and another one carried the request on.",
        _R.STILL_OPEN: "The request is not concluded: its outcome is not known yet, and recovery goes on asking.",
        _R.RELEASED_BY_HAND: "An operator gave the key back as not executed, and the gateway had executed it.",
        _R.GIVEN_BACK: "The request was given back as certainly not sent, and the gateway has it all the same.",
        _R.NEVER_SUBMITTED: "It bears no reference of payonce, so it was probably made past it: in the gateway's own "
        "dashboard, or by another system.",
        _R.AT_GATEWAY: "The request was sent once and its answer recorded: nothing here explains it, ask the gateway.",
        _R.FORGOTTEN: "Neither the key's record nor its trail is here: they are kept for a time only, or another "
        "installation sent it.",
    }
)


@dataclass(frozen=True, slots=True)
class Why:
    """Why a break arose: the reason, with a sentence for people."""

    reason: WhyReason

    @property
    def text(self) -> str:
        """Return the sentence that explains the reason."""
        return TEXTS[self.reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimFacts:
    """The stored facts about one claim. ``record`` and ``history`` are its key's, which may have had other claims too.

    ``history`` is in the order of claims and owners. ``booked_at_ms`` is when its movement was booked, if it was.
    """

    claim_id: str
    record_id: str
    record: IdempotencyRecord | None
    history: Sequence[AuditEntry]
    booked_at_ms: int | None = None

    @property
    def own(self) -> list[AuditEntry]:
        """Return the entries of this claim."""
        return [entry for entry in self.history if entry.claim_id == self.claim_id]

    @property
    def own_record(self) -> IdempotencyRecord | None:
        """Return the record if it is this claim's, else ``None``."""
        return self.record if self.record is not None and self.record.claim_id == self.claim_id else None

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the claim's request, "" if unknown."""
        if self.own_record is not None:
            return self.own_record.fingerprint
        return next((entry.fingerprint for entry in self.own if entry.fingerprint), "")

    @property
    def created_at_ms(self) -> int | None:
        """Return when it was claimed, to the second if only the trail tells."""
        if self.own_record is not None:
            return self.own_record.created_at_ms
        return next((e.at_ms for e in self.own if e.transition is Transition.CLAIMED), self.booked_at_ms)

    def went_through(self, *transitions: Transition, by_operator: bool | None = None) -> bool:
        """Return whether the claim made one of the transitions: by an operator (True), the engine (False) or either."""
        return any(
            entry.transition in transitions and by_operator in (None, entry.principal != ENGINE_PRINCIPAL)
            for entry in self.own
        )


def reason_of_claim(claim: ClaimFacts) -> WhyReason:
    """Return the reason why a movement of this claim is a break."""
    if claim.went_through(Transition.RELEASED, by_operator=True):
        return _R.RELEASED_BY_HAND
    if claim.went_through(Transition.RELEASED):
        return _R.GIVEN_BACK
    before = _claim_before(claim)
    if before is not None and before.fingerprint != claim.fingerprint:
        return _R.KEY_REUSED
    if before is not None and before.went_through(Transition.EXPIRED):
        return _R.KEY_EXPIRED
    record = claim.own_record
    if record is not None and record.status is not RecordStatus.COMPLETED:
        return _R.STILL_OPEN
    if claim.went_through(Transition.PARKED):
        return _R.RESPONSE_LOST
    if claim.went_through(Transition.TAKEN_OVER) or (record is not None and record.fence > 1):
        return _R.TAKEN_OVER
    return _R.FORGOTTEN if record is None and not claim.own else _R.AT_GATEWAY


def reason_of_pair(earlier: ClaimFacts, later: ClaimFacts, *, orders: tuple[str | None, str | None]) -> WhyReason:
    """Return the reason why one sale was charged by two claims. ``orders`` are the merchant's references of both."""
    if earlier.record_id == later.record_id:
        return reason_of_claim(later) if _claim_before(later) is not None else _R.FORGOTTEN
    if _had_expired(earlier, later):
        return _R.KEY_EXPIRED
    if _was_unanswered(earlier, later):
        return _R.RESPONSE_LOST
    return _R.DIFFERENT_ORDERS if orders[0] != orders[1] else _R.NEW_KEY


def _claim_before(claim: ClaimFacts) -> ClaimFacts | None:
    """Return the key's last earlier claim that had an effect; one that was merely released makes this a retry."""
    earlier: dict[str, None] = {}
    for entry in claim.history:
        if entry.claim_id == claim.claim_id:
            break
        earlier[entry.claim_id] = None
    for claim_id in reversed(earlier):
        one = ClaimFacts(claim_id=claim_id, record_id=claim.record_id, record=None, history=claim.history)
        if not one.went_through(Transition.RELEASED, by_operator=False):
            return one
    return None


def _had_expired(earlier: ClaimFacts, later: ClaimFacts) -> bool:
    began_ms = later.created_at_ms
    if began_ms is None:
        return False
    record = earlier.own_record
    if record is not None:
        return began_ms > record.expires_at_ms
    # The record is gone, and no key lives longer than this.
    ended_ms = earlier.created_at_ms
    return ended_ms is not None and began_ms > ended_ms + MAX_WINDOW_SECONDS * 1000


def _was_unanswered(earlier: ClaimFacts, later: ClaimFacts) -> bool:
    """Return whether the client sent the second request before it can have had the final answer to the first."""
    record = earlier.own_record
    if record is not None and record.status is not RecordStatus.COMPLETED:
        return True
    if earlier.went_through(Transition.PARKED, Transition.TAKEN_OVER):
        return True
    done = next((entry.at_ms for entry in earlier.own if entry.transition is Transition.COMPLETED), None)
    began_ms = later.created_at_ms
    return done is not None and began_ms is not None and began_ms < done
