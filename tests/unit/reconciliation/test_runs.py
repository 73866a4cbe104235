"""Runs over what the payment protocol really booked and a gateway's report of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from payonce.corrections.following import CorrectionsOfRuns
from payonce.domain.errors import NotFound, StoreUnavailable
from payonce.domain.gateway import OperationKind
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.match_desk import MatchDesk
from payonce.reconciliation.cases.recording import RunCounts
from payonce.reconciliation.runs.file_inbox import Inbox
from payonce.reconciliation.runs.files import chain_head
from payonce.reconciliation.runs.kept_rows import KEPT, ROWS, KeptRows
from payonce.reconciliation.runs.manifest import FIRST
from payonce.reconciliation.runs.run import MANIFESTS, Reconciliation
from payonce.reconciliation.runs.standing import Standing
from payonce.reconciliation.runs.stored_policy import StoredPolicy
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.support.world import World

if TYPE_CHECKING:
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.runs.run_report import RunReport

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
HEADER = "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id"


@dataclass
class Standings:
    """Corrections that stand as a test says."""

    stands: dict[str, Standing]

    def standing(self, _cases: Any) -> dict[str, Standing]:
        return self.stands

    def begin(self, _cases: Any) -> None:
        """See ``RunCorrections``."""


@dataclass
class Desk:
    """A world with a bank that reports, and the runs over it."""

    world: World = field(default_factory=World)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    reports: int = 0
    workflows: MemoryWorkflows = field(default_factory=MemoryWorkflows)

    def __post_init__(self) -> None:
        self.database = self.world.database
        self.cases = CaseStore(self.database)
        self.rows = KeptRows(files=self.files, database=self.database, workspace=DuckDbWorkspace)
        self.inbox = Inbox(
            files=self.files, rows=self.rows, database=self.database, clock=self.world.clock, gateways=("bank",)
        )
        self.runs = Reconciliation(
            inbox=self.inbox,
            rows=self.rows,
            policy=StoredPolicy(files=self.files, database=self.database, clock=self.world.clock),
            files=self.files,
            database=self.database,
            cases=self.cases,
            clock=self.world.clock,
            ids=self.world.services.ids,
            workspace=DuckDbWorkspace,
            corrections=CorrectionsOfRuns(self.database, self.workflows),
        )

    def pay(self, key: str) -> str:
        """Pay 10.00, a minute after whatever was before, and return the reference that the bank was given."""
        self.world.clock.ms += 60_000
        self.world.create(key)
        return self.world.gateway.submissions[-1].gateway_reference

    def report(self, *rows: tuple[str, str, int]) -> None:
        """The bank's report of (kind, reference, amount in whole euros) arrives."""
        self.reports += 1
        at = self.world.clock.now_ms() // 1000
        lines = [HEADER]
        for number, (kind, reference, amount) in enumerate(rows):
            row_id = f"t{self.reports}-{number}"
            lines.append(f"{kind},{row_id},{reference},{amount}.00,0.00,{amount}.00,EUR,{_iso(at)},,")
        total = sum(amount for _, _, amount in rows)
        lines.append(f"total,{len(rows)},,{total}.00,0.00,{total}.00,EUR,,,")
        name = f"incoming/gateway/bank/{self.reports}.csv"
        self.files.stored[name] = ("\n".join(lines) + "\n").encode()
        assert self.inbox.accept(name).new

    def run(self, *, hours: int = 0) -> RunReport:
        """Run after so many hours."""
        self.world.clock.ms += hours * HOUR_MS
        return self.runs.run()

    def opened(self) -> list[Case]:
        return list(self.cases.with_status(CaseStatus.OPEN))


