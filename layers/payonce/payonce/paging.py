"""All items of a query, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import Item, Page


def every_item(page_from: Callable[[Item | None], Page]) -> Iterator[Item]:
    """Yield the items of every page, in order. A page is asked for when the one before it has been taken.

    ``page_from`` makes the query: it is given its ``start``, ``None`` for the first page. Raises what it raises.
    """
    start: Item | None = None
    while True:
        page = page_from(start)
        yield from page.items
        start = page.next_key
        if start is None:
            return
