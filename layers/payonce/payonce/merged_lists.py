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
    """Return the greatest text before ``position``: a page in descending order goes on there.

    Not ``position`` without its last character: another entry may differ from it in that alone.
    """
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

    The page's ``next_key`` holds only the ``sort`` up to which the page is whole: a reader goes on from there with it
    as ``after``, or with what is ``just_before`` it as ``until`` where the order is ``descending``. A page may be
    short although there is a next one. As consistent as one query is.
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

    # A query's answer ends at 1 MB, before its limit (DynamoDB Developer Guide, Query.Pagination.html). What another
    # partition has beyond such an end is not next in order: what this one has in between was not read yet.
    ends = [place(page.next_key) for page in pages if page.next_key is not None]
    end = (max(ends) if descending else min(ends)) if ends else None
    merged = sorted((item for page in pages for item in page.items), key=place, reverse=descending)
    known = [item for item in merged if end is None or (place(item) >= end if descending else place(item) <= end)]
    if len(known) > limit:
        return Page(known[:limit], {sort: place(known[limit - 1])})
    return Page(known, None if end is None else {sort: end})
