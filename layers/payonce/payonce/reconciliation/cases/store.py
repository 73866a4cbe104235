"""The store of cases. Every change is conditional on the version that was read, and adds to the history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NotFound, WriteConflict
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.cases.case import CaseChange, CaseStatus, evidence_document, opened
from payonce.reconciliation.cases.items import (
    BY_MERCHANT_INDEX,
    BY_STATUS_INDEX,
    CHANGE_PREFIX,
    COMMENT_PREFIX,
    Visibility,
    case_from,
    case_key,
    case_partition,
    case_writes,
    comment_document,
    comment_item,
    history_document,
    merchant_index_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from payonce.ports import Database, Item
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.explain import Explain
    from payonce.reconciliation.model import Break
    from payonce.reconciliation.why import Why

KEYS_AT_ONCE = 100  # what one read of several keys takes
PAGE_SIZE = 100
HISTORY_LIMIT = 200  # changes and comments shown of one case, the newest ones
ATTEMPTS = 5  # a conflict means that somebody changed the case meanwhile; five times in a row, something is wrong
# A corrected case and one that waits for approval are closed by a run like an open one.
PROVABLE = (CaseStatus.OPEN, CaseStatus.AWAITING_APPROVAL, CaseStatus.CORRECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """What recording a run did to the cases."""

    opened: int = 0
    seen: int = 0
    reopened: int = 0
    closed: int = 0


class CaseStore:
    """Cases on the database port. Raises ``StoreUnavailable`` and ``OutcomeUnknown`` as it does."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, break_id: str) -> Case:
        """Return the case. Raises ``NotFound``."""
        item = self._database.get(Table.RECONCILIATION, case_key(break_id))
        if item is None:
            raise NotFound(f"There is no break {break_id}.")
        return case_from(item)

    def change(
        self, case: Case, change: CaseChange, *, by: str, at_ms: int, note: str | None = None, **values: Any
    ) -> Case:
        """Make the change and return the case after it. Raises ``WriteConflict`` when it is not as it was read."""
        after = case.changed(change, at_ms=at_ms, **values)
        self._database.write(case_writes(case, after, change, by=by, note=note))
        return after

    def assign(self, break_id: str, assignee: str | None, *, by: str, at_ms: int) -> Case:
        """Hand the case to ``assignee``, or to nobody, and note who did. Raises ``NotFound`` and ``WriteConflict``."""
        case = self.get(break_id)
        # The time of the last change stays: it says which run may judge the case, and this changes nothing to judge.
        after = replace(case.changed(CaseChange.ASSIGNED, at_ms=case.updated_at_ms), assignee=assignee)
        note = f"to {assignee}" if assignee else "to nobody"
        self._database.write(case_writes(case, after, CaseChange.ASSIGNED, by=by, note=note, at_ms=at_ms))
        return after

    def comment(
        self,
        break_id: str,
        comment_id: str,
        *,
        text: str,
        by: str,
        at_ms: int,
        visibility: Visibility = Visibility.INTERNAL,
    ) -> None:
        """Add a comment; the same id again changes nothing. Raises ``NotFound``."""
        self.get(break_id)
        item = comment_item(break_id, comment_id, text=text, by=by, at_ms=at_ms, visibility=visibility)
        try:
            self._database.write([Insert(Table.RECONCILIATION, item)])
        except WriteConflict:
            return

    def history(self, break_id: str) -> list[dict[str, Any]]:
        """Return the last ``HISTORY_LIMIT`` changes of a case, oldest first."""
        return [history_document(item) for item in self._under(break_id, CHANGE_PREFIX)]

    def comments(self, break_id: str) -> list[dict[str, Any]]:
        """Return the last ``HISTORY_LIMIT`` comments on a case, oldest first."""
        return [comment_document(item) for item in self._under(break_id, COMMENT_PREFIX)]

    def with_status(self, status: CaseStatus) -> Iterator[Case]:
        """Yield every case of the status, most urgent first. Eventually consistent."""
        yield from self._all(BY_STATUS_INDEX, ("case_status", status.value))

    def of_merchant(self, merchant_id: str, *, limit: int, after: str | None = None) -> tuple[list[Case], bool]:
        """Return up to ``limit`` cases of the merchant, newest first, and whether there are more.

        ``after`` is the ``position_of`` the last case of the page before. Eventually consistent.
        """
        page = self._database.query(
            Table.RECONCILIATION,
            index=BY_MERCHANT_INDEX,
            partition=("merchant_id", merchant_id),
            descending=True,
            limit=limit,
            start=None if after is None else merchant_index_key(merchant_id, after),
        )
        return [case_from(item) for item in page.items], page.next_key is not None

    def record_run(
        self,
        run_id: str,
        breaks: Sequence[Break],
        *,
        as_of_ms: int,
        covers: Callable[[Case], bool],
        explain: Explain | None = None,
    ) -> RunCounts:
        """Bring the cases up to what a run found of everything up to ``as_of_ms``; again changes nothing.

        Opens what is new, reopens what was closed and is there again, and closes what the run would have found (says
        ``covers``) and did not. A case that a later run has judged is left as it is. ``explain`` is asked about what is
        new, and about nothing else.
        """
        found = {each.break_id: each for each in breaks}
        stored = self._stored(list(found))
        counts = {"opened": 0, "seen": 0, "reopened": 0, "closed": 0}
        for break_id, each in found.items():
            happened = self._found(each, stored.get(break_id), run_id, as_of_ms, explain)
            if happened:
                counts[happened] += 1
        for status in PROVABLE:
            for case in self.with_status(status):
                if case.break_id not in found and covers(case) and self._prove(case, run_id, as_of_ms):
                    counts["closed"] += 1
        return RunCounts(**counts)

    def _found(
        self, found: Break, case: Case | None, run_id: str, as_of_ms: int, explain: Explain | None
    ) -> str | None:
        why = None if case is not None or explain is None else explain(found)
        for attempt in range(ATTEMPTS):
            try:
                return self._found_once(found, case, run_id, as_of_ms, why)
            except WriteConflict:
                if attempt == ATTEMPTS - 1:
                    raise
                case = self.get(found.break_id)
        return None

    def _found_once(self, found: Break, case: Case | None, run_id: str, as_of_ms: int, why: Why | None) -> str | None:
        by = f"run:{run_id}"
        if case is None:
            new = opened(found, run_id=run_id, at_ms=as_of_ms, why=why)
            self._database.write(case_writes(None, new, CaseChange.FOUND, by=by, note=None))
            return "opened"
        if case.last_seen_at_ms >= as_of_ms:
            return None
        seen: dict[str, Any] = {"last_seen_run_id": run_id, "last_seen_at_ms": as_of_ms}
        if case.status is CaseStatus.CLOSED:
            reopened = case.changed(
                CaseChange.REOPENED, at_ms=as_of_ms, evidence=found.evidence, closed_by_run_id=None, **seen
            )
            self._database.write(case_writes(case, reopened, CaseChange.REOPENED, by=by, note=None))
            return "reopened"
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
        return "seen"

    def _prove(self, case: Case, run_id: str, as_of_ms: int) -> bool:
        # The list may be behind, and somebody may be at work on the case: it is read again, and closed only as read.
        case = self.get(case.break_id)
        if case.status not in PROVABLE or case.last_seen_at_ms >= as_of_ms or case.updated_at_ms > as_of_ms:
            return False
        try:
            self.change(
                case,
                CaseChange.PROVED,
                by=f"run:{run_id}",
                at_ms=as_of_ms,
                closed_by_run_id=run_id,
                last_seen_at_ms=as_of_ms,
                last_seen_run_id=run_id,
            )
        except WriteConflict:
            return False
        return True

    def _stored(self, break_ids: Sequence[str]) -> dict[str, Case]:
        stored: dict[str, Case] = {}
        for start in range(0, len(break_ids), KEYS_AT_ONCE):
            keys = [case_key(break_id) for break_id in break_ids[start : start + KEYS_AT_ONCE]]
            for item in self._database.get_many(Table.RECONCILIATION, keys):
                stored[item["break_id"]] = case_from(item)
        return stored

    def _under(self, break_id: str, prefix: str) -> list[Item]:
        page = self._database.query(
            Table.RECONCILIATION,
            partition=("pk", case_partition(break_id)),
            sort_prefix=("sk", prefix),
            descending=True,
            limit=HISTORY_LIMIT,
        )
        return page.items[::-1]

    def _all(self, index: str, partition: tuple[str, str]) -> Iterator[Case]:
        start: Item | None = None
        while True:
            page = self._database.query(
                Table.RECONCILIATION, index=index, partition=partition, limit=PAGE_SIZE, start=start
            )
            yield from (case_from(item) for item in page.items)
            start = page.next_key
            if start is None:
                return
