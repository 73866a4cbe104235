"""The rows that are neither matched nor a break, each with its reason: their sums, the largest, and all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from payonce.reconciliation.matching.run_result import OpenTotal
from payonce.reconciliation.model import OpenItem, Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    Row = Sequence[Any]
    Query = Callable[[str], Iterable[Row]]

MAX_OPEN_ITEMS: Final = 100_000  # of a family, in memory at once; the totals count every one
_COLUMNS: Final = "source, row_key, reason, currency, amount_minor, at_ms, gateway, label"


def largest_open_items(query: Query, families: Sequence[str]) -> tuple[OpenItem, ...]:
    """Return the items, the largest amounts first, at most ``MAX_OPEN_ITEMS`` of a family; ``open_totals`` has all."""
    items = [
        _item(row)
        for family in families
        for row in query(
            f"SELECT {_COLUMNS} FROM {family}_open_item "  # noqa: S608
            f"ORDER BY abs(amount_minor) DESC, source, row_key LIMIT {MAX_OPEN_ITEMS}"
        )
    ]
    return tuple(sorted(items, key=lambda item: (item.source.value, item.reason, item.at_ms, item.row_key)))


def open_items_of(query: Query, families: Sequence[str]) -> Iterator[OpenItem]:
    """Yield every item, in an order that the rows alone decide."""
    for family in families:
        text = f"SELECT {_COLUMNS} FROM {family}_open_item ORDER BY source, reason, at_ms, row_key"  # noqa: S608
        yield from map(_item, query(text))


def open_totals(query: Query, families: Sequence[str]) -> tuple[OpenTotal, ...]:
    """Return how many items there are by source, reason and currency, and their sums."""
    rows = [
        OpenTotal(Source(source), reason, currency, int(count), int(amount))
        for family in families
        for source, reason, currency, count, amount in query(
            f"SELECT source, reason, currency, count(*), sum(amount_minor) FROM {family}_open_item "  # noqa: S608
            "GROUP BY source, reason, currency"
        )
    ]
    return tuple(sorted(rows, key=lambda row: (row.source.value, row.reason, row.currency)))


def _item(row: Row) -> OpenItem:
    return OpenItem(
        source=Source(row[0]),
        row_key=row[1],
        reason=row[2],
        currency=row[3],
        amount_minor=int(row[4]),
        at_ms=int(row[5]),
        gateway=row[6],
        label=row[7],
    )
