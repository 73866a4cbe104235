"""Reads all pages of a query, and makes the cursors with which a client asks for the next page of a list.

A cursor holds a position and a checksum of the list it was made for. The ``Listing`` names that list: the route, the
merchant, the path's other parameters, and the filters. Any other list refuses the cursor. The checksum is no secret: it
detects mistakes. A merchant is protected because every query names the caller's own partition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from payonce.domain.errors import CursorUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import Item, Page

type Listing = tuple[str | None, ...]  # None stands for a filter that is not given

CHECK_CHARACTERS = 8
# Our own id (an event's contains a resource's, and a version; a run's change of a case names the change) or a file's
# SHA-256, or a time and one of them. A forged checksum can still only yield a key at which a query may start.
_POSITION = re.compile(
    r"(?:[0-9]{13}#)?(?:(?:evt_)?[a-z]{2,6}_[0-9A-Za-z]{26,64}(?:_[0-9]{1,10}|#[a-z]{1,20})?|[0-9a-f]{64})", re.ASCII
)


class ListView(TypedDict):
    """A page of a list, whatever its entries are; one without a cursor is whole."""

    object: Literal["list"]
    data: list[Mapping[str, Any]]
    next_cursor: NotRequired[str | None]


def every_item(page_from: Callable[[Item | None], Page]) -> Iterator[Item]:
    """Yield the items of every page, in order. A page is read only when the items before it have been consumed.

    ``page_from`` makes the query, given its ``start`` (``None`` for the first page). Its errors pass through.
    """
    start: Item | None = None
    while True:
        page = page_from(start)
        yield from page.items
        start = page.next_key
        if start is None:
            return


def make_cursor(position: str, listing: Listing) -> str:
    """Return the cursor of ``position`` in ``listing``."""
    return base64.urlsafe_b64encode(f"{position}.{_check(position, listing)}".encode()).decode().rstrip("=")


def read_cursor(cursor: str, listing: Listing) -> str:
    """Return the position. Raises ``CursorUnknown`` unless the cursor was made for this ``listing``."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    position, _, check = text.rpartition(".")
    if not _POSITION.fullmatch(position) or check != _check(position, listing):
        raise CursorUnknown(
            "The cursor is not one that this API returned for this list with these filters. Start again without it."
        )
    return position


def _check(position: str, listing: Listing) -> str:
    # JSON keeps the parts apart: ("a", "b") and ("ab", None) are different texts.
    return hashlib.sha256(json.dumps([*listing, position]).encode()).hexdigest()[:CHECK_CHARACTERS]