def _iso(seconds: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_day_without_faults_has_no_breaks() -> None:
    desk = Desk()
    first, second = desk.pay("first-key"), desk.pay("second-key")
    desk.report(("charge", first, 10), ("charge", second, 10))
    report = desk.run(hours=48)
    assert (report.breaks, report.files, report.counts) == (0, 1, RunCounts())


def test_a_charge_that_the_bank_made_twice_is_one_case_and_one_correction() -> None:
    """Fails when each run that sees it opens another one, or starts another correction."""
    desk = Desk()
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10), ("charge", reference, 10))
    assert desk.run(hours=1).counts == RunCounts(opened=1)
    (case,) = desk.opened()
    assert (case.break_class, case.amount_minor, case.currency) == (BreakClass.DUPLICATE_CAPTURE, 1000, "EUR")
    assert (case.gateway, len(case.evidence) > 1) == ("bank", True)
    assert desk.run(hours=1).counts == RunCounts(seen=1)
    assert desk.workflows.started == [(case.break_id, 1)]


@pytest.mark.parametrize(
    ("standing", "closed"),
    [
        (Standing(), True),
        (Standing(in_flight=True), False),
        (Standing(gateway_references=("cor_1-1",)), False),
        (Standing(since_ms=2_000_000_000_000), False),
    ],
)
def test_a_break_that_is_gone_is_closed_unless_its_correction_is_not_proved(
    standing: Standing, *, closed: bool
) -> None:
    """Fails when a case is closed under a refund on its way, or before the gateway has reported it."""
    desk = Desk()
    reference = desk.pay("a-key")
    desk.run(hours=48)
    (case,) = desk.opened()
    assert case.break_class is BreakClass.MISSING_IN_GATEWAY
    desk.runs._corrections = Standings({case.break_id: standing})
    desk.report(("charge", reference, 10))
    assert desk.run(hours=1).counts == RunCounts(closed=1 if closed else 0)


def test_a_movement_from_before_the_period_is_not_missing_in_our_ledger() -> None:
    """Fails when references outside the period's journal are not looked up."""
    desk = Desk()
    reference = desk.pay("old-key")
    desk.world.clock.ms += 40 * DAY_MS
    desk.report(("charge", reference, 10), ("charge", "not-ours", 10))
    report = desk.run(hours=48)
    assert [case.break_class for case in desk.opened()] == [BreakClass.MISSING_IN_LEDGER]
    assert report.breaks == 1


def test_money_that_we_hold_not_moved_is_a_mismatch_of_status() -> None:
    desk = Desk()
    desk.world.gateway.script = ["decline"]
    reference = desk.pay("declined-key")
    desk.report(("charge", reference, 10))
    desk.run(hours=48)
    assert [case.break_class for case in desk.opened()] == [BreakClass.STATUS_MISMATCH]


def test_what_the_report_lacks_is_missing_and_closes_when_a_later_report_has_it() -> None:
    desk = Desk()
    reference = desk.pay("a-key")
    assert desk.run(hours=1).breaks == 0
    assert desk.run(hours=48).counts == RunCounts(opened=1)
    assert [case.break_class for case in desk.opened()] == [BreakClass.MISSING_IN_GATEWAY]
    desk.report(("charge", reference, 10))
    assert desk.run(hours=1).counts == RunCounts(closed=1)


