"""Stored forms of cases, their history and their comments, in the table ``reconciliation``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from payonce.outbox import created_key
from payonce.payments.corrective_plan import case_key
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.cases.case import Case, CaseChange, CaseStatus, evidence_document, evidence_from
from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from payonce.ports import Item, Write

BY_STATUS_INDEX = "cases-by-status"
BY_MERCHANT_INDEX = "cases-by-merchant"
CHANGE_PREFIX = "CHANGE#"
COMMENT_PREFIX = "COMMENT#"
RUN_CHANGE_PREFIX = "CASE#"
_PLAIN = (
    "break_id",
    "amount_minor",
    "currency",
    "occurred_at_ms",
    "opened_at_ms",
    "updated_at_ms",
    "due_at_ms",
    "version",
    "last_seen_run_id",
    "last_seen_at_ms",
    "payment_id",
    "gateway",
    "surplus_gateway_payment_id",
    "why",
    "assignee",
    "closed_by_run_id",
    "corrected_minor",
)
_MAY_LACK = ("why_reason", "merchant_assignee", "match_id")


class Visibility(StrEnum):
    """Who reads a comment: the operator alone, or the merchant too."""

    INTERNAL = "internal"
    MERCHANT = "merchant"


def case_partition(break_id: str) -> str:
    """Return the partition key of everything about one break."""
    return case_key(break_id)["pk"]


def position_of(case: Case) -> str:
    """Return the sort key of a case in its merchant's list."""
    return created_key(case.opened_at_ms, case.break_id)


def urgency_of(case: Case) -> str:
    """Return the sort key of a case among those of its status: by deadline, then id."""
    return created_key(case.due_at_ms, case.break_id)


def status_index_key(status: CaseStatus, urgency: str) -> Item:
    """Return the key of the case at ``urgency`` among those of the status."""
    return {**case_key(urgency.partition("#")[2]), "case_status": status.value, "due_key": urgency}


def merchant_index_key(merchant_id: str, position: str) -> Item:
    """Return the key of the case at ``position`` in the merchant's list."""
    return {**case_key(position.partition("#")[2]), "merchant_id": merchant_id, "opened_key": position}


def case_item(case: Case) -> Item:
    """Return the stored form of a case. A case without a merchant is in no merchant's list."""
    item: Item = {name: getattr(case, name) for name in (*_PLAIN, *_MAY_LACK)}
    item |= {
        **case_key(case.break_id),
        "break_class": case.break_class.value,
        "case_status": case.status.value,
        "subject": list(case.subject),
        "evidence": [evidence_document(row) for row in case.evidence],
        "due_key": urgency_of(case),
        "opened_key": position_of(case),
    }
    if case.merchant_id is not None:
        item["merchant_id"] = case.merchant_id
    return item


def case_from(item: Item) -> Case:
    """Return the case of a stored item."""
    plain: dict[str, Any] = {name: item[name] for name in _PLAIN} | {name: item.get(name) for name in _MAY_LACK}
    return Case(
        **plain,
        break_class=BreakClass(item["break_class"]),
        status=CaseStatus(item["case_status"]),
        subject=tuple(item["subject"]),
        evidence=tuple(evidence_from(row) for row in item["evidence"]),
        merchant_id=item.get("merchant_id"),
    )


def case_writes(
    before: Case | None, after: Case, change: CaseChange, *, by: str, note: str | None, at_ms: int | None = None
) -> list[Write]:
    """Return the writes of a change: the case, conditional on the version read, and an append-only history entry.

    ``at_ms`` is the time of the change if that differs from ``after.updated_at_ms``.
    """
    item = case_item(after)
    entry = _entry(after, change, by=by, note=note, at_ms=after.updated_at_ms if at_ms is None else at_ms)
    if before is None:
        return [Insert(Table.RECONCILIATION, item), Insert(Table.RECONCILIATION, entry)]
    key = case_key(after.break_id)
    written = Adjust(
        table=Table.RECONCILIATION,
        key=key,
        require={"version": before.version},
        set={name: value for name, value in item.items() if name not in key},
    )
    return [written, Insert(Table.RECONCILIATION, entry)]


def correcting_writes(before: Case, *, by: str, note: str, at_ms: int) -> list[Write]:
    """Return the writes for the claim of a correction: they require the case to be open and unchanged, and change it.

    So a run that read the case earlier has not closed it and can't close it now: the money may be on the way.
    """
    after = before.changed(CaseChange.CORRECTING, at_ms=at_ms)
    noted = Adjust(
        table=Table.RECONCILIATION,
        key=case_key(after.break_id),
        require={"version": before.version, "case_status": before.status.value},
        set={"version": after.version, "updated_at_ms": after.updated_at_ms},
    )
    entry = _entry(after, CaseChange.CORRECTING, by=by, note=note, at_ms=at_ms)
    return [noted, Insert(Table.RECONCILIATION, entry)]


def refused_entry(case: Case, *, by: str, note: str, at_ms: int) -> Write:
    """Return the history entry of a refused attempt, sorted after that of the case's last change."""
    entry = _entry(case, CaseChange.REFUSED, by=by, note=note, at_ms=at_ms)
    key = {"pk": entry.pop("pk"), "sk": f"{entry.pop('sk')}#{at_ms:013d}"}
    return Adjust(table=Table.RECONCILIATION, key=key, set=entry, upsert=True)


def _entry(after: Case, change: CaseChange, *, by: str, note: str | None, at_ms: int) -> Item:
    return {
        "pk": case_partition(after.break_id),
        "sk": f"{CHANGE_PREFIX}{after.version:010d}",
        "change": change.value,
        "case_status": after.status.value,
        "at_ms": at_ms,
        "by": by,
        "note": note,
    }


def run_partition(run_id: str) -> str:
    """Return the partition key of a run's changes of cases."""
    return f"RUN#{run_id}"


def run_change(run_id: str, break_id: str, change: CaseChange) -> Write:
    """Return the write that records a run's change, in the change's transaction, so that a resumed run counts it."""
    key = {"pk": run_partition(run_id), "sk": f"{RUN_CHANGE_PREFIX}{break_id}#{change.value}"}
    values = {"break_id": break_id, "change": change.value}
    return Adjust(table=Table.RECONCILIATION, key=key, set=values, upsert=True)


def comment_item(
    break_id: str, comment_id: str, *, text: str, by: str, at_ms: int, visibility: Visibility = Visibility.INTERNAL
) -> Item:
    """Return the stored form of a comment."""
    return {
        "pk": case_partition(break_id),
        "sk": f"{COMMENT_PREFIX}{created_key(at_ms, comment_id)}",
        "comment_id": comment_id,
        "text": text,
        "by": by,
        "at_ms": at_ms,
        "visibility": visibility.value,
    }


def history_document(item: Item) -> dict[str, Any]:
    """Return the shown form of a history entry."""
    return {
        "change": item["change"],
        "status": item["case_status"],
        "at_ms": item["at_ms"],
        "by": item["by"],
        "note": item["note"],
    }


def comment_document(item: Item) -> dict[str, Any]:
    """Return the shown form of a comment."""
    return {
        "id": item["comment_id"],
        "text": item["text"],
        "by": item["by"],
        "at_ms": item["at_ms"],
        "visibility": item.get("visibility", Visibility.INTERNAL.value),
    }
