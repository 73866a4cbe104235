"""A run that dies after any write is tried again, and then everything is as if nothing had happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.gateway import OperationKind
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.recording import RunCounts
from payonce.reconciliation.runs.manifest import manifest_from, verify_chain
from payonce.reconciliation.runs.run import ANOMALIES, MANIFESTS
from tests.unit.reconciliation.test_runs import Desk
from tests.unit.reconciliation.test_runs_anomalies import pay_twice

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.reconciliation.runs.manifest import Manifest
    from payonce.reconciliation.runs.run_report import RunReport

REQUEST = "request-1"


class Killed(BaseException):
    """The process is gone: nothing may catch this."""


class Killer:
    """Kills after the n-th write to the database or the bucket, which is before the next one."""

    def __init__(self, desk: Desk, at: int | None) -> None:
        self.at = at
        self.writes = 0
        desk.database.write = self._watched(desk.database.write)  # type: ignore[method-assign]
        desk.files.write = self._watched(desk.files.write)  # type: ignore[method-assign]

    def _watched(self, write: Callable[..., None]) -> Callable[..., None]:
        def watched(*arguments: Any) -> None:
            self.writes += 1
            write(*arguments)
            if self.writes == self.at:
                raise Killed

        return watched


def busy_desk() -> Desk:
    """A desk where a run has cases to open, to see again and to close."""
    desk = Desk()
    kept = desk.pay("kept-key")
    closing = desk.pay("closing-key")
    desk.report(("charge", kept, 10), ("charge", kept, 10))
    desk.run(hours=48)  # opens the copy and what is missing
    _, second = pay_twice(desk)
    desk.run()  # opens the double charge
    desk.world.follow_up(OperationKind.REFUND, second.removesuffix("-1"), "refund-key", 1000)
    desk.report(("charge", closing, 10))
    pay_twice_again(desk)
    desk.report(("charge", "stranger", 10))
    desk.world.clock.ms += 3_600_000
    return desk


def pay_twice_again(desk: Desk) -> None:
    desk.pay("third-key")
    desk.world.clock.ms -= 50_000
    desk.pay("fourth-key")


def outcome(desk: Desk, report: RunReport) -> tuple[object, ...]:
    cases = sorted(
        (case.break_id, case.status.value, [entry["change"] for entry in desk.cases.history(case.break_id)])
        for status in (CaseStatus.OPEN, CaseStatus.CLOSED)
        for case in desk.cases.with_status(status)
    )
    return report.counts, report.breaks, report.digest, cases


def chain_of(desk: Desk, last: str) -> list[Manifest]:
    chain: list[Manifest] = []
    while len(chain) < 20 and (data := desk.files.stored.get(f"{MANIFESTS}{last}.json")) is not None:
        manifest = manifest_from(data)
        assert manifest is not None
        chain.insert(0, manifest)
        last = manifest.previous
    return chain


def test_a_run_killed_after_any_write_and_tried_again_ends_like_one_that_was_not() -> None:
    """Fails when something of a run is done only by an attempt that also does the rest: such as counting."""
    undisturbed = busy_desk()
    watch = Killer(undisturbed, None)
    expected = outcome(undisturbed, undisturbed.runs.run(REQUEST))
    assert watch.writes > 6
    assert expected[0] == RunCounts(opened=1, seen=1, closed=2)
    for at in range(1, watch.writes + 1):
        desk = busy_desk()
        Killer(desk, at)
        with pytest.raises(Killed):
            desk.runs.run(REQUEST)
        desk.world.clock.ms += 60_000  # the service waits a minute before it tries again
        report = desk.runs.run(REQUEST)
        assert outcome(desk, report) == expected, at
        chain = chain_of(desk, report.manifest_hash)
        assert verify_chain(chain, last_hash=report.manifest_hash) is None
        assert f"{ANOMALIES}{chain[-1].document['anomalies_digest']}.json" in desk.files.stored
