"""Reads set-ups and saved payment methods, and pages of a customer's, always within one merchant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NotFound
from payonce.paging import make_cursor, read_cursor
from payonce.payments.setup_items import (
    METHODS,
    SETUPS,
    customer_partition,
    find_method,
    find_setup,
    method_from,
    method_key,
    setup_from,
    setup_key,
)
from payonce.payments.setup_views import method_view, setup_view
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.setup import SavedMethod, Setup
    from payonce.paging import ListView
    from payonce.ports import Database, Item, Key


def load_setup(database: Database, merchant_id: str, setup_id: str) -> Setup:
    """Return the merchant's set-up as it is stored now. Raises ``NotFound``."""
    setup = find_setup(database, merchant_id, setup_id)
    if setup is None:
        raise NotFound(f"There is no setup {setup_id}.")
    return setup


def load_method(database: Database, merchant_id: str, method_id: str) -> SavedMethod:
    """Return the merchant's saved payment method as it is stored now. Raises ``NotFound``."""
    method = find_method(database, merchant_id, method_id)
    if method is None:
        raise NotFound(f"There is no payment method {method_id}.")
    return method


def list_setups(database: Database, merchant_id: str, customer: str, *, limit: int, cursor: str | None) -> ListView:
    """Return a page of the customer's set-ups, newest first, and the cursor of the next page.

    Strongly consistent. Raises ``BodyMalformed`` for the cursor of another list.
    """
    return _page(
        database,
        merchant_id,
        customer,
        SETUPS,
        key_of=setup_key,
        view_of=lambda item: setup_view(setup_from(item)),
        limit=limit,
        cursor=cursor,
    )


def list_methods(database: Database, merchant_id: str, customer: str, *, limit: int, cursor: str | None) -> ListView:
    """Return a page of the customer's saved payment methods, revoked ones included, newest first.

    Strongly consistent. Raises ``BodyMalformed`` for the cursor of another list.
    """
    return _page(
        database,
        merchant_id,
        customer,
        METHODS,
        key_of=method_key,
        view_of=lambda item: method_view(method_from(item)),
        limit=limit,
        cursor=cursor,
    )


def _page(
    database: Database,
    merchant_id: str,
    customer: str,
    listed: str,
    *,
    key_of: Callable[[str, str], Key],
    view_of: Callable[[Item], Any],
    limit: int,
    cursor: str | None,
) -> ListView:
    listing = (listed, merchant_id, customer)
    start = None
    if cursor is not None:
        start = {"pk": customer_partition(merchant_id, customer), "sk": listed + read_cursor(cursor, listing)}
    page = database.query(
        Table.PAYMENTS,
        partition=("pk", customer_partition(merchant_id, customer)),
        sort_prefix=("sk", listed),
        descending=True,
        limit=limit,
        start=start,
    )
    ids = [str(entry["sk"]).removeprefix(listed) for entry in page.items]
    items = database.get_many(Table.PAYMENTS, [key_of(merchant_id, each) for each in ids]) if ids else []
    found = {item["pk"]: item for item in items}
    more = None if page.next_key is None else make_cursor(ids[-1], listing)
    data = [view_of(found[key_of(merchant_id, each)["pk"]]) for each in ids]
    return {"object": "list", "data": data, "next_cursor": more}
