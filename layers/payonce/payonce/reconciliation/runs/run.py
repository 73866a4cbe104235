"""One run: compares the journal with every accepted file of the period, updates the cases, and chains its manifest.

A run is idempotent: one that died is run again. Concurrent runs are harmless: for a case the run with the later view
wins, and of two runs that append to the chain the one with the conflict appends behind the other.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.errors import WriteConflict
from payonce.domain.ids import content_id, time_of_id
from payonce.reconciliation.cases.case import PROVABLE, CaseStatus, first_row_at_ms
from payonce.reconciliation.cases.charge_proof import charges_of, given_back
from payonce.reconciliation.cases.explain import OURS
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.cases.recording import record_run
from payonce.reconciliation.matching.run_result import SETTLED, with_anomalies
from payonce.reconciliation.model import Source
from payonce.reconciliation.runs.files import chain_head, move_chain
from payonce.reconciliation.runs.kept_rows import day_start_ms, week_start_ms
from payonce.reconciliation.runs.ledger_rows import rows_of
from payonce.reconciliation.runs.manifest import anomalies_document, manifest_of
from payonce.reconciliation.runs.run_log import remember_run
from payonce.reconciliation.runs.run_report import Period, report_of
from payonce.reconciliation.runs.standing import is_unproved
from payonce.reconciliation.taxonomy import CLASSES, BreakClass, Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from payonce.ports import Clock, Database, FileStore, IdSource
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.cases.case_store import CaseStore
    from payonce.reconciliation.cases.explain import Explain
    from payonce.reconciliation.matching.engine import Workspace
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import Break, LedgerRow, RunSettings
    from payonce.reconciliation.runs.file_inbox import Inbox
    from payonce.reconciliation.runs.files import KnownFile
    from payonce.reconciliation.runs.kept_rows import KeptRows
    from payonce.reconciliation.runs.manifest import Manifest
    from payonce.reconciliation.runs.run_report import RunReport
    from payonce.reconciliation.runs.standing import RunCorrections, Standing
    from payonce.reconciliation.runs.stored_policy import PolicyInForce, StoredPolicy

# Gateways settle within days and banks within a week; an older movement is found by its reference.
LOOKBACK_DAYS = 35
# A report on the first days of the period may have been received before it.
FILE_SLACK_DAYS = 5
# The span of the longest report, a month and some days: so far back the journal is read for movements that files name.
REPORT_DAYS = 35
# A break on the first day could depend on rows before the period, so that its absence proves nothing. Decisive is the
# earliest of its rows.
COVERED_FROM_DAYS = LOOKBACK_DAYS - 1
MANIFESTS = "runs/"
ANOMALIES = "runs/anomalies/"
RUN_NAMESPACE = "payonce/run/v1"
CHAIN_ATTEMPTS = 20  # each conflict means that another run has ended meanwhile


class Reconciliation:
    """Runs reconciliations. ``workspace`` opens an empty engine; ``policy`` holds what a run judges by.

    ``explain`` returns, for each run, the function that explains why a new break arose.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        rows: KeptRows,
        policy: StoredPolicy,
        files: FileStore,
        database: Database,
        cases: CaseStore,
        clock: Clock,
        ids: IdSource,
        workspace: Callable[[], AbstractContextManager[Workspace]],
        explain: Callable[[], Explain] | None = None,
        corrections: RunCorrections | None = None,
    ) -> None:
        self._inbox = inbox
        self._rows = rows
        self._policy = policy
        self._files = files
        self._database = database
        self._cases = cases
        self._clock = clock
        self._ids = ids
        self._workspace = workspace
        self._explain = explain
        self._corrections = corrections

    def run(self, request_id: str | None = None) -> RunReport:
        """Compare everything up to now, update the cases, and return the report.

        ``request_id`` identifies the run: a repetition, after an attempt that died, continues the same run, and the
        report counts all attempts. Raises ``StoreUnavailable``; raises ``NotFound`` if an accepted file is gone, and
        ``ConservationViolated``, before any case was changed.
        """
        run_id = content_id("run", RUN_NAMESPACE, request_id) if request_id else self._ids.new("run")
        as_of_ms = self._clock.now_ms()
        open_cases = [case for status in PROVABLE for case in self._cases.with_status(status)]
        standing: Mapping[str, Standing] = {} if self._corrections is None else self._corrections.standing(open_cases)
        watched = {reference for each in standing.values() for reference in each.gateway_references}
        doubles = [case for case in open_cases if _is_double(case)]
        policy = self._policy.in_force()
        settings = policy.policy.settings(as_of_ms, MatchStore(self._database).in_force())
        with tempfile.TemporaryDirectory(prefix="payonce-") as folder, self._workspace() as workspace:
            period = self._fill(workspace, as_of_ms, Path(folder))
            period.seen = workspace.reported(watched)
            period.refunded_minor = workspace.refunded_minor(
                {charge for case in doubles for charge in charges_of(case)}
            )
            result = with_anomalies(workspace.run(settings), workspace.anomalies(settings))
            period.joined = workspace.joined_statements()
            period.unproved = workspace.resting_on_unproved()
        period.matched = {one.match_id for one in result.matches if one.state in SETTLED}
        # Neither found nor proved gone.
        cut_off = {found.break_id for found in result.breaks if _is_cut_off(found, period)}
        counts = record_run(
            self._cases,
            run_id,
            [found for found in result.breaks if found.break_id not in cut_off],
            as_of_ms=as_of_ms,
            covers=lambda case: case.break_id not in cut_off and self._covers(case, as_of_ms, standing, period),
            explain=None if self._explain is None else self._explain(),
        )
        manifest_hash = self._document(run_id, settings, policy, period.known, result)
        self._begin(run_id)
        seconds = (self._clock.now_ms() - as_of_ms) // 1_000
        report = report_of(
            result,
            period,
            policy,
            run_id=run_id,
            as_of_ms=as_of_ms,
            seconds=seconds,
            manifest_hash=manifest_hash,
            counts=counts,
        )
        remember_run(self._database, report, result)
        return report

    def _fill(self, workspace: Workspace, as_of_ms: int, folder: Path) -> Period:
        """Load whole days of the journal and whole weeks of files into the workspace, because these are cached."""
        from_ms = day_start_ms(as_of_ms - LOOKBACK_DAYS * DAY_MS)
        files_from_ms = week_start_ms(from_ms - FILE_SLACK_DAYS * DAY_MS)
        known = list(self._inbox.accepted_since(files_from_ms))
        self._rows.load_files(workspace, known, now_ms=as_of_ms, folder=folder)
        told_from_ms = min(workspace.first_reported_ms() or files_from_ms, files_from_ms)
        read_from_ms = max(told_from_ms, files_from_ms - REPORT_DAYS * DAY_MS) - DAY_MS
        self._rows.load_ledger(workspace, read_from_ms=read_from_ms, from_ms=from_ms, until_ms=as_of_ms, folder=folder)
        workspace.add_ledger(self._strangers(workspace.unknown_references()))
        return Period(from_ms, files_from_ms, known)

    def _strangers(self, references: Iterable[tuple[str, str]]) -> Iterable[LedgerRow]:
        for gateway, reference in references:
            # A reference reported by another gateway than the one we sent it to is not that movement.
            yield from (row for row in rows_of(self._database, [reference]) if row.gateway == gateway)

    def _begin(self, run_id: str) -> None:
        """Start the corrections of every case that this run has found, old ones too: an earlier run may have died here.

        Included is the rest of partial corrections, which no run finds, because books and gateway agree by then.
        """
        if self._corrections is not None:
            cases = self._cases.with_status(CaseStatus.OPEN)
            self._corrections.begin([case for case in cases if case.last_seen_run_id == run_id or case.is_partly_open])

    def _covers(self, case: Case, as_of_ms: int, standing: Mapping[str, Standing], period: Period) -> bool:
        # Not finding the break proves nothing while the gateway has not reported the refund, which may be on its way,
        # nor while only a part was given back.
        stands = standing.get(case.break_id)
        if case.is_partly_open if stands is None else is_unproved(stands, period.seen, as_of_ms):
            return False
        if _is_double(case):
            return given_back(self._database, case, period.refunded_minor)
        # A person knows what those rows are, whether or not their files prove themselves or tell of the rest.
        if case.match_id in period.matched:
            return True
        # A line of a file that does not prove itself settles nothing: it may be wrong, or its reversal missing.
        if any(row.row_key in period.unproved for row in case.evidence):
            return False
        # A statement whose neighbour has left the period is held against nothing.
        if any(row.source is Source.STATEMENT and row.row_key not in period.joined for row in case.evidence):
            return False
        return first_row_at_ms(case) >= as_of_ms - COVERED_FROM_DAYS * DAY_MS

    def _document(
        self, run_id: str, settings: RunSettings, policy: PolicyInForce, known: Iterable[KnownFile], result: RunResult
    ) -> str:
        """Store the run's anomalies and its manifest, append the manifest to the chain, and return its hash."""
        manifest = manifest_of(
            result,
            files=[(file.file_id, file.gateway) for file in known],
            settings=settings,
            run_id=run_id,
            policy_id=policy.policy_id,
        )
        digest = manifest.document["anomalies_digest"]
        self._files.write(f"{ANOMALIES}{digest}.json", anomalies_document(result))
        return self._chain(manifest)

    def _chain(self, manifest: Manifest) -> str:
        for attempt in range(CHAIN_ATTEMPTS):
            previous = chain_head(self._database)
            manifest = replace(manifest, document={**manifest.document, "previous": previous})
            # Written first, under its hash, so that the head always names an existing manifest.
            self._files.write(f"{MANIFESTS}{manifest.hash}.json", manifest.to_bytes())
            try:
                move_chain(self._database, previous=previous, manifest_hash=manifest.hash)
            except WriteConflict:
                if attempt == CHAIN_ATTEMPTS - 1:
                    raise
                continue
            return manifest.hash
        return ""


def _is_cut_off(found: Break, period: Period) -> bool:
    """Return whether the counterpart that a break lacks may be in files older than the run's.

    A statement arrives within days of its last line, but the report that names the payout may arrive a month later, and
    is then in the period without the statement; likewise a payout without its first members. And a movement that was in
    doubt may be booked long after its report arrived.
    """
    if found.break_class is BreakClass.MISSING_IN_GATEWAY:
        ours = OURS.fullmatch(found.subject[1])
        return ours is not None and time_of_id(ours[1]) < period.files_from_ms
    of_bank = CLASSES[found.break_class].family is Family.BANK or any(e.source is Source.BANK for e in found.evidence)
    return of_bank and found.occurred_at_ms < period.from_ms


def _is_double(case: Case) -> bool:
    return case.break_class is BreakClass.DOUBLE_CHARGE
