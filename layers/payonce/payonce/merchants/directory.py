"""Which merchants there are, and which API keys each has: a page at a time, oldest first.

An entry only names what it stands for. It is written in the transaction that makes the merchant or the key, and what is
listed is read from the item that the authorizer reads, so that a list shows no other state than the one in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed, NotFound
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Database, Item, Key

MAX_PAGE_SIZE = 100
_MERCHANTS = "MERCHANTS"
_KEY_PREFIX = "KEY#"


@dataclass(frozen=True, slots=True)
class MerchantView:
    """A merchant. ``gateway`` is what its payments are routed to, "" for the default."""

    merchant_id: str
    name: str
    gateway: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class ApiKeyView:
    """An API key, without anything by which it could be used. ``revoked_at_ms`` is ``None`` while it is in force."""

    key_id: str
    holder: str
    scopes: tuple[str, ...]
    enabled: bool
    created_at_ms: int
    revoked_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Listed[T]:
    """A page. ``next_after`` is the id after which the next page begins, ``None`` on the last one."""

    data: list[T]
    next_after: str | None


def entry_of_merchant(merchant_id: str) -> Item:
    """Return the item by which the merchant is listed."""
    return {"pk": _MERCHANTS, "sk": merchant_id}


def entry_of_key(merchant_id: str, key_id: str, key_hash: str) -> Item:
    """Return the item by which the key is listed."""
    return {"pk": f"MERCHANT#{merchant_id}", "sk": f"{_KEY_PREFIX}{key_id}", "key_hash": key_hash}


def list_merchants(database: Database, *, limit: int, after: str | None = None) -> Listed[MerchantView]:
    """Return a page of 1 to 100 merchants. Raises ``BodyMalformed`` for another ``limit``."""
    return _page(
        database,
        _MERCHANTS,
        "",
        lambda entry: {"pk": f"MERCHANT#{entry['sk']}", "sk": "MERCHANT"},
        lambda entry, item: MerchantView(entry["sk"], item["name"], item["gateway"], item["created_at_ms"]),
        limit,
        after,
    )


def list_keys(database: Database, merchant_id: str, *, limit: int, after: str | None = None) -> Listed[ApiKeyView]:
    """Return a page of 1 to 100 of the merchant's API keys.

    Raises ``NotFound`` when there is no such merchant, and ``BodyMalformed`` for another ``limit``.
    """
    if database.get(Table.MERCHANTS, {"pk": f"MERCHANT#{merchant_id}", "sk": "MERCHANT"}) is None:
        raise NotFound(f"There is no merchant {merchant_id}.")
    return _page(
        database,
        f"MERCHANT#{merchant_id}",
        _KEY_PREFIX,
        lambda entry: {"pk": f"KEY#{entry['key_hash']}", "sk": "KEY"},
        _key_view,
        limit,
        after,
    )


def hash_of_key(database: Database, merchant_id: str, key_id: str) -> str:
    """Return the hash under which the merchant's key is stored. Raises ``NotFound``."""
    entry = database.get(Table.MERCHANTS, {"pk": f"MERCHANT#{merchant_id}", "sk": f"{_KEY_PREFIX}{key_id}"})
    if entry is None:
        raise NotFound(f"The merchant {merchant_id} has no key {key_id}: `payonce keys list {merchant_id}` names them.")
    return str(entry["key_hash"])


def _key_view(_entry: Item, item: Item) -> ApiKeyView:
    return ApiKeyView(
        item["key_id"],
        item.get("holder", ""),
        tuple(item["scopes"]),
        item["enabled"],
        item["created_at_ms"],
        item.get("revoked_at_ms"),
    )


def _page[T](
    database: Database,
    partition: str,
    prefix: str,
    key_of: Callable[[Item], Key],
    view_of: Callable[[Item, Item], T],
    limit: int,
    after: str | None,
) -> Listed[T]:
    if not 1 <= limit <= MAX_PAGE_SIZE:
        raise BodyMalformed(f"A page has 1 to {MAX_PAGE_SIZE} entries.")
    found = database.query(
        Table.MERCHANTS,
        partition=("pk", partition),
        sort_prefix=("sk", prefix) if prefix else None,
        limit=limit,
        start=None if after is None else {"pk": partition, "sk": f"{prefix}{after}"},
    )
    keys = [(key_of(entry), entry) for entry in found.items]
    items = database.get_many(Table.MERCHANTS, [key for key, _ in keys]) if keys else []
    stored = {(item["pk"], item["sk"]): item for item in items}
    views = [view_of(entry, stored[key["pk"], key["sk"]]) for key, entry in keys if (key["pk"], key["sk"]) in stored]
    following = found.next_key["sk"].removeprefix(prefix) if found.next_key else None
    return Listed(views, following)
