"""The store of matches by hand, in the table ``reconciliation``.

::

    MATCHES        time#id        each match and each taking back, as it was made; only ever added to. Runs read it
    MATCH#<id>     MATCH          the match, and who took it back
    MATCHED#<row>  ROW            that a match in force has the row, so that no other one can have it
    BREAK#<id>     MATCH#<id>     that the match is about the break; beside it an entry in the break's history
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.errors import MatchConflict, NotFound
from payonce.outbox import created_key
from payonce.paging import every_item
from payonce.payments.corrective_plan import case_key
from payonce.ports import Adjust, Delete, Insert, Table
from payonce.reconciliation.cases.case import CaseChange, CaseStatus
from payonce.reconciliation.cases.case_items import case_from, case_partition, case_writes
from payonce.reconciliation.cases.manual_match import already_matched, row_ref
from payonce.reconciliation.manual import Match

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Database, Item, Key, Write
    from payonce.reconciliation.cases.case import Case
    from payonce.reconciliation.manual import RowRef

LOG_PARTITION: Final = "MATCHES"
OF_BREAK_PREFIX: Final = "MATCH#"
MAX_MATCH_BREAKS: Final = 10  # each takes three writes of the transaction
MAX_OF_BREAK: Final = 100  # of one break the last so many are read, one BatchGetItem
PAGE_SIZE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMatch:
    """A match with what the store knows beside it. ``merchant_id`` is that of the merchant whose key made it."""

    match: Match
    break_ids: tuple[str, ...]
    merchant_id: str | None
    taken_back_by: str | None = None
    taken_back_reason: str | None = None
    taken_back_at_ms: int | None = None


class MatchStore:
    """Reads matches, and returns the writes that make or take back one.

    Its methods raise ``StoreUnavailable``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_force(self) -> tuple[Match, ...]:
        """Return the matches that runs go by, the oldest first."""
        made: dict[str, Match] = {}
        for item in every_item(
            lambda start: self._database.query(
                Table.RECONCILIATION, partition=("pk", LOG_PARTITION), limit=PAGE_SIZE, start=start
            )
        ):
            if item["record"] == "match":
                made[item["match_id"]] = _match_from(item)
            else:
                made.pop(item["match_id"], None)
        return tuple(made.values())

    def get(self, match_id: str) -> StoredMatch:
        """Return the match, also one that was taken back. Raises ``NotFound``."""
        item = self._database.get(Table.RECONCILIATION, _match_key(match_id))
        if item is None:
            raise NotFound(f"There is no match {match_id}.")
        return _stored_from(item)

    def of_break(self, break_id: str) -> list[StoredMatch]:
        """Return the last ``MAX_OF_BREAK`` matches about the break, oldest first."""
        page = self._database.query(
            Table.RECONCILIATION,
            partition=("pk", case_partition(break_id)),
            sort_prefix=("sk", OF_BREAK_PREFIX),
            descending=True,
            limit=MAX_OF_BREAK,
        )
        keys = [_match_key(item["match_id"]) for item in page.items]
        found = [_stored_from(item) for item in self._database.get_many(Table.RECONCILIATION, keys)] if keys else []
        return sorted(found, key=lambda one: (one.match.at_ms, one.match.match_id))

    def cases(self, break_ids: Sequence[str]) -> list[Case]:
        """Return the cases, which must be open. Raises ``NotFound`` and ``MatchConflict``."""
        keys = [case_key(break_id) for break_id in break_ids]
        found = {item["break_id"]: case_from(item) for item in self._database.get_many(Table.RECONCILIATION, keys)}
        for break_id in break_ids:
            if break_id not in found:
                raise NotFound(f"There is no break {break_id}.")
            case = found[break_id]
            if case.match_id is not None:
                raise MatchConflict(f"{break_id} is in the match {case.match_id} already. Take that one back first.")
            if case.status is not CaseStatus.OPEN:
                raise MatchConflict(f"{break_id} is {case.status.value}: only an open break can be matched.")
        return [found[break_id] for break_id in break_ids]

    def writes_of(self, match: Match, cases: Sequence[Case], *, merchant_id: str | None) -> list[Write]:
        """Return the writes that make the match. Raises ``MatchConflict`` if another one has a row of it."""
        locks = {_lock_key(row)["pk"]: row for row in match.rows}
        for item in self._database.get_many(Table.RECONCILIATION, [_lock_key(row) for row in match.rows]):
            raise already_matched(locks[item["pk"]], item["match_id"])
        document = _document(match, cases, merchant_id)
        listed = {**document, "pk": LOG_PARTITION, "sk": created_key(match.at_ms, match.match_id), "record": "match"}
        writes: list[Write] = [
            Insert(Table.RECONCILIATION, {**document, **_match_key(match.match_id), "taken_back_at_ms": None}),
            Insert(Table.RECONCILIATION, listed),
        ]
        writes += [Insert(Table.RECONCILIATION, {**_lock_key(row), "match_id": match.match_id}) for row in match.rows]
        for case in cases:
            pointer = {"pk": case_partition(case.break_id), "sk": f"{OF_BREAK_PREFIX}{match.match_id}"}
            writes.append(Insert(Table.RECONCILIATION, {**pointer, "match_id": match.match_id}))
            writes += _changed(
                case, CaseChange.MATCHED, match.match_id, by=match.by, note=match.reason, at_ms=match.at_ms
            )
        return writes

    def undoing(self, stored: StoredMatch, *, reason: str, by: str, at_ms: int) -> list[Write]:
        """Return the writes that take the match back. Raises ``MatchConflict`` if that has been done."""
        match = stored.match
        if stored.taken_back_at_ms is not None:
            raise MatchConflict(f"The match {match.match_id} is taken back already.")
        values = {"taken_back_at_ms": at_ms, "taken_back_by": by, "taken_back_reason": reason}
        listed = {"pk": LOG_PARTITION, "sk": f"{created_key(at_ms, match.match_id)}#UNMATCH", "record": "unmatch"}
        writes: list[Write] = [
            Adjust(
                table=Table.RECONCILIATION,
                key=_match_key(match.match_id),
                require={"taken_back_at_ms": None},
                set=values,
            ),
            Insert(Table.RECONCILIATION, {**listed, **values, "match_id": match.match_id}),
        ]
        writes += [
            Delete(table=Table.RECONCILIATION, key=_lock_key(row), require={"match_id": match.match_id})
            for row in match.rows
        ]
        keys = [case_key(break_id) for break_id in stored.break_ids]
        for item in self._database.get_many(Table.RECONCILIATION, keys) if keys else []:
            writes += _changed(case_from(item), CaseChange.UNMATCHED, None, by=by, note=reason, at_ms=at_ms)
        return writes


