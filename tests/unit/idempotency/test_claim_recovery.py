"""What a sweep does in its time, and what it gives each claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import StoreUnavailable
from payonce.idempotency.claim_recovery import RecoveryReport, Sweep
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

PER_CLAIM_MS = 20_000


class Shards(DatabaseIdempotencyStore):
    """Holds the ids of open claims by shard; ``None`` is a shard that can't be read."""

    def __init__(self, shards: dict[int, Sequence[str] | None]) -> None:
        super().__init__(MemoryDatabase())
        self.shards = shards
        self.read: list[int] = []

    def open_claims(self, shard: int, *, lease_expired_at_ms: int, limit: int) -> list[str]:
        """See ``IdempotencyStore``."""
        self.read.append(shard)
        found = self.shards.get(shard, ())
        if found is None:
            raise StoreUnavailable("throttled")
        return list(found)


class Run:
    """A sweep, what it gave each claim, and what it reported."""

    def __init__(self, shards: dict[int, Sequence[str] | None], takes_ms: int = 0) -> None:
        self.clock, self.store = ManualClock(), Shards(shards)
        self.given: dict[str, int] = {}
        self.errors: list[str] = []
        self.takes_ms = takes_ms
        self.ends: dict[str, bool | Exception | None] = {}

    def recover(self, open_id: str, deadline: Deadline) -> bool | None:
        """Note the time that the claim has, take some, and end as ``ends`` says."""
        self.given[open_id] = deadline.at_ms - self.clock.ms
        self.clock.ms += self.takes_ms
        end = self.ends.get(open_id, True)
        if isinstance(end, Exception):
            raise end
        return end

    def report_error(self, name: str, error: Exception) -> None:
        """Note what failed."""
        self.errors.append(name)

    def run(self, within_ms: int) -> RecoveryReport:
        """Run with so much time."""
        sweep = Sweep(store=self.store, clock=self.clock, recover=self.recover, report_error=self.report_error)
        return sweep.run(Deadline(self.clock.ms + within_ms))


def test_each_shard_is_read_once_and_each_claim_has_the_time_of_a_request() -> None:
    """It may ask, send and commit. Fails when a claim's deadline is over before it begins."""
    run = Run({shard: [f"claim {shard}"] for shard in range(OPEN_LEASE_SHARDS)})
    assert run.run(60_000).concluded == OPEN_LEASE_SHARDS
    assert sorted(run.store.read) == list(range(OPEN_LEASE_SHARDS))
    assert set(run.given.values()) == {PER_CLAIM_MS}


def test_a_claim_that_would_outlast_the_run_is_not_begun() -> None:
    """Fails when recovery's function is cut off amid a submission that a shorter run would not have made."""
    everywhere: dict[int, Sequence[str] | None] = {shard: [f"claim {shard}"] for shard in range(OPEN_LEASE_SHARDS)}
    run = Run(everywhere, takes_ms=1_000)
    assert run.run(PER_CLAIM_MS + 1_000).concluded == 2  # the second one has just time
    assert len(run.store.read) == 3


def test_no_shard_is_read_after_the_end_of_the_run() -> None:
    run = Run({})
    assert run.run(0).seen == 0
    assert run.store.read == []


def test_shards_that_can_not_be_read_are_counted_and_named() -> None:
    run = Run({0: None, 1: None, 2: ["claim"]})
    report = run.run(60_000)
    assert (report.failed, report.concluded, len(run.errors)) == (2, 1, 2)
    assert {name.split()[-1] for name in run.errors} == {"0", "1"}


def test_what_became_of_each_claim_is_counted() -> None:
    """One that fails does not delay the others, and another recovery's claims are not counted."""
    ends: dict[str, bool | Exception | None] = {
        **{f"done {number}": True for number in range(2)},
        **{f"in doubt {number}": False for number in range(3)},
        **{f"failing {number}": ValueError("a defect") for number in range(4)},
        **{f"another's {number}": None for number in range(5)},
    }
    run = Run({0: list(ends)})
    run.ends = ends
    assert run.run(60_000) == RecoveryReport(seen=9, concluded=2, still_open=3, failed=4)
    assert run.errors == [f"failing {number}" for number in range(4)]
