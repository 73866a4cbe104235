"""The sweep over open claims whose lease ran out: shard by shard, bounded in time, one failure apart from the others.

Every claim names in its plan who carries it on (``CARRIED_ON_BY``), so that a sweep leaves alone what it does not know:
it may be a payment in doubt or a request at somebody's upstream, and giving it back would open the way to a second one.
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

CARRIED_ON_BY = "carried_on_by"  # member of a plan; claims without it are those of payments and endpoints
# One claim may need an inquiry, a submission and a commit, each with its own timeout; it gets the time of a request.
RECOVERY_TIMEOUT_PER_CLAIM_MS = 20_000
RUN_INTERVAL_MS = 60_000  # the schedule in template.yaml
MAX_CLAIMS_PER_SHARD = 50  # a run is bounded; the next one is a minute away and starts with the oldest


@dataclass(slots=True)
class RecoveryReport:
    """What one run did: claims looked at, concluded, and still in doubt; ``failed`` counts claims and shards."""

    seen: int = 0
    concluded: int = 0
    still_open: int = 0
    failed: int = 0


def carried_on_by(record: IdempotencyRecord) -> str:
    """Return the name of who carries the claim on, empty for payments and endpoints."""
    return str(record.plan.get(CARRIED_ON_BY, ""))


class Sweep:
    """Resolves open claims. Safe to run any number of times, in parallel, killed anywhere.

    ``recover`` gets a record's id and a deadline, and returns whether it concluded it, or ``None`` for a claim that
    does not concern it. ``report_error`` gets the id of a claim, or the name of a shard that could not be read.
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
        """Look at every shard, oldest claims first, until done or until no whole claim fits before ``deadline``."""
        report = RecoveryReport()
        # Where there are more claims than a run can look at, each run starts with another shard: none is always last.
        first = self._clock.now_ms() // RUN_INTERVAL_MS
        for shard in ((first + offset) % OPEN_LEASE_SHARDS for offset in range(OPEN_LEASE_SHARDS)):
            if self._clock.now_ms() >= deadline.at_ms:
                return report
            try:
                open_ids = self._store.open_claims(
                    shard, lease_expired_at_ms=self._clock.now_ms(), limit=MAX_CLAIMS_PER_SHARD
                )
            except PayonceError as error:
                # A throttled shard keeps no other waiting: they are other partitions of the index.
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
            # One claim that can't be carried on must not keep the others waiting; its lease brings it back.
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
