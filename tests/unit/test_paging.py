"""All items of a query: every page, in order, and none before it is needed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from payonce.paging import every_item
from payonce.ports import Page

if TYPE_CHECKING:
    from payonce.ports import Item

PAGES = [Page([{"n": 1}, {"n": 2}], {"at": 1}), Page([], {"at": 2}), Page([{"n": 3}], None)]


def test_every_page_is_taken_in_order_an_empty_one_is_not_the_end_and_none_is_asked_for_too_early() -> None:
    """Fails when the loop ends with an empty page, which DynamoDB may give in the middle, or reads ahead."""
    asked: list[Item | None] = []

    def page_from(start: Item | None) -> Page:
        asked.append(start)
        return PAGES[len(asked) - 1]

    items = every_item(page_from)
    assert [item["n"] for item in islice(items, 2)] == [1, 2]
    assert asked == [None]
    assert [item["n"] for item in items] == [3]
    assert asked == [None, {"at": 1}, {"at": 2}]