def _changed(case: Case, change: CaseChange, match_id: str | None, *, by: str, note: str, at_ms: int) -> list[Write]:
    # updated_at_ms stays: it decides which run may judge the case, and only a run judges it.
    after = replace(case.changed(change, at_ms=case.updated_at_ms), match_id=match_id)
    return case_writes(case, after, change, by=by, note=note, at_ms=at_ms)


def _match_key(match_id: str) -> Key:
    return {"pk": f"MATCH#{match_id}", "sk": "MATCH"}


def _lock_key(row: RowRef) -> Key:
    return {"pk": f"MATCHED#{hashlib.sha256(str(row).encode()).hexdigest()}", "sk": "ROW"}


def _document(match: Match, cases: Sequence[Case], merchant_id: str | None) -> Item:
    return {
        "match_id": match.match_id,
        "rows": [str(row) for row in match.rows],
        "reason": match.reason,
        "by": match.by,
        "at_ms": match.at_ms,
        "accept_difference": match.accept_difference,
        "break_ids": [case.break_id for case in cases],
        # Not under the name by which the index of a merchant's cases would list it.
        "made_for": merchant_id,
    }


def _match_from(item: Item) -> Match:
    return Match(
        match_id=item["match_id"],
        rows=tuple(row for text in item["rows"] if (row := row_ref(text)) is not None),
        reason=item["reason"],
        by=item["by"],
        at_ms=item["at_ms"],
        accept_difference=item["accept_difference"],
    )


def _stored_from(item: dict[str, Any]) -> StoredMatch:
    return StoredMatch(
        match=_match_from(item),
        break_ids=tuple(item["break_ids"]),
        merchant_id=item["made_for"],
        taken_back_by=item.get("taken_back_by"),
        taken_back_reason=item.get("taken_back_reason"),
        taken_back_at_ms=item["taken_back_at_ms"],
    )
