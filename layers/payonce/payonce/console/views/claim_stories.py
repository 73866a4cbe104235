"""Finds the claims of a payment and of its operations, with their records and trails, by a bounded number of reads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from payonce.domain.errors import StoreUnavailable
from payonce.domain.ids import time_of_id
from payonce.domain.payment import WAITING, OperationStatus, PaymentStatus
from payonce.payments.settlement import settlement_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.console.views.sources import Sources
    from payonce.domain.ledger import JournalEntry
    from payonce.domain.payment import Payment
    from payonce.idempotency.audit import AuditEntry
    from payonce.idempotency.records import IdempotencyRecord

MOST_HISTORIES: Final = 8  # claims of which the trail is shown; a payment has two or three
MOST_ENTRIES: Final = 100  # of a claim's trail
# A claim that booked nothing is looked for in the trail at the time in its id: see reconciliation.cases.explain.
SEARCH_BEFORE_MS, SEARCH_AFTER_MS = 2_000, 10_000
MOST_SEARCHED: Final = 500
MOST_SEARCHES: Final = 2
_KEYS_AT_ONCE: Final = 100
_UNDECIDED = frozenset({OperationStatus.IN_DOUBT.value, OperationStatus.PROCESSING.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A capture, void or refund as it is stored. ``kind`` is one of these; ``status`` an ``OperationStatus``."""

    operation_id: str
    kind: str
    status: str
    amount_minor: int
    reference: str
    attempts: int
    decline_code: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimStory:
    """A claim: its record as it is stored now (``None`` where it was released or deleted), and its trail."""

    record_id: str
    record: IdempotencyRecord | None
    history: tuple[AuditEntry, ...]

    @property
    def operation(self) -> str:
        """The operation of the API, or of payonce's own, that the claim is for."""
        return self.record_id.rsplit("#", 2)[1]


def record_ids_of(
    sources: Sources,
    merchant_id: str,
    payment_id: str,
    payment: Payment | None,
    entries: Sequence[JournalEntry],
    operations: Sequence[Operation],
    notes: list[str],
) -> list[str]:
    """Return the records of the payment's claims: those that the journal names, open ones, and what the trail finds."""
    booked = {
        entry.movement.gateway_reference: entry.movement.idempotency_record_id
        for entry in entries
        if entry.movement is not None and entry.movement.idempotency_record_id
    }
    found = dict.fromkeys(booked.values())
    open_ones = [each.operation_id for each in operations if each.status in _UNDECIDED]
    if payment is None or payment.status is PaymentStatus.IN_DOUBT:
        open_ones.insert(0, payment_id)
    for claim_id in open_ones[:MOST_HISTORIES]:
        open_id = _open(sources, claim_id, notes)
        found |= {} if open_id is None or not open_id.startswith(f"{merchant_id}#") else {open_id: None}
    unknown = [] if payment is None or f"{payment_id}-" in "".join(booked) or payment_id in open_ones else [payment_id]
    unknown += [
        each.operation_id for each in operations if each.reference not in booked and each.operation_id not in open_ones
    ]
    for claim_id in unknown[:MOST_SEARCHES]:
        found |= dict.fromkeys(_in_trail(sources, merchant_id, claim_id, notes))
    settled = [payment_id] if payment is not None and (payment.status in WAITING or payment.version > 1) else []
    settled += [each.operation_id for each in operations]
    return [*found, *(settlement_id(merchant_id, identity) for identity in settled[:MOST_HISTORIES])]


def _open(sources: Sources, claim_id: str, notes: list[str]) -> str | None:
    try:
        return sources.store.open_claim(claim_id)
    except StoreUnavailable as error:
        notes.append(f"The open claim was not found: {error.detail}")
        return None


def _in_trail(sources: Sources, merchant_id: str, claim_id: str, notes: list[str]) -> list[str]:
    made_at_ms = time_of_id(claim_id)
    near = islice(
        sources.trail.entries(
            from_ms=made_at_ms - SEARCH_BEFORE_MS, until_ms=made_at_ms + SEARCH_AFTER_MS, scope=merchant_id
        ),
        MOST_SEARCHED,
    )
    seen = 0
    for entry in near:
        seen += 1
        if entry.claim_id == claim_id:
            return [entry.record_id]
    if seen == MOST_SEARCHED:
        notes.append(
            f"The key of {claim_id} is not shown: too many claims were made in the same seconds. Look it up on Keys."
        )
    return []


def claims_of(sources: Sources, record_ids: Sequence[str]) -> tuple[ClaimStory, ...]:
    ids = list(dict.fromkeys(record_ids))[:_KEYS_AT_ONCE]
    if not ids:
        return ()
    records = {record.record_id: record for record in sources.store.get_many(ids)}
    histories = dict(
        zip(
            ids[:MOST_HISTORIES],
            sources.each(lambda one: sources.trail.history(one, limit=MOST_ENTRIES), ids[:MOST_HISTORIES]),
            strict=True,
        )
    )
    stories = [ClaimStory(record_id=one, record=records.get(one), history=tuple(histories.get(one, ()))) for one in ids]
    return tuple(story for story in stories if story.record is not None or story.history)
