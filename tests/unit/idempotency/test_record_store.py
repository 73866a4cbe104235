"""What the store of records says of its own state."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, islice
from typing import Any

import pytest

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.idempotency import record_store
from payonce.idempotency.audit import ReleasedBy
from payonce.idempotency.audit_items import DatabaseAuditTrail
from payonce.idempotency.record_items import shard_of
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.stores.memory import MemoryDatabase
from tests.support.faulty_database import FaultyDatabase

CLAIM = IdempotencyRecord(
    record_id="m#op#k",
    status=RecordStatus.IN_PROGRESS,
    claim_id="c1",
    fence=1,
    fingerprint="f",
    created_at_ms=1_000,
    expires_at_ms=9_000,
    lease_expires_at_ms=1_500,
)


class Away(MemoryDatabase):
    """A database that does not answer."""

    def get(self, *_: Any, **__: Any) -> Any:
        """See ``Database``."""
        raise StoreUnavailable("away")


def test_a_store_that_can_not_be_read_is_not_ready() -> None:
    DatabaseIdempotencyStore(MemoryDatabase()).check()
    with pytest.raises(StoreUnavailable):
        DatabaseIdempotencyStore(Away()).check()


@pytest.mark.parametrize("answer", ["applied", "lost"])
def test_a_takeover_whose_answer_was_lost_is_looked_for_at_once(answer: str) -> None:
    """Fails when its owner learns only from a refused second try that it has the claim, or that it has not."""
    database = FaultyDatabase()
    store = DatabaseIdempotencyStore(database)
    observed = store.claim(CLAIM)
    database.script = [answer]
    if answer == "applied":
        assert store.take_over(observed, lease_expires_at_ms=5_000, owner="me").fence == 2
    else:
        with pytest.raises(OutcomeUnknown):
            store.take_over(observed, lease_expires_at_ms=5_000, owner="me")
    assert database.writes == 2


def test_a_release_is_among_the_entries_of_its_month_where_nothing_else_happened() -> None:
    """The claim is of an earlier month. Fails when the scope is not listed: an export would leave the release out."""
    database = MemoryDatabase()
    store = DatabaseIdempotencyStore(database)
    at_ms = 40 * 86_400_000
    store.release(store.claim(CLAIM), by=ReleasedBy(operator="ada", reason="ticket 7", at_ms=at_ms))
    entries = DatabaseAuditTrail(database, 1).entries(from_ms=at_ms, until_ms=at_ms + 1)
    assert "released" in [entry.transition for entry in entries]


SHARD = 7


def of_one_shard(number: int) -> tuple[DatabaseIdempotencyStore, list[IdempotencyRecord]]:
    """Return a store with so many open claims of ``SHARD``, and the claims, the one that is due first ahead."""
    store = DatabaseIdempotencyStore(MemoryDatabase())
    ids = islice((f"c{each}" for each in count() if shard_of(f"c{each}") == SHARD), number)
    claims = [
        replace(CLAIM, record_id=f"m#op#{claim_id}", claim_id=claim_id, lease_expires_at_ms=1_500 + place)
        for place, claim_id in enumerate(ids)
    ]
    return store, [store.claim(claim) for claim in claims]


def test_the_backlog_of_a_shard_is_read_page_by_page_and_up_to_a_moment() -> None:
    """Fails when each page is the first one, or when what is due later is read, too."""
    store, claims = of_one_shard(5)
    found, start = list[str](), None
    for _ in range(3):
        page = store.open_page(SHARD, limit=2, start=start)
        found += [claim.record_id for claim in page.claims]
        start = page.next_key
    assert found == [claim.record_id for claim in claims]
    due = store.open_page(SHARD, limit=9, due_by_ms=claims[2].lease_expires_at_ms)
    assert [claim.record_id for claim in due.claims] == found[:3]


def test_an_open_claim_is_found_on_any_page_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an event of a gateway's finds no claim, and another's: its doubt would wait for the sweep."""
    monkeypatch.setattr(record_store, "PAGE_CLAIMS", 2)
    monkeypatch.setattr(record_store, "CLAIM_PAGES", 2)
    store, claims = of_one_shard(3)
    assert [store.open_claim(claim.claim_id) for claim in claims] == [claim.record_id for claim in claims]
    unknown = next(f"x{each}" for each in count() if shard_of(f"x{each}") == SHARD)
    assert store.open_claim(unknown) is None
    store, claims = of_one_shard(5)
    assert store.open_claim(claims[3].claim_id) == claims[3].record_id
    with pytest.raises(StoreUnavailable, match="More claims are open"):
        store.open_claim(claims[4].claim_id)
