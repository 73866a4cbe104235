"""Open breaks by the day on which they were opened, so that their number and age are read and not counted.

::

    pk BREAKS#<merchant, or * for all>   sk <day since 1970>   open
    pk SEEN#<break>                      sk <version>          purge_at

Each change of a case has a version. The count and a marker of the version are one transaction, so a change that the
stream brings again finds its marker. Items stay: one of 100 bytes for each day on which breaks were opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS, DAY_SECONDS
from payonce.domain.errors import WriteConflict
from payonce.overview.scopes import EVERYBODY
from payonce.paging import every_item
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from payonce.ports import Database, Item

PREFIX = "BREAKS#"
MARKER_PREFIX = "SEEN#"
DAY_DIGITS = 6
OPEN = "open"
MARKER_SECONDS = 3 * DAY_SECONDS  # a stream keeps its records for one day
PAGE_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class CaseMoved:
    """A case that was opened (``by`` 1) or is no longer open (-1)."""

    break_id: str
    version: int
    merchant_id: str | None
    opened_day: int
    by: int


def moved(before: Item | None, after: Item | None) -> CaseMoved | None:
    """Return how a change of an item moved the number of open breaks; ``None`` if it did not, or is no case's."""
    item = after or before or {}
    if "case_status" not in item or "break_class" not in item:
        return None
    was = before is not None and before.get("case_status") == OPEN
    now = after is not None and after.get("case_status") == OPEN
    if was == now:
        return None
    merchant = item.get("merchant_id")
    return CaseMoved(
        str(item["break_id"]),
        int(item["version"]),
        merchant if isinstance(merchant, str) else None,
        int(item["opened_at_ms"]) // DAY_MS,
        1 if now else -1,
    )


def add_move(database: Database, move: CaseMoved, *, now_ms: int) -> bool:
    """Count a change; return False if it was counted before. Raises ``StoreUnavailable`` and ``OutcomeUnknown``."""
    purge_at = now_ms // 1000 + MARKER_SECONDS
    marker = {"pk": MARKER_PREFIX + move.break_id, "sk": f"{move.version:010d}", "purge_at": purge_at}
    scopes = [EVERYBODY, *([move.merchant_id] if move.merchant_id else [])]
    adds = [
        Adjust(
            table=Table.OVERVIEW,
            key={"pk": PREFIX + scope, "sk": f"{move.opened_day:0{DAY_DIGITS}d}"},
            add={OPEN: move.by},
            upsert=True,
        )
        for scope in scopes
    ]
    try:
        database.write([Insert(Table.OVERVIEW, marker), *adds])
    except WriteConflict as conflict:
        if conflict.index:
            raise
        return False
    return True


def open_by_day(database: Database, scope: str) -> dict[int, int]:
    """Return the numbers of open breaks of a scope by the day (since 1970) on which they were opened.

    A day can be below zero on a stack that had breaks before its overview: of these only the end was counted. It is
    left out, so that it hides no break of another day.
    """
    items = every_item(
        lambda start: database.query(Table.OVERVIEW, partition=("pk", PREFIX + scope), limit=PAGE_ITEMS, start=start)
    )
    return {int(item["sk"]): item[OPEN] for item in items if item.get(OPEN, 0) > 0}
