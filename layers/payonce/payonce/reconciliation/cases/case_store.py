"""The store of cases. Every change is conditional on the version read, and adds an entry to the history."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import CorrectionStateConflict, NotFound, WriteConflict
from payonce.paging import every_item
from payonce.payments.corrective_plan import case_key
from payonce.ports import Insert, Table
from payonce.reconciliation.cases.case import TRANSITIONS, CaseChange
from payonce.reconciliation.cases.case_items import (
    BY_MERCHANT_INDEX,
    BY_STATUS_INDEX,
    CHANGE_PREFIX,
    COMMENT_PREFIX,
    RUN_CHANGE_PREFIX,
    Visibility,
    case_from,
    case_partition,
    case_writes,
    comment_document,
    comment_item,
    history_document,
    merchant_index_key,
    refused_entry,
    run_partition,
    status_index_key,
)
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from payonce.ports import Database, Item, Write
    from payonce.reconciliation.cases.case import Case, CaseStatus

PAGE_SIZE = 100
MAX_ID_LENGTH = 100  # characters; an id has 68
HISTORY_LIMIT = 200  # the newest changes, and the newest comments, shown of one case


class CaseStore:
    """Reads and changes cases. Its methods raise ``StoreUnavailable``, and on writes ``OutcomeUnknown``."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, break_id: str) -> Case:
        """Return the case. Raises ``NotFound``, also for an id that none can have."""
        # A key of DynamoDB has at most 2,048 bytes, and asking for a longer one is an error of ours.
        item = self.database.get(Table.RECONCILIATION, case_key(break_id)) if len(break_id) <= MAX_ID_LENGTH else None
        if item is None:
            raise NotFound(f"There is no break {break_id[:MAX_ID_LENGTH]}.")
        return case_from(item)

    def change(
        self,
        case: Case,
        change: CaseChange,
        *,
        by: str,
        at_ms: int,
        note: str | None = None,
        beside: Sequence[Write] = (),
        **values: Any,
    ) -> Case:
        """Make the change and return the case after it. Raises ``WriteConflict`` if it is no longer at that version.

        ``beside`` are further writes for the same transaction.
        """
        after = case.changed(change, at_ms=at_ms, **values)
        self.database.write([*case_writes(case, after, change, by=by, note=note), *beside])
        return after

    def assign(
        self,
        break_id: str,
        assignee: str | None,
        *,
        by: str,
        at_ms: int,
        of_merchant: bool = False,
        seen_version: int | None = None,
        beside: Sequence[Write] = (),
    ) -> Case:
        """Assign the case to ``assignee``, or to nobody, and record who did. Raises ``NotFound`` and ``WriteConflict``.

        ``of_merchant``: the assignee is the merchant's, beside the operator's own. Nothing is written if it is
        that one's already. ``seen_version`` is the version that whoever assigns has seen, ``None`` for any: if it is
        another, ``CorrectionStateConflict`` says who has the break, and the version now is its ``version``. ``beside``
        are further writes for the same transaction.
        """
        case = self.get(break_id)
        side = "merchant_assignee" if of_merchant else "assignee"
        if getattr(case, side) == assignee:
            return case
        if seen_version not in (None, case.version):
            has_it = getattr(case, side) or "nobody"
            raise CorrectionStateConflict(
                f"Somebody has changed this break meanwhile: it is assigned to {has_it} now. Nothing was changed.",
                version=case.version,
            )
        # updated_at_ms stays: it decides which run may judge the case, and an assignment changes nothing to judge.
        assigned: dict[str, Any] = {side: assignee}
        after = replace(case.changed(CaseChange.ASSIGNED, at_ms=case.updated_at_ms), **assigned)
        note = f"to {assignee}" if assignee else "to nobody"
        writes = case_writes(case, after, CaseChange.ASSIGNED, by=by, note=note, at_ms=at_ms)
        self.database.write([*writes, *beside])
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
        beside: Sequence[Write] = (),
    ) -> None:
        """Add a comment. Idempotent by ``comment_id``. Raises ``NotFound``.

        ``beside`` are further writes for the same transaction.
        """
        self.get(break_id)
        item = comment_item(break_id, comment_id, text=text, by=by, at_ms=at_ms, visibility=visibility)
        try:
            self.database.write([Insert(Table.RECONCILIATION, item), *beside])
        except WriteConflict:
            return

    def history(self, break_id: str) -> list[dict[str, Any]]:
        """Return the last ``HISTORY_LIMIT`` changes of a case, oldest first."""
        return [history_document(item) for item in self._under(break_id, CHANGE_PREFIX)]

    def comments(self, break_id: str) -> list[dict[str, Any]]:
        """Return the last ``HISTORY_LIMIT`` comments on a case, oldest first."""
        return [comment_document(item) for item in self._under(break_id, COMMENT_PREFIX)]

    def of_ids(self, break_ids: Sequence[str]) -> dict[str, Case]:
        """Return the existing cases of up to 100 distinct ids, strongly consistent, in one round trip."""
        keys = [case_key(break_id) for break_id in break_ids]
        found = self.database.get_many(Table.RECONCILIATION, keys) if keys else []
        return {item["break_id"]: case_from(item) for item in found}

    def with_status(self, status: CaseStatus) -> Iterator[Case]:
        """Yield every case of the status, the most urgent first. Eventually consistent."""
        yield from self._all(BY_STATUS_INDEX, ("case_status", status.value))

    def by_urgency(
        self, status: CaseStatus, *, limit: int, after: str | None = None, latest_first: bool = False
    ) -> tuple[list[Case], bool]:
        """Return up to ``limit`` cases of the status by their deadlines, and whether there are more. One query.

        ``after`` is the ``urgency_of`` of the previous page's last case. Eventually consistent.
        """
        page = self.database.query(
            Table.RECONCILIATION,
            index=BY_STATUS_INDEX,
            partition=("case_status", status.value),
            descending=latest_first,
            limit=limit,
            start=None if after is None else status_index_key(status, after),
        )
        return [case_from(item) for item in page.items], page.next_key is not None

    def of_merchant(
        self, merchant_id: str, *, limit: int, after: str | None = None, oldest_first: bool = False
    ) -> tuple[list[Case], bool]:
        """Return up to ``limit`` cases of the merchant, newest first unless said, and whether there are more.

        ``after`` is the ``position_of`` of the previous page's last case. One query. Eventually consistent.
        """
        page = self.database.query(
            Table.RECONCILIATION,
            index=BY_MERCHANT_INDEX,
            partition=("merchant_id", merchant_id),
            descending=not oldest_first,
            limit=limit,
            start=None if after is None else merchant_index_key(merchant_id, after),
        )
        return [case_from(item) for item in page.items], page.next_key is not None

    def changes_of(self, run_id: str) -> Iterator[tuple[str, CaseChange]]:
        """Yield (break id, change) for each case that the run opened, reopened or closed, over all its attempts."""
        for item in every_item(
            lambda start: self.database.query(
                Table.RECONCILIATION,
                partition=("pk", run_partition(run_id)),
                sort_prefix=("sk", RUN_CHANGE_PREFIX),
                limit=PAGE_SIZE,
                start=start,
            )
        ):
            yield item["break_id"], CaseChange(item["change"])

    def dismiss(self, break_id: str, *, reason: str, by: str, at_ms: int, beside: Sequence[Write] = ()) -> Case:
        """Record a person's judgement that there is no break; runs neither reopen nor close the case afterwards.

        Only an open case of a class that is not certain can be dismissed. Raises ``NotFound``,
        ``CorrectionStateConflict`` and ``WriteConflict``. ``beside`` are further writes for the same transaction.
        """
        case = self.get(break_id)
        if CLASSES[case.break_class].deterministic:
            raise CorrectionStateConflict(
                f"{case.break_class.value} follows from the rows alone: a run closes it when they agree."
            )
        if (case.status, CaseChange.DISMISSED) not in TRANSITIONS:
            raise CorrectionStateConflict(
                f"The break is {case.status.value}. Only an open one can be dismissed: reject a proposal first."
            )
        return self.change(case, CaseChange.DISMISSED, by=by, at_ms=at_ms, note=reason, beside=beside)

    def refused(self, break_id: str, *, by: str, at_ms: int, note: str, beside: Sequence[Write] = ()) -> None:
        """Add a refused attempt to the case's history, without changing the case."""
        entry = refused_entry(self.get(break_id), by=by, note=note, at_ms=at_ms)
        self.database.write([entry, *beside])

    def _under(self, break_id: str, prefix: str) -> list[Item]:
        page = self.database.query(
            Table.RECONCILIATION,
            partition=("pk", case_partition(break_id)),
            sort_prefix=("sk", prefix),
            descending=True,
            limit=HISTORY_LIMIT,
        )
        return page.items[::-1]

    def _all(self, index: str, partition: tuple[str, str]) -> Iterator[Case]:
        items = every_item(
            lambda start: self.database.query(
                Table.RECONCILIATION, index=index, partition=partition, limit=PAGE_SIZE, start=start
            )
        )
        return map(case_from, items)
