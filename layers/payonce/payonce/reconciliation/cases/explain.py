"""Collects the facts from which ``why`` decides a reason, with a bounded number of reads. It never fails a run."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError
from payonce.domain.ids import ID_PATTERN, time_of_id
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.payments.journal import entries_of
from payonce.payments.stored_payments import find_payments
from payonce.reconciliation.cases.why import (
    EXPLAINED,
    ClaimFacts,
    Why,
    WhyReason,
    reason_of_claim,
    reason_of_pair,
)
from payonce.reconciliation.model import Source
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.audit import AuditTrail
    from payonce.idempotency.open_claims import OpenClaims
    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.model import Break, Evidence

    type Explain = Callable[[Break], Why | None]

# With up to about 50 reads of 5 ms per break, this costs a run a minute at most. On a day with more new breaks
# they have a common cause, which no single key's record shows.
MAX_EXPLAINED_PER_RUN = 200
MAX_JOURNAL_ENTRIES = 100  # per payment, which has a handful
MAX_HISTORY_ENTRIES = 50  # per key: a claim in doubt may be taken over often, but its first and last entries suffice
# The window in which a claim is searched by the time in its id: an id is made just before the claim is stored, and the
# stream's stamps are in seconds.
SEARCH_BEFORE_MS, SEARCH_AFTER_MS = 2_000, 10_000
MAX_SEARCHED_ENTRIES = 1_000  # trail entries; for a merchant with more in twelve seconds the search gives up
MAX_OPEN_CLAIMS = 100  # per shard of the open leases, and to be read: a round trip each
# A reference of ours: the operation's id, which is also its claim's id, and the attempt.
OURS = re.compile(rf"((?:pay|cap|void|re)_{ID_PATTERN})-[0-9]+", re.ASCII)
# A correction's reference is derived from its break, not from its claim.
_CORRECTIONS = re.compile(r"cor_[0-9a-f]{40}-[0-9]+", re.ASCII)
CLOCK_SLACK_MS = 86_400_000  # for a gateway's clock skew, and for reports with dates but no times


class Explainer:
    """Explains why breaks arose, from payments, the journal, idempotency records and the audit trail."""

    def __init__(
        self, *, database: Database, store: IdempotencyStore, open_claims: OpenClaims, trail: AuditTrail
    ) -> None:
        self._database = database
        self._store = store
        self._open_claims = open_claims
        self._trail = trail

    def for_run(self) -> Explain:
        """Return a function that explains its first ``MAX_EXPLAINED_PER_RUN`` breaks and returns ``None`` for the rest.

        It never raises: if a store fails, the break has no explanation, and the run still records its cases.
        """
        left = MAX_EXPLAINED_PER_RUN

        def explain(found: Break) -> Why | None:
            nonlocal left
            if found.break_class not in EXPLAINED or left == 0:
                return None
            left -= 1
            try:
                return self.explain(found)
            except PayonceError:
                return None

        return explain

    def explain(self, found: Break | Case) -> Why | None:
        """Return why the break arose, ``None`` for a class unrelated to keys. Raises ``StoreUnavailable``."""
        if found.break_class not in EXPLAINED:
            return None
        if found.break_class is BreakClass.DOUBLE_CHARGE:
            return self._double_charge(found)
        reference = found.subject[1] if len(found.subject) > 1 else ""
        if _CORRECTIONS.fullmatch(reference):
            return self._correction(found, reference)
        ours = OURS.fullmatch(reference)
        # An id that looks like ours but carries a future time is not ours.
        if ours is None or time_of_id(ours[1]) > found.occurred_at_ms + CLOCK_SLACK_MS:
            return Why(WhyReason.NEVER_SUBMITTED)
        return Why(reason_of_claim(self._claim(found.merchant_id, found.payment_id, reference, ours[1])))

    def _correction(self, found: Break | Case, reference: str) -> Why | None:
        if not (found.merchant_id and found.payment_id):
            return None
        booked = self._booked(found.merchant_id, found.payment_id, reference)
        record = None if booked is None else self._store.get(booked[0])
        if booked is None or record is None:
            return Why(WhyReason.FORGOTTEN)
        return Why(reason_of_claim(self._facts(booked[0], record.claim_id, booked_at_ms=booked[1])))

    def _double_charge(self, found: Break | Case) -> Why | None:
        rows = [row for row in found.evidence if row.source is Source.LEDGER]
        if len(rows) != 2 or found.merchant_id is None:
            return None
        merchant_id = found.merchant_id
        # Ordered by claim: a charge that was in doubt is booked last, but may have been requested first.
        claims = [self._claim_of_row(merchant_id, row) for row in rows]
        earlier, later = sorted(claims, key=lambda claim: claim.created_at_ms or 0)
        ids = [str(row.fields.get("payment_id") or "") for row in rows]
        payments = find_payments(self._database, merchant_id, list(dict.fromkeys(ids)))
        orders = {payment_id: payment.reference for payment_id, payment in payments.items()}
        return Why(reason_of_pair(earlier, later, orders=(orders.get(ids[0]), orders.get(ids[1]))))

    def _claim_of_row(self, merchant_id: str, row: Evidence) -> ClaimFacts:
        reference = str(row.fields.get("reference") or row.fields.get("ref") or "")
        ours = OURS.fullmatch(reference)
        claim_id = reference if ours is None else ours[1]
        named = row.fields.get("idempotency_record_id")
        if named:
            return self._facts(str(named), claim_id, booked_at_ms=_booked_at_ms(row))
        return self._claim(merchant_id, str(row.fields.get("payment_id") or ""), reference, claim_id)

    def _claim(self, merchant_id: str | None, payment_id: str | None, reference: str, claim_id: str) -> ClaimFacts:
        booked = self._booked(merchant_id, payment_id, reference) if merchant_id and payment_id else None
        if booked is not None:
            return self._facts(booked[0], claim_id, booked_at_ms=booked[1])
        return self._facts(self._searched(merchant_id, claim_id), claim_id)

    def _booked(self, merchant_id: str, payment_id: str, reference: str) -> tuple[str, int] | None:
        """Return the record id under which the movement was booked, and the time, or ``None``."""
        for entry in entries_of(self._database, merchant_id, payment_id):
            # A correction's entry may repeat the reference that was charged twice; the payment's own comes first.
            if entry.movement is not None and entry.movement.gateway_reference == reference:
                record_id = entry.movement.idempotency_record_id
                return (record_id, entry.booked_at_ms) if record_id else None
        return None

    def _searched(self, merchant_id: str | None, claim_id: str) -> str:
        """Return the record id of a claim that booked nothing, from the trail around the time in the claim's id."""
        made_at_ms = time_of_id(claim_id)
        entries = self._trail.entries(
            from_ms=made_at_ms - SEARCH_BEFORE_MS, until_ms=made_at_ms + SEARCH_AFTER_MS, scope=merchant_id
        )
        near = islice(entries, MAX_SEARCHED_ENTRIES)
        found = next((entry.record_id for entry in near if entry.claim_id == claim_id), "")
        return found or self._still_open(claim_id, made_at_ms)

    def _still_open(self, claim_id: str, made_at_ms: int) -> str:
        """Return the record id of a claim that nothing has followed, which the trail does not tell of yet.

        The claims due first are the oldest, and such a claim is taken over within minutes: one page of each shard.
        """
        near = [
            claim.record_id
            for shard in range(OPEN_LEASE_SHARDS)
            for claim in self._open_claims.open_page(shard, limit=MAX_OPEN_CLAIMS).claims
            if made_at_ms - SEARCH_BEFORE_MS <= claim.created_at_ms < made_at_ms + SEARCH_AFTER_MS
        ]
        records = self._store.get_many(near[:MAX_OPEN_CLAIMS]) if near else ()
        return next((record.record_id for record in records if record.claim_id == claim_id), "")

    def _facts(self, record_id: str, claim_id: str, *, booked_at_ms: int | None = None) -> ClaimFacts:
        newest = self._trail.history(record_id, newest_first=True, limit=MAX_HISTORY_ENTRIES) if record_id else []
        return ClaimFacts(
            claim_id=claim_id,
            record_id=record_id,
            record=self._store.get(record_id) if record_id else None,
            history=newest[::-1],
            booked_at_ms=booked_at_ms,
        )


def _booked_at_ms(row: Evidence) -> int:
    return int(row.fields.get("booked_at_ms") or 0)
