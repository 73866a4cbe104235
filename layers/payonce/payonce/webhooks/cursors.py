"""Cursors of pages: a position and whose it is. Another merchant's, or another list's, is told apart and refused.

That is a courtesy to who mixes them up: what protects a merchant is that every query has its own id in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from payonce.domain.errors import BodyMalformed

CHECK_CHARACTERS = 8


def make_cursor(position: str, scope: str) -> str:
    """Return the cursor of ``position`` in the list that ``scope`` names."""
    return base64.urlsafe_b64encode(f"{position}.{_check(position, scope)}".encode()).decode().rstrip("=")


def read_cursor(cursor: str, scope: str) -> str:
    """Return the position. Raises ``BodyMalformed`` unless the cursor was made for this ``scope``."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    position, _, check = text.rpartition(".")
    if not position or check != _check(position, scope):
        raise BodyMalformed("The cursor is not one that this API returned for this list. Start again without it.")
    return position


def _check(position: str, scope: str) -> str:
    return hashlib.sha256(f"{scope}\n{position}".encode()).hexdigest()[:CHECK_CHARACTERS]
