"""Records a run in the cases: opens, confirms, reopens and closes them. A run that died is resumed under its id."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import WriteConflict
from payonce.payments.corrective_plan import case_key
from payonce.ports import Adjust, Table
from payonce.reconciliation.cases.case import PROVABLE, CaseChange, CaseStatus, evidence_document, opened
from payonce.reconciliation.cases.case_items import case_from, case_writes, run_change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.cases.case_store import CaseStore
    from payonce.reconciliation.cases.explain import Explain
    from payonce.reconciliation.cases.why import Why
    from payonce.reconciliation.model import Break

KEYS_AT_ONCE = 100  # the limit of one BatchGetItem
ATTEMPTS = 5  # a conflict means that the case was changed meanwhile; five in a row mean a defect


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """How many cases a run changed, over all its attempts. ``seen`` counts known breaks that were found again."""

    opened: int = 0
    seen: int = 0
    reopened: int = 0
    closed: int = 0


def record_run(
    store: CaseStore,
    run_id: str,
    breaks: Sequence[Break],
    *,
    as_of_ms: int,
    covers: Callable[[Case], bool],
    explain: Explain | None = None,
) -> RunCounts:
    """Update the cases to the breaks that a run found as of ``as_of_ms``. Idempotent.

    Opens cases for new breaks, reopens closed ones that were found again, and closes those that the run did not find
    although it covers them (``covers``). A case judged by a later run is left unchanged. ``explain`` is called for new
    breaks only. Returns the counts of all attempts under this run id.
    """
    return _Recorder(store, run_id, as_of_ms).record(breaks, covers=covers, explain=explain)


class _Recorder:
    """Updates the cases to what the run ``run_id`` found as of ``as_of_ms``."""

    def __init__(self, store: CaseStore, run_id: str, as_of_ms: int) -> None:
        self._store = store
        self._database = store.database
        self._run_id = run_id
        self._by = f"run:{run_id}"
        self._as_of_ms = as_of_ms

    def record(self, breaks: Sequence[Break], *, covers: Callable[[Case], bool], explain: Explain | None) -> RunCounts:
        """See ``record_run``."""
        found = {each.break_id: each for each in breaks}
        stored = self._stored(list(found))
        judged = {break_id for break_id, each in found.items() if self._found(each, stored.get(break_id), explain)}
        for status in PROVABLE:
            for case in self._store.with_status(status):
                if case.break_id not in found and covers(case):
                    self._prove(case, covers)
        # Counted from the store, so that the changes of an attempt that died are included.
        did: dict[CaseChange, set[str]] = {change: set() for change in CaseChange}
        for break_id, change in self._store.changes_of(self._run_id):
            did[change].add(break_id)
        return RunCounts(
            opened=len(did[CaseChange.FOUND]),
            seen=len(judged - did[CaseChange.FOUND] - did[CaseChange.REOPENED]),
            reopened=len(did[CaseChange.REOPENED]),
            closed=len(did[CaseChange.PROVED]),
        )

    def _found(self, found: Break, case: Case | None, explain: Explain | None) -> bool:
        """Update the case of a break; return whether this run is the last that has judged it."""
        why = None if case is not None or explain is None else explain(found)
        for attempt in range(ATTEMPTS):
            try:
                return self._found_once(found, case, why)
            except WriteConflict:
                if attempt == ATTEMPTS - 1:
                    raise
                case = self._store.get(found.break_id)
        return False

    def _found_once(self, found: Break, case: Case | None, why: Why | None) -> bool:
        if case is None:
            self._change(None, opened(found, run_id=self._run_id, at_ms=self._as_of_ms, why=why), CaseChange.FOUND)
            return True
        if case.status is CaseStatus.DISMISSED:
            return False
        if case.last_seen_at_ms >= self._as_of_ms:
            return case.last_seen_run_id == self._run_id
        seen: dict[str, Any] = {"last_seen_run_id": self._run_id, "last_seen_at_ms": self._as_of_ms}
        if case.status is CaseStatus.CLOSED:
            values = {**seen, "evidence": found.evidence, "closed_by_run_id": None}
            reopened = case.changed(CaseChange.REOPENED, at_ms=self._as_of_ms, **values)
            self._change(case, reopened, CaseChange.REOPENED)
            return True
        self._database.write(
            [
                Adjust(
                    table=Table.RECONCILIATION,
                    key=case_key(case.break_id),
                    require={"version": case.version, "last_seen_at_ms": case.last_seen_at_ms},
                    set={**seen, "evidence": [evidence_document(row) for row in found.evidence]},
                )
            ]
        )
        return True

    def _prove(self, case: Case, covers: Callable[[Case], bool]) -> None:
        # The index is eventually consistent, and others may change the case: read it again, and close that version.
        case = self._store.get(case.break_id)
        judged_later = case.last_seen_at_ms >= self._as_of_ms or case.updated_at_ms > self._as_of_ms
        if case.status not in PROVABLE or judged_later or not covers(case):
            return
        closed = case.changed(
            CaseChange.PROVED,
            at_ms=self._as_of_ms,
            closed_by_run_id=self._run_id,
            last_seen_at_ms=self._as_of_ms,
            last_seen_run_id=self._run_id,
        )
        # If the case was changed meanwhile, the next run judges it.
        with suppress(WriteConflict):
            self._change(case, closed, CaseChange.PROVED)

    def _change(self, before: Case | None, after: Case, change: CaseChange) -> None:
        writes = case_writes(before, after, change, by=self._by, note=None)
        self._database.write([*writes, run_change(self._run_id, after.break_id, change)])

    def _stored(self, break_ids: Sequence[str]) -> dict[str, Case]:
        stored: dict[str, Case] = {}
        for start in range(0, len(break_ids), KEYS_AT_ONCE):
            keys = [case_key(break_id) for break_id in break_ids[start : start + KEYS_AT_ONCE]]
            for item in self._database.get_many(Table.RECONCILIATION, keys):
                stored[item["break_id"]] = case_from(item)
        return stored
