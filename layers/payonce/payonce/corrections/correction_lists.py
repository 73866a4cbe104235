"""Corrections by their status: all of them, or page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.corrections.record import Correction, CorrectionStatus, Identity, correction_from
from payonce.paging import every_item
from payonce.payments.corrective_plan import correction_key
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database, Item

BY_STATUS_INDEX = "corrections-by-status"
PAGE_SIZE = 100


def corrections_with_status(database: Database, status: CorrectionStatus) -> Iterator[Correction]:
    """Yield every correction of the status, ordered by expiry or else last change. Eventually consistent."""
    items = every_item(
        lambda start: database.query(
            Table.PAYMENTS,
            index=BY_STATUS_INDEX,
            partition=("correction_status", status.value),
            limit=PAGE_SIZE,
            start=start,
        )
    )
    return map(correction_from, items)


def corrections_page(
    database: Database,
    status: CorrectionStatus,
    *,
    limit: int,
    after: tuple[str, Identity] | None = None,
    latest_first: bool = False,
) -> tuple[list[Correction], str | None]:
    """Return up to ``limit`` corrections of the status, ordered as above, and the position of the next page.

    With ``latest_first`` the order is the other way round. The position is ``None`` at the end. ``after`` is the
    position of the page before, and the correction that it names, by the break's id behind its ``#``. One query.
    Eventually consistent.
    """
    start: Item | None = None
    if after is not None:
        position, last = after
        key = correction_key(last.merchant_id, last.payment_id, last.break_id)
        start = {**key, "correction_status": status.value, "listed_key": position}
    page = database.query(
        Table.PAYMENTS,
        index=BY_STATUS_INDEX,
        partition=("correction_status", status.value),
        descending=latest_first,
        limit=limit,
        start=start,
    )
    following = page.next_key
    return list(map(correction_from, page.items)), None if following is None else str(following["listed_key"])
