"""One run: the journal and every accepted file of the period, compared; cases brought up to it; its manifest chained.

Nothing here is done once and for all: a run that dies is simply run again. Two at the same time are harmless: cases
take the word of the one that looked later, and the chain has one next link, so the other takes its place behind it.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from payonce.domain.errors import WriteConflict
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.digest import canonical_json
from payonce.reconciliation.files import chain_head, move_chain
from payonce.reconciliation.ledger_rows import booked_rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from payonce.ports import Clock, Database, FileStore, IdSource
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.cases.recording import RunCounts
    from payonce.reconciliation.cases.store import CaseStore
    from payonce.reconciliation.explain import Explain
    from payonce.reconciliation.files import KnownFile
    from payonce.reconciliation.inbox import Inbox
    from payonce.reconciliation.model import LedgerRow, RunResult, RunSettings
    from payonce.reconciliation.readers.rows import ReconciliationFile
    from payonce.reconciliation.results import Workspace

DAY_MS = 86_400_000
# Gateways settle within days and banks within a week; what concerns an older movement is found by its reference.
LOOKBACK_DAYS = 35
# A report on the first days of the period may have come before it.
FILE_SLACK_DAYS = 5
# A break of the first day could be due to what lies before the period, and its absence proves nothing.
COVERED_FROM_DAYS = LOOKBACK_DAYS - 1
MANIFESTS = "runs/"
MANIFEST_VERSION = 1
CHAIN_ATTEMPTS = 20  # each failure means that another run has ended meanwhile


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a run did. ``digest`` is the engine's; ``manifest_hash`` the new head of the chain."""

    run_id: str
    as_of_ms: int
    files: int
    breaks: int
    digest: str
    manifest_hash: str
    counts: RunCounts

    def to_log(self) -> dict[str, Any]:
        """Return the fields of the log line that metrics are made of."""
        document = asdict(self)
        return {**document, **document.pop("counts")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the correction of a break stands. ``in_flight``: its money may be on the way, so nothing is proved now.

    ``gateway_reference``: the refund that the gateway has to report before the break is proved gone. ``since_ms``: when
    it was corrected, 0 before.
    """

    in_flight: bool = False
    gateway_reference: str | None = None
    since_ms: int = 0


class RunCorrections(Protocol):
    """Corrections, as runs see them: corrections.following."""

    def standing(self, cases: Iterable[Case]) -> Mapping[str, Standing]:
        """Return where the corrections of the cases stand, by break; without one a case is not in it."""
        ...

    def begin(self, cases: Iterable[Case]) -> None:
        """Start the corrections that the cases need and have not had; again starts none twice."""
        ...


class Reconciliation:
    """Runs. ``workspace`` opens an empty engine; ``settings_at`` gives what a run at that time judges by.

    ``explain`` gives what a run asks why its new breaks arose.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        files: FileStore,
        database: Database,
        cases: CaseStore,
        clock: Clock,
        ids: IdSource,
        workspace: Callable[[], AbstractContextManager[Workspace]],
        settings_at: Callable[[int], RunSettings],
        explain: Callable[[], Explain] | None = None,
        corrections: RunCorrections | None = None,
    ) -> None:
        self._inbox = inbox
        self._files = files
        self._database = database
        self._cases = cases
        self._clock = clock
        self._ids = ids
        self._workspace = workspace
        self._settings_at = settings_at
        self._explain = explain
        self._corrections = corrections

    def run(self) -> RunReport:
        """Compare everything up to now and return what was found.

        Raises ``StoreUnavailable``, ``NotFound`` when an accepted file is gone, and ``ConservationViolated``; then no
        case was touched.
        """
        run_id, as_of_ms = self._ids.new("run"), self._clock.now_ms()
        standing = self._standing()
        watched = {each.gateway_reference for each in standing.values() if each.gateway_reference}
        settings = self._settings_at(as_of_ms)
        with self._workspace() as workspace:
            known, seen = self._fill(workspace, as_of_ms, watched)
            result = workspace.run(settings)
        unproved = {break_id for break_id, each in standing.items() if _is_unproved(each, seen, as_of_ms)}
        counts = self._cases.record_run(
            run_id,
            result.breaks,
            as_of_ms=as_of_ms,
            covers=lambda case: self._covers(case, as_of_ms, unproved),
            explain=None if self._explain is None else self._explain(),
        )
        manifest_hash = self._chain(_manifest(run_id, settings, known, result))
        self._begin(run_id)
        return RunReport(
            run_id=run_id,
            as_of_ms=as_of_ms,
            files=len(known),
            breaks=len(result.breaks),
            digest=result.digest,
            manifest_hash=manifest_hash,
            counts=counts,
        )

    def _fill(self, workspace: Workspace, as_of_ms: int, watched: set[str]) -> tuple[list[KnownFile], set[str]]:
        """Load the workspace; return the files, and which of the ``watched`` references some gateway reported."""
        from_ms = as_of_ms - LOOKBACK_DAYS * DAY_MS
        workspace.add_ledger(booked_rows(self._database, from_ms=from_ms, until_ms=as_of_ms))
        known: list[KnownFile] = []
        seen: set[str] = set()
        for entry, file in self._inbox.accepted_since(from_ms - FILE_SLACK_DAYS * DAY_MS):
            workspace.add_file(file, gateway=entry.gateway)
            known.append(entry)
            seen |= _reported(file, watched)
        workspace.add_ledger(self._strangers(workspace.unknown_references()))
        return known, seen

    def _strangers(self, references: Iterable[tuple[str, str]]) -> Iterable[LedgerRow]:
        for gateway, reference in references:
            # A reference at another gateway than the one we gave it to is not that movement.
            yield from (row for row in rows_of(self._database, [reference]) if row.gateway == gateway)

    def _standing(self) -> Mapping[str, Standing]:
        return {} if self._corrections is None else self._corrections.standing(self._cases.with_status(CaseStatus.OPEN))

    def _begin(self, run_id: str) -> None:
        """Have corrected what this run has found, whenever it was opened: an earlier run may have died before this."""
        if self._corrections is not None:
            cases = self._cases.with_status(CaseStatus.OPEN)
            self._corrections.begin([case for case in cases if case.last_seen_run_id == run_id])

    def _covers(self, case: Case, as_of_ms: int, unproved: set[str]) -> bool:
        # What the gateway has not reported yet proves nothing: the refund may still be on its way.
        return case.occurred_at_ms >= as_of_ms - COVERED_FROM_DAYS * DAY_MS and case.break_id not in unproved

    def _chain(self, manifest: dict[str, Any]) -> str:
        for attempt in range(CHAIN_ATTEMPTS):
            previous = chain_head(self._database)
            data = canonical_json({**manifest, "previous": previous})
            manifest_hash = hashlib.sha256(data).hexdigest()
            # Written first and under its hash, so that the head always names a manifest that is there.
            self._files.write(f"{MANIFESTS}{manifest_hash}.json", data)
            try:
                move_chain(self._database, previous=previous, manifest_hash=manifest_hash)
            except WriteConflict:
                if attempt == CHAIN_ATTEMPTS - 1:
                    raise
                continue
            return manifest_hash
        return ""


def _is_unproved(standing: Standing, seen: set[str], as_of_ms: int) -> bool:
    waits = standing.gateway_reference is not None and standing.gateway_reference not in seen
    return standing.in_flight or waits or standing.since_ms > as_of_ms


def _reported(file: ReconciliationFile, watched: set[str]) -> set[str]:
    return {row.reference for row in file.gateway_rows if row.reference in watched and row.reference}


def _manifest(run_id: str, settings: RunSettings, known: list[KnownFile], result: RunResult) -> dict[str, Any]:
    """Return what the run stands for: its inputs, how it judged, what came out, and the proof that nothing was lost."""
    return {
        "version": MANIFEST_VERSION,
        "run_id": run_id,
        "settings": asdict(settings),
        "files": sorted([file.file_id, file.gateway or ""] for file in known),
        "rows": {source.value: count for source, count in sorted(result.rows.items())},
        "tallies": sorted(
            [tally.source.value, tally.currency, tally.outcome.value, tally.rows, tally.amount_minor]
            for tally in result.tallies
        ),
        "breaks": [found.break_id for found in result.breaks],
        "digest": result.digest,
    }
