"""Reads one list that is spread over several partitions, merged by its sort key.

A partition takes 1,000 write units a second (DynamoDB Developer Guide, bp-partition-key-design.html). A list that may
need more is spread by its entries' ids, and whoever reads it asks every partition for a page and merges them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.ports import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Database, Item, Table


LAST = "~"  # sorts after every character of an id or a time


def just_before(position: str) -> str:
    """Return the greatest text before ``position``: a page in descending order goes on there."""
    return position[:-1] + chr(ord(position[-1]) - 1) + LAST


def merged_page(
    database: Database,
    table: Table,
    partitions: Sequence[tuple[str, str]],
    sort: str,
    *,
    index: str | None = None,
    after: str,
    until: str,
    limit: int,
    descending: bool = False,
) -> Page:
    """Return a page of the ``partitions`` (attribute and value each) with a ``sort`` after ``after``, up to ``until``.

    The page's ``next_key`` holds the last one's ``sort`` alone: a reader goes on from there with it as ``after``, or
    with what is ``just_before`` it as ``until`` where the order is ``descending``. As consistent as one query is.
    """
    # No id, nor a time before one, contains a character as small as a space: nothing lies between the two.
    beyond = after + " "
    if beyond > until:
        return Page([], None)
    pages = [
        database.query(
            table,
            index=index,
            partition=partition,
            sort_at_least=(sort, beyond),
            sort_at_most=(sort, until),
            descending=descending,
            limit=limit,
        )
        for partition in partitions
    ]

    def place(item: Item) -> str:
        return str(item[sort])

    merged = sorted((item for page in pages for item in page.items), key=place, reverse=descending)
    items = merged[:limit]
    more = len(merged) > limit or any(page.next_key is not None for page in pages)
    return Page(items, {sort: place(items[-1])} if more else None)
