"""All items of a query, page by page, and the cursors with which a client goes on from page to page.

A cursor holds a position and a checksum of the list it was given for, which is named by its ``Listing``: the route, the
merchant, what else the path names, and the filters. With any other list it is refused. The checksum is no secret: it
tells a mistake. What protects a merchant is that every query names the caller's own partition.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import Item, Page

type Listing = tuple[str | None, ...]  # a filter that is not given is None

CHECK_CHARACTERS = 8
# An id of ours, or the time and the id. Whoever forges a checksum still gives a key that a query can start at.
_POSITION = re.compile(r"(?:[0-9]{13}#)?[a-z]{2,3}_[0-9A-Za-z]{26,64}", re.ASCII)


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


def make_cursor(position: str, listing: Listing) -> str:
    """Return the cursor of ``position`` in ``listing``."""
    return base64.urlsafe_b64encode(f"{position}.{_check(position, listing)}".encode()).decode().rstrip("=")


def read_cursor(cursor: str, listing: Listing) -> str:
    """Return the position. Raises ``BodyMalformed`` unless the cursor was made for this ``listing``."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    position, _, check = text.rpartition(".")
    if not _POSITION.fullmatch(position) or check != _check(position, listing):
        raise BodyMalformed(
            "The cursor is not one that this API returned for this list with these filters. Start again without it."
        )
    return position


def _check(position: str, listing: Listing) -> str:
    # JSON keeps the parts apart: ("a", "b") and ("ab", None) are not the same text.
    return hashlib.sha256(json.dumps([*listing, position]).encode()).hexdigest()[:CHECK_CHARACTERS]