def test_a_match_by_hand_closes_its_breaks_in_the_next_run_and_taking_it_back_opens_them() -> None:
    """Fails when a run does not go by what a person decided, or goes by it after it was taken back."""
    desk = Desk()
    ours = desk.pay("a-key-of-ours")
    desk.report(("charge", "elsewhere-1", 10))
    desk.run(hours=48)
    matches = MatchDesk(
        database=desk.database,
        clock=desk.world.clock,
        ids=desk.world.services.ids,
        audited=lambda _entry: [],
        correcting=lambda _case: None,
    )
    by_class = {case.break_class: case.break_id for case in desk.opened()}
    assert set(by_class) == {BreakClass.MISSING_IN_GATEWAY, BreakClass.MISSING_IN_LEDGER}
    made = matches.match(by_class.values(), reason=f"it is {ours}", by="operator:anna", accept_difference=False)
    assert len(desk.opened()) == 2  # only a run closes a case
    report = desk.run(hours=1)
    assert (report.matches, report.breaks, desk.opened()) == ({"matched": 1}, 0, [])
    manifest = json.loads(desk.files.stored[f"{MANIFESTS}{report.manifest_hash}.json"])
    assert manifest["matches"]
    assert "matches" not in manifest["settings"]
    matches.unmatch(made.match_id, reason="it was not", by="operator:ben")
    report = desk.run(hours=1)
    assert (report.matches, report.breaks, report.counts.reopened) == ({}, 2, 2)
    history = [(entry["change"], entry["by"]) for entry in desk.cases.history(by_class[BreakClass.MISSING_IN_LEDGER])]
    assert [change for change, _ in history] == ["found", "matched", "proved", "unmatched", "reopened"]
    assert (history[1][1], history[3][1]) == ("operator:anna", "operator:ben")


def test_a_break_that_fell_out_of_the_period_is_not_proved_gone() -> None:
    """Fails when a case closes because its rows are no longer looked at."""
    desk = Desk()
    desk.pay("a-key")
    desk.run(hours=48)
    (case,) = desk.opened()
    assert desk.run(hours=24 * 40).counts == RunCounts()
    assert desk.cases.get(case.break_id).status is CaseStatus.OPEN


def test_manifests_are_a_chain_that_names_its_inputs() -> None:
    """Fails when a manifest can be changed or left out without the chain showing it."""
    desk = Desk()
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10))
    first, second = desk.run(hours=1), desk.run(hours=1)
    assert chain_head(desk.database) == second.manifest_hash
    stored = desk.files.stored
    data = stored[f"{MANIFESTS}{second.manifest_hash}.json"]
    assert hashlib.sha256(data).hexdigest() == second.manifest_hash
    manifest: dict[str, Any] = json.loads(data)
    assert manifest["previous"] == first.manifest_hash
    assert manifest["run_id"] == second.run_id
    assert [KEPT + file_id in stored for file_id, _ in manifest["files"]] == [True]
    assert ["gateway", "EUR", "matched", 1, 1000] in manifest["tallies"]
    assert json.loads(stored[f"{MANIFESTS}{first.manifest_hash}.json"])["previous"] == FIRST


def test_two_runs_at_once_both_find_their_place_in_the_chain() -> None:
    desk = Desk()
    desk.run()
    moved: list[str] = []
    written = desk.files.write

    def another_ends_first(name: str, data: bytes) -> None:
        written(name, data)
        if not moved:
            moved.append("")
            moved[0] = desk.run().manifest_hash

    desk.files.write = another_ends_first  # type: ignore[method-assign]
    report = desk.run()
    last = json.loads(desk.files.stored[f"{MANIFESTS}{report.manifest_hash}.json"])
    assert (last["previous"], chain_head(desk.database)) == (moved[0], report.manifest_hash)


def test_a_run_without_one_of_its_files_has_no_result() -> None:
    desk = Desk()
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10), ("charge", reference, 10))
    for name in [name for name in desk.files.stored if name.startswith((KEPT, ROWS))]:
        del desk.files.stored[name]
    with pytest.raises(NotFound, match="is gone"):
        desk.run()
    assert desk.opened() == []


def test_a_store_that_fails_midway_opens_nothing() -> None:
    desk = Desk()
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10), ("charge", reference, 10))
    desk.world.follow_up(OperationKind.REFUND, reference.removesuffix("-1"), "refund-key", 100)

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("no")

    query, desk.database.query = desk.database.query, fails  # type: ignore[method-assign,assignment]
    with pytest.raises(StoreUnavailable):
        desk.run()
    desk.database.query = query  # type: ignore[method-assign]
    assert desk.opened() == []
    assert desk.run().counts.opened == 1
