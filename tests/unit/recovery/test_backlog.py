"""Whose turn it is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from payonce.domain.errors import StoreUnavailable
from payonce.each import InThreads
from payonce.idempotency.open_claims import OpenClaim, OpenPage
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, WAITING_SHARDS
from payonce.recovery.backlog import DOUBT_AGE_MS, READING_THREADS, Backlog, read_backlog
from payonce.recovery.book import mark_of

if TYPE_CHECKING:
    import pytest

    from payonce.ports import Item

NOW_MS = 1_800_000_000_000


def claim(name: str, *, lane: str = "bank", due_ms: int = 1_000, age_ms: int = 2 * DOUBT_AGE_MS) -> OpenClaim:
    return OpenClaim(f"{name}#h", lane, NOW_MS - due_ms, NOW_MS - age_ms)


def backlog(*claims: OpenClaim) -> Backlog:
    made = Backlog()
    made.put(list(claims), NOW_MS)
    return made


def test_one_merchants_backlog_does_not_delay_another() -> None:
    """Fails when the oldest claim is always the next one: the small merchant would be the thousand and first."""
    large = [claim(f"large#op#{number}", due_ms=10_000 - number) for number in range(1_000)]
    made = backlog(*large, claim("small#op#1", due_ms=1))
    taken = made.take("bank", 2)
    assert taken == ["large#op#0#h", "small#op#1#h"]
    assert made.count("bank") == 999
    assert made.take("bank", 10_000) == [f"large#op#{number}#h" for number in range(1, 1_000)]
    assert made.lanes() == []


def test_a_lane_has_its_own_claims_alone() -> None:
    made = backlog(claim("m#op#1", lane="a"), claim("m#op#2", lane="b"), claim("m#op#3", lane=""))
    assert made.take("a", 5) == ["m#op#1#h"]
    assert sorted(made.lanes()) == ["", "b"]
    assert made.take("unknown", 5) == []


def test_what_is_not_due_is_counted_and_not_taken() -> None:
    """Fails when a claim is released before its time (its asker would leave it), or later doubts are not counted."""
    made = backlog(
        claim("m#op#1", due_ms=0),
        claim("m#op#2", due_ms=-60_000, age_ms=3 * DOUBT_AGE_MS),
        claim("m#op#3", age_ms=1),  # somebody is being answered
    )
    assert made.take("bank", 5) == ["m#op#3#h"]
    assert (made.in_doubt, made.oldest_created_at_ms) == (2, NOW_MS - 3 * DOUBT_AGE_MS)


def test_a_doubt_is_a_minute_old_and_its_merchants_whatever_that_is_called() -> None:
    """Fails when a request that is being answered counts, when the last one read counts as the oldest, or when two
    merchants are taken for one.
    """
    made = backlog(
        claim("m#1#op#1", age_ms=3 * DOUBT_AGE_MS),
        claim("m#2#op#1", age_ms=DOUBT_AGE_MS),
        claim("m#2#op#2", age_ms=DOUBT_AGE_MS - 1),
    )
    assert made.doubts == [("m#1#op", NOW_MS - 3 * DOUBT_AGE_MS), ("m#2#op", NOW_MS - DOUBT_AGE_MS)]
    assert (made.in_doubt, made.oldest_created_at_ms) == (2, NOW_MS - 3 * DOUBT_AGE_MS)


def test_what_another_feeder_has_just_released_is_left_out() -> None:
    made = backlog(*(claim(f"m#op#{number}", due_ms=100 - number) for number in range(4)))
    made.released = frozenset({mark_of("m#op#0#h"), mark_of("m#op#2#h")})
    assert made.take("bank", 2) == ["m#op#1#h", "m#op#3#h"]
    assert made.count("bank") == 0


class Pages:
    """``OpenClaims``: two pages in each shard; two shards can't be read."""

    def open_page(self, shard: int, *, limit: int, start: Item | None = None, due_by_ms: int | None = None) -> OpenPage:
        if shard in WAITING_SHARDS:
            assert due_by_ms == NOW_MS
            return OpenPage([claim(f"m#op#{shard}", due_ms=NOW_MS - 1)], None)
        assert due_by_ms is None  # what is due later is in doubt, too
        if shard in {3, 5}:
            raise StoreUnavailable("throttled")
        if start is None:
            return OpenPage([claim(f"m#op#{shard}-1", due_ms=9)], {"id": "x"})
        return OpenPage([claim(f"m#op#{shard}-2", due_ms=8)], None)


def test_all_pages_are_read_and_a_shard_that_fails_costs_its_own_claims_alone() -> None:
    reported: list[str] = []
    made, failed = read_backlog(Pages(), lambda: NOW_MS, lambda name, _error: reported.append(name))
    assert made.count("bank") == 2 * (OPEN_LEASE_SHARDS - 2) + len(WAITING_SHARDS)
    assert made.in_doubt == 2 * (OPEN_LEASE_SHARDS - 2)  # what a gateway holds is in no doubt
    assert (failed, reported) == (2, ["open-leases shard 3", "open-leases shard 5"])


def test_a_shard_is_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the claims of one shard take all of the memory, or one more page is read than is needed."""
    monkeypatch.setattr("payonce.recovery.backlog.MAX_CLAIMS_PER_SHARD", 2)

    class Endless:
        def open_page(
            self, shard: int, *, limit: int, start: Item | None = None, due_by_ms: int | None = None
        ) -> OpenPage:
            return OpenPage([claim(f"m#op#{shard}")], {"id": "x"})

    made, failed = read_backlog(Endless(), lambda: NOW_MS, lambda *_: None)
    assert (made.count("bank"), failed) == (2 * (OPEN_LEASE_SHARDS + len(WAITING_SHARDS)), 0)


def test_shards_are_read_at_the_same_time() -> None:
    """Fails when one shard waits for another: 32 pages of 1 MB would take a run three seconds."""
    both = threading.Barrier(2, timeout=10)

    class Meeting:
        def open_page(
            self, shard: int, *, limit: int, start: Item | None = None, due_by_ms: int | None = None
        ) -> OpenPage:
            if shard < 2:
                both.wait()
            return OpenPage([OpenClaim(f"m#op#{shard}", "bank", 1, 1)], None)

    backlog, failed = read_backlog(Meeting(), lambda: 2, lambda *_: None, InThreads(READING_THREADS))
    assert (backlog.count("bank"), failed) == (OPEN_LEASE_SHARDS + len(WAITING_SHARDS), 0)
