"""The sweep over open claims whose lease has expired: shard by shard, bounded in time, with failures isolated.

Every claim's plan names the recovery that is responsible for it (``CARRIED_ON_BY``). A sweep leaves other claims alone:
one may be a payment in doubt or a request at an upstream, and releasing it would allow a second execution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import PayonceError
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.record_store import OPEN_LEASES_INDEX
from payonce.ports import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord
    from payonce.ports import Clock

CARRIED_ON_BY = "carried_on_by"  # member of a plan; it is missing in the claims of payments and endpoints
# One claim may need a lookup, a submission and a commit, each with its own timeout; it gets as much time as a request.
RECOVERY_TIMEOUT_PER_CLAIM_MS = 20_000
RUN_INTERVAL_MS = 60_000  # the schedule in template.yaml
MAX_CLAIMS_PER_SHARD = 50  # bounds a run; the next one starts a minute later, with the oldest claims


@dataclass(slots=True)
class RecoveryReport:
    """Counts of one run: claims seen, concluded and still in doubt. ``failed`` counts both claims and shards."""

    seen: int = 0
    concluded: int = 0
    still_open: int = 0
    failed: int = 0


def carried_on_by(record: IdempotencyRecord) -> str:
    """Return the name of the recovery responsible for the claim, "" for payments and endpoints."""
    return str(record.plan.get(CARRIED_ON_BY, ""))


class Sweep:
    """Resolves open claims. Idempotent, safe to run in parallel, and safe to kill at any point.

    ``recover`` gets a record's id and a deadline. It returns whether it concluded the record, or ``None`` for a claim
    that is not its own. ``report_error`` gets a claim's id, or the name of a shard that could not be read.
    """

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        clock: Clock,
        recover: Callable[[str, Deadline], bool | None],
        report_error: Callable[[str, Exception], None],
        timeout_per_claim_ms: int = RECOVERY_TIMEOUT_PER_CLAIM_MS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._recover = recover
        self._report_error = report_error
        self._timeout_per_claim_ms = timeout_per_claim_ms

    def run(self, deadline: Deadline) -> RecoveryReport:
        """Look at every shard, oldest claims first, until done or until ``deadline`` leaves no time for one more."""
        report = RecoveryReport()
        # When there are more claims than fit in a run, each run starts at another shard, so that no shard starves.
        first = self._clock.now_ms() // RUN_INTERVAL_MS
        for shard in ((first + offset) % OPEN_LEASE_SHARDS for offset in range(OPEN_LEASE_SHARDS)):
            if self._clock.now_ms() >= deadline.at_ms:
                return report
            try:
                open_ids = self._store.open_claims(
                    shard, lease_expired_at_ms=self._clock.now_ms(), limit=MAX_CLAIMS_PER_SHARD
                )
            except PayonceError as error:
                # A throttled shard must not delay the others, which are different partitions of the index.
                report.failed += 1
                self._report_error(f"{OPEN_LEASES_INDEX} shard {shard}", error)
                continue
            for open_id in open_ids:
                claim_deadline_ms = self._clock.now_ms() + self._timeout_per_claim_ms
                if claim_deadline_ms > deadline.at_ms:
                    return report
                self._one(open_id, Deadline(claim_deadline_ms), report)
        return report

    def _one(self, open_id: str, deadline: Deadline, report: RecoveryReport) -> None:
        try:
            concluded = self._recover(open_id, deadline)
        except Exception as error:
            # One claim that fails must not delay the others; it returns when its lease expires.
            report.seen += 1
            report.failed += 1
            self._report_error(open_id, error)
            return
        if concluded is None:
            return
        report.seen += 1
        if concluded:
            report.concluded += 1
        else:
            report.still_open += 1
