"""Keys in flight and in doubt, oldest first, and what became of one key.

The index of open claims is read shard by shard, each up to a bound. While fewer are open than that, which is always but
in a large outage, the list is whole; else it shows the claims that are due first, and says so.

Allowed: dynamodb:Query on IdempotencyTable's index open-leases; dynamodb:BatchGetItem on IdempotencyTable;
dynamodb:Query on AuditTable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payonce.console.exports import Instant, Sheet
from payonce.console.views.asked import text_of
from payonce.console.views.claim_stories import MOST_ENTRIES, ClaimStory
from payonce.console.views.key_rows import key_row
from payonce.console.views.moments import moments_of_claim
from payonce.domain.errors import BodyMalformed
from payonce.idempotency.keys import MAX_KEY_CHARACTERS, MIN_KEY_CHARACTERS, record_id
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.records import RecordStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.views.key_rows import KeyRow
    from payonce.console.views.sources import Sources
    from payonce.console.views.time_line import Moment
    from payonce.idempotency.open_claims import OpenClaim

PAGE_ROWS: Final = 50
CLAIMS_A_SHARD: Final = 100  # of 32 shards: 3,200 open claims, some 120 read units, and one unit while few are open
# A younger claim is a request that is being answered: see payonce.recovery.backlog.
DOUBT_AGE_MS: Final = 60_000
_KEY = re.compile(rf"[\x21-\x7e]{{{MIN_KEY_CHARACTERS},{MAX_KEY_CHARACTERS}}}")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What became of a key: a row for each of its operations that is stored, and the trail of all of them."""

    key: str
    rows: tuple[KeyRow, ...]
    moments: tuple[Moment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysPage:
    """The page. ``open_count`` are the open claims that were read, of which ``old_count`` are older than a minute.

    ``is_whole``: there are no others. ``next_page`` is the number of the next page, ``None`` on the last one.
    """

    rows: tuple[KeyRow, ...]
    open_count: int
    old_count: int
    is_whole: bool
    page: int
    next_page: int | None
    looked_up: LookedUp | None


def keys_page(sources: Sources, merchant_id: str | None, query: Mapping[str, str]) -> KeysPage:
    """Return the open claims of the merchant, or of everybody; with ``?key=`` also what became of that key.

    Raises ``BodyMalformed`` for what is no key, and for a key without a merchant.
    """
    now_ms = sources.clock.now_ms()
    claims, is_whole = _open_claims(sources, merchant_id)
    page = _page_number(query)
    first = (page - 1) * PAGE_ROWS
    return KeysPage(
        rows=_rows(sources, claims[first : first + PAGE_ROWS], now_ms),
        open_count=len(claims),
        old_count=sum(claim.created_at_ms <= now_ms - DOUBT_AGE_MS for claim in claims),
        is_whole=is_whole,
        page=page,
        next_page=page + 1 if len(claims) > first + PAGE_ROWS else None,
        looked_up=_looked_up(sources, merchant_id, query, now_ms),
    )


def keys_sheet(sources: Sources, merchant_id: str | None) -> Sheet:
    """Return the first thousand open claims as a table to be saved, oldest first."""
    now_ms = sources.clock.now_ms()
    claims, _ = _open_claims(sources, merchant_id)
    rows = [
        row
        for first in range(0, min(len(claims), 1_000), 100)
        for row in _rows(sources, claims[first : first + 100], now_ms)
    ]
    columns = (
        ("merchant", 32), ("operation", 20), ("state", 12), ("gateway", 14), ("payment", 40), ("owners", 8),
        ("age in seconds", 10), ("due", 20), ("created", 20), ("look up as", 36), ("record", 60),
    )  # fmt: skip
    cells = [
        (
            row.scope, row.view["operation"], row.view["state"].value, row.lane, row.path.removeprefix("/payments/"),
            row.view["attempts"], row.age_ms // 1000,
            None if row.view["lease_expires_at_ms"] is None else Instant(row.view["lease_expires_at_ms"]),
            None if row.view["created_at_ms"] is None else Instant(row.view["created_at_ms"]),
            ", ".join(row.references), row.record_id,
        )
        for row in rows
    ]  # fmt: skip
    return Sheet("Open keys", columns, cells)


def _open_claims(sources: Sources, merchant_id: str | None) -> tuple[list[OpenClaim], bool]:
    pages = sources.each(
        lambda shard: sources.store.open_page(shard, limit=CLAIMS_A_SHARD), list(range(OPEN_LEASE_SHARDS))
    )
    whose = "" if merchant_id is None else f"{merchant_id}#"
    claims = [claim for page in pages for claim in page.claims if claim.record_id.startswith(whose)]
    claims.sort(key=lambda claim: (claim.created_at_ms, claim.record_id))
    return claims, all(page.next_key is None for page in pages)


def _rows(sources: Sources, claims: Sequence[OpenClaim], now_ms: int) -> tuple[KeyRow, ...]:
    """Return the claims' rows as they are stored now: the index is a little behind."""
    if not claims:
        return ()
    records = {record.record_id: record for record in sources.store.get_many([claim.record_id for claim in claims])}
    found = [records[claim.record_id] for claim in claims if claim.record_id in records]
    return tuple(key_row(record, now_ms=now_ms) for record in found if record.status is not RecordStatus.COMPLETED)


def _looked_up(sources: Sources, merchant_id: str | None, query: Mapping[str, str], now_ms: int) -> LookedUp | None:
    key = text_of(query, "key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise BodyMalformed("An idempotency key has 16 to 255 visible ASCII characters.")
    if merchant_id is None:
        raise BodyMalformed("A key is one merchant's: choose a merchant first.")
    ids = [record_id(merchant_id, operation, key) for operation in sources.operations]
    records = {record.record_id: record for record in sources.store.get_many(ids)}
    # A record that was given back is gone, and its trail is not: of one that is stored, the trail is its history.
    told = sources.each(lambda one: sources.trail.history(one, limit=MOST_ENTRIES), ids)
    moments = [
        moment
        for one, history in zip(ids, told, strict=True)
        for moment in moments_of_claim(ClaimStory(record_id=one, record=records.get(one), history=tuple(history)))
    ]
    return LookedUp(
        key=key,
        rows=tuple(key_row(records[one], now_ms=now_ms) for one in ids if one in records),
        moments=tuple(sorted(moments, key=lambda moment: moment.order)),
    )


def _page_number(query: Mapping[str, str]) -> int:
    text = text_of(query, "page") or "1"
    if not _NUMBER.fullmatch(text):
        raise BodyMalformed("page is the number of a page, from 1.")
    return int(text)
