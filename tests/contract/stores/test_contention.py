"""Many owners at once, in threads and in processes, and many open claims at once."""

from __future__ import annotations

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import LeaseLost
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.record_store import ClaimTaken
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, RESPONSE, StoreAddress, new_record

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import IdempotencyRecord

ROUNDS = 30
THREADS = 8
PROCESSES = 4
OPEN_CLAIMS = 5_000
PAGE = 200


def wins(store: IdempotencyStore, transition: str, name: str, number: int) -> bool:
    """Try one transition of record ``number`` as owner ``name``; return whether it was ours."""
    record = new_record("c", record_id=f"{transition}-{number}")
    try:
        match transition:
            case "claim":
                store.claim(new_record(name, record_id=record.record_id))
            case "take_over":
                store.take_over(record, lease_expires_at_ms=9_000)
            case "complete":
                store.complete(record, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=())
            case "release":
                store.release(record)
    except (ClaimTaken, LeaseLost):
        return False
    return True


def race(address: StoreAddress, transition: str, name: str, barrier: Barrier, won: list[str]) -> None:
    """Race through the rounds in a process of its own, which is what multiprocessing starts."""
    store = address.open()
    for number in range(ROUNDS):
        barrier.wait(60)
        if wins(store, transition, name, number):
            won.append(f"{number}")


def prepare(store: IdempotencyStore, transition: str) -> None:
    for number in range(ROUNDS):
        if transition != "claim":
            store.claim(new_record("c", record_id=f"{transition}-{number}"))


@pytest.mark.parametrize("transition", ["claim", "take_over", "complete", "release"])
def test_of_many_threads_one_wins(concurrent_store: IdempotencyStore, transition: str) -> None:
    """Fails (several winners) when a transition reads first and writes then."""
    prepare(concurrent_store, transition)
    barrier = threading.Barrier(THREADS)

    def go(name: str) -> list[bool]:
        won = []
        for number in range(ROUNDS):
            barrier.wait(60)
            won.append(wins(concurrent_store, transition, name, number))
        return won

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(go, [f"owner-{index}" for index in range(THREADS)]))
    assert [sum(rounds) for rounds in zip(*results, strict=True)] == [1] * ROUNDS


@pytest.mark.parametrize("transition", ["claim", "take_over"])
def test_of_many_processes_one_wins(shared_store: StoreAddress, transition: str) -> None:
    """Fails (several winners) when anything in the process decides, such as a lock of its own."""
    prepare(shared_store.open(), transition)
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        barrier, won = context.Barrier(PROCESSES), manager.list()
        owners = [
            context.Process(target=race, args=(shared_store, transition, f"owner-{index}", barrier, won))
            for index in range(PROCESSES)
        ]
        for owner in owners:
            owner.start()
        for owner in owners:
            owner.join(120)
        assert [owner.exitcode for owner in owners] == [0] * PROCESSES
        assert sorted(won, key=int) == [str(number) for number in range(ROUNDS)]


def test_many_open_claims_are_listed_page_by_page(shared_store: StoreAddress) -> None:
    """Taken over, a claim leaves the page: 5,000 are drained, each seen once, oldest lease first.

    Fails when a page is longer than its limit, when the index keeps the old lease end, or is not in order of lease.
    """
    store = shared_store.open()

    def claim(number: int) -> None:
        store.claim(new_record(record_id=f"r{number}", lease_expires_at_ms=1_000 + number))

    def take_over(open_id: str) -> IdempotencyRecord:
        number = int(open_id[1:])
        record = new_record(record_id=open_id, lease_expires_at_ms=1_000 + number)
        return store.take_over(record, lease_expires_at_ms=1_000_000)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(claim, range(OPEN_CLAIMS)))
        seen: list[str] = []
        for shard in range(OPEN_LEASE_SHARDS):
            of_shard: list[str] = []
            while page := store.open_claims(shard, lease_expired_at_ms=999_999, limit=PAGE):
                assert len(page) <= PAGE
                of_shard += page
                list(pool.map(take_over, page))
            assert of_shard == sorted(of_shard, key=lambda open_id: int(open_id[1:]))
            seen += of_shard
    assert sorted(seen) == sorted(f"r{number}" for number in range(OPEN_CLAIMS))
