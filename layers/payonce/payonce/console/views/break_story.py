"""What happened to a break, oldest first: the runs' and people's changes, its correction's steps, and the comments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.corrections.record import steps_of
from payonce.reconciliation.cases.case_items import Visibility
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.merchant import get_history, shown_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from payonce.corrections.record import Correction
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry. ``tone`` is good, warn, bad or ""; ``note`` is text of people or of programs."""

    at_ms: int
    what: str
    by: str
    note: str
    tone: str = ""


def story_of(
    database: Database,
    case: Case,
    correction: Correction | None,
    trail: Iterable[Mapping[str, Any]],
    *,
    bound: bool,
) -> tuple[Moment, ...]:
    """Return the story. Two round trips, three for an operator of the merchant (``bound``), who sees its part alone.

    ``trail`` are the refused attempts and restarts of the correction. Raises ``StoreUnavailable``.
    """
    entries = _merchants(database, case) if bound else _operators(database, case)
    told = shown_by if bound else str
    steps = [] if correction is None else [_step(entry, told) for entry in steps_of(correction)]
    tried = [_tried(entry, told) for entry in trail]
    return tuple(sorted([*entries, *steps, *tried], key=lambda moment: moment.at_ms))


def _operators(database: Database, case: Case) -> Iterator[Moment]:
    store = CaseStore(database)
    for entry in store.history(case.break_id):
        yield _change(entry)
    for entry in store.comments(case.break_id):
        read_too = entry["visibility"] == Visibility.MERCHANT.value
        yield Moment(
            entry["at_ms"], "comment, which the merchant reads" if read_too else "comment", entry["by"], entry["text"]
        )


def _merchants(database: Database, case: Case) -> Iterator[Moment]:
    for entry in get_history(database, case.merchant_id or "", case.break_id):
        if entry["object"] == "comment":
            yield Moment(entry["at_ms"], "comment", entry["by"], entry["text"])
        else:
            yield _change(entry)


def _change(entry: Mapping[str, Any]) -> Moment:
    tones = {"found": "bad", "reopened": "bad", "proved": "good", "refused": "warn"}
    return Moment(entry["at_ms"], entry["change"], entry["by"], entry["note"] or "", tones.get(entry["change"], ""))


def _step(entry: Mapping[str, Any], told: Any) -> Moment:
    tones = {"corrected": "good", "failed": "bad", "expired": "warn", "awaiting_approval": "warn"}
    what = f"correction {str(entry['status']).replace('_', ' ')}, version {entry['proposal_version']}"
    return Moment(entry["at_ms"], what, told(entry["by"]), entry["outcome"] or "", tones.get(entry["status"], ""))


def _tried(entry: Mapping[str, Any], told: Any) -> Moment:
    refused = bool(entry["refused"])
    what = f"{entry['what']} {'refused' if refused else 'made'}"
    return Moment(entry["at_ms"], what, told(entry["by"]), entry["text"], "warn" if refused else "")
