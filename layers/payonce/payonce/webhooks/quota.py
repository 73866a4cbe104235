"""Limits a merchant's endpoints with a counter that every creation decrements, on condition that it is positive.

Counting before writing would let two concurrent creations pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.endpoint import MAX_ENDPOINTS_PER_MERCHANT
from payonce.domain.errors import EndpointLimitReached
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from payonce.ports import Database, Key, Write

LEFT = "endpoints_left"


def quota_key(merchant_id: str) -> Key:
    """Return the key of the merchant's counter, in the partition of its endpoints."""
    return {"pk": merchant_id, "sk": "QUOTA"}


def take_write(database: Database, merchant_id: str) -> Write:
    """Return the write that takes one from the quota, refused at zero. Raises ``EndpointLimitReached``."""
    item = database.get(Table.ENDPOINTS, quota_key(merchant_id))
    if item is None:
        return Insert(Table.ENDPOINTS, {**quota_key(merchant_id), LEFT: MAX_ENDPOINTS_PER_MERCHANT - 1})
    if item[LEFT] < 1:
        raise EndpointLimitReached(
            f"There are {MAX_ENDPOINTS_PER_MERCHANT} webhook endpoints, which is the limit. Delete one that is no "
            "longer used."
        )
    return Adjust(table=Table.ENDPOINTS, key=quota_key(merchant_id), minimum={LEFT: 1}, add={LEFT: -1})


def give_back_write(merchant_id: str) -> Write:
    """Return the write that returns one to the quota, for an endpoint's deletion."""
    return Adjust(table=Table.ENDPOINTS, key=quota_key(merchant_id), add={LEFT: 1})
