"""The dedupe stores: of many deliveries of one webhook one is handled, and a crash in between loses none."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import MisconfiguredError, StoreUnavailable
from payonce.domain.webhooks import RETRY_HORIZON_SECONDS
from payonce.webhooks.dedupe import (
    DEFAULT_LEASE_SECONDS,
    DEFAULT_WINDOW_SECONDS,
    MIN_WINDOW_SECONDS,
    Begun,
    DedupeStore,
    MemoryDedupeStore,
    Outcome,
    handled_once,
)
from payonce.webhooks.dedupe_sqlite import SqliteDedupeStore
from payonce.webhooks.rejections import Duplicate, InProgress
from payonce.webhooks.verify import DEFAULT_TOLERANCE_SECONDS, MAX_TOLERANCE_SECONDS
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEW, DUPLICATE, IN_PROGRESS = Outcome.NEW, Outcome.DUPLICATE, Outcome.IN_PROGRESS


class Seconds:
    """A clock in seconds that tests own."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Seconds) -> Callable[..., DedupeStore]:
    """Makes a store of either kind."""

    def of(**options: Any) -> DedupeStore:
        if request.param == "memory":
            return MemoryDedupeStore(clock=clock, **options)
        return SqliteDedupeStore(tmp_path / "dedupe.db", clock=clock, **options)

    return of


@pytest.fixture
def store(make: Callable[..., DedupeStore]) -> DedupeStore:
    return make()


def test_new_then_in_progress_then_duplicate(store: DedupeStore) -> None:
    assert store.begin("evt_1").outcome is NEW
    assert store.begin("evt_1").outcome is IN_PROGRESS
    assert store.begin("evt_2").outcome is NEW
    store.done("evt_1")
    assert store.begin("evt_1").outcome is DUPLICATE
    assert store.begin("evt_2").outcome is IN_PROGRESS


def test_a_done_webhook_is_known_for_the_window_and_no_longer(store: DedupeStore, clock: Seconds) -> None:
    """Fails when a repetition inside the sender's horizon is handled again."""
    store.begin("evt_1")
    clock.now += 50
    store.done("evt_1")
    clock.now += DEFAULT_WINDOW_SECONDS - 0.001
    assert store.begin("evt_1").outcome is DUPLICATE
    clock.now += 0.001
    assert store.begin("evt_1").outcome is NEW


def test_a_crash_between_begin_and_done_is_handled_again_after_the_lease(store: DedupeStore, clock: Seconds) -> None:
    """Fails when a claim outlives its consumer: the webhook would be lost."""
    store.begin("evt_1")
    clock.now += DEFAULT_LEASE_SECONDS - 0.001
    assert store.begin("evt_1").outcome is IN_PROGRESS
    clock.now += 0.001
    assert store.begin("evt_1").outcome is NEW


def test_a_failed_handling_is_new_at_once(store: DedupeStore) -> None:
    store.forget("evt_1", store.begin("evt_1").fence)
    assert store.begin("evt_1").outcome is NEW


def test_a_done_webhook_is_not_forgotten(store: DedupeStore) -> None:
    fence = store.begin("evt_1").fence
    store.done("evt_1")
    store.forget("evt_1", fence)
    store.forget("evt_9", 1)
    assert store.begin("evt_1").outcome is DUPLICATE


@pytest.mark.parametrize("between", ["lease over", "forgotten"])
def test_a_stale_claim_can_not_free_the_newer_one(store: DedupeStore, clock: Seconds, between: str) -> None:
    """Fails when forget does not compare the fence: a third delivery would run beside the second."""
    stale = store.begin("evt_1")
    if between == "forgotten":
        store.forget("evt_1", stale.fence)
    else:
        clock.now += DEFAULT_LEASE_SECONDS
    newer = store.begin("evt_1")
    assert newer.outcome is NEW
    assert newer.fence > stale.fence
    store.forget("evt_1", stale.fence)
    assert store.begin("evt_1") == Begun(IN_PROGRESS, newer.fence)


def test_a_slow_handler_that_got_through_is_done_although_its_lease_ran_out(store: DedupeStore, clock: Seconds) -> None:
    store.begin("evt_1")
    clock.now += DEFAULT_LEASE_SECONDS
    second = store.begin("evt_1")
    store.done("evt_1")
    store.forget("evt_1", second.fence)
    assert store.begin("evt_1").outcome is DUPLICATE


def test_done_without_begin_is_remembered(store: DedupeStore) -> None:
    store.done("evt_1")
    assert store.begin("evt_1").outcome is DUPLICATE


def test_the_window_covers_the_senders_horizon(make: Callable[..., DedupeStore]) -> None:
    """Fails when a shorter window is allowed: the sender's last repetition would be handled a second time."""
    assert MIN_WINDOW_SECONDS >= RETRY_HORIZON_SECONDS + DEFAULT_TOLERANCE_SECONDS
    assert MIN_WINDOW_SECONDS >= RETRY_HORIZON_SECONDS + MAX_TOLERANCE_SECONDS
    assert DEFAULT_WINDOW_SECONDS >= MIN_WINDOW_SECONDS
    make(window_seconds=MIN_WINDOW_SECONDS)
    for window_seconds in (0, RETRY_HORIZON_SECONDS, MIN_WINDOW_SECONDS - 1, 10**9):
        with pytest.raises(MisconfiguredError, match="window_seconds"):
            make(window_seconds=window_seconds)


@pytest.mark.parametrize("lease_seconds", [0, -1, RETRY_HORIZON_SECONDS + 1])
def test_a_lease_that_can_not_work_is_refused(make: Callable[..., DedupeStore], lease_seconds: int) -> None:
    with pytest.raises(MisconfiguredError, match="lease_seconds"):
        make(lease_seconds=lease_seconds)


def test_of_many_threads_one_is_new(store: DedupeStore) -> None:
    """Fails when reading and claiming are two steps."""
    barrier = threading.Barrier(8)

    def begin(message_id: str) -> Outcome:
        barrier.wait(timeout=120)
        return store.begin(message_id).outcome

    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            outcomes = Counter(pool.map(begin, [f"evt_{number}"] * 8))
            assert outcomes == {NEW: 1, IN_PROGRESS: 7}


CHILD = """
import sys
from payonce.webhooks.dedupe_sqlite import SqliteDedupeStore
store = SqliteDedupeStore(sys.argv[1])
print(*(store.begin(f"evt_{number}").outcome for number in range(50)))
"""


def test_of_many_processes_one_is_new(tmp_path: Path) -> None:
    """Fails when the transaction starts with a read lock only, or not at all."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "dedupe.db")],
            env={"PYTHONPATH": str(REPOSITORY / "layers/payonce")},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    outputs = [child.communicate(timeout=300)[0].split() for child in children]
    assert [child.returncode for child in children] == [0] * 4
    for outcomes in zip(*outputs, strict=True):
        assert Counter(outcomes) == {"new": 1, "in_progress": 3}
    assert len(outputs[0]) == 50


def test_a_file_outlives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "dedupe.db"
    first = SqliteDedupeStore(path)
    first.begin("evt_1")
    first.done("evt_1")
    assert SqliteDedupeStore(path).begin("evt_1").outcome is DUPLICATE


def test_a_file_drops_what_is_long_over(tmp_path: Path, clock: Seconds) -> None:
    """Fails when the file grows for ever."""
    store = SqliteDedupeStore(tmp_path / "dedupe.db", clock=clock)
    for number in range(200):
        store.begin(f"evt_{number}")
        store.done(f"evt_{number}")
    size = (tmp_path / "dedupe.db").stat().st_size
    for _ in range(3):
        clock.now += 2 * DEFAULT_WINDOW_SECONDS + 1
        for number in range(200):
            store.begin(f"later_{clock.now}_{number}")
            store.done(f"later_{clock.now}_{number}")
    assert (tmp_path / "dedupe.db").stat().st_size < 3 * size


def test_a_file_that_can_not_be_used_is_an_error_of_ours(tmp_path: Path) -> None:
    """Fails when sqlite3's errors come through."""
    with pytest.raises(StoreUnavailable):
        SqliteDedupeStore(tmp_path / "missing" / "dedupe.db")
    (tmp_path / "text").write_text("not a database, but long enough to be looked at as if it were one " * 20)
    with pytest.raises(StoreUnavailable):
        SqliteDedupeStore(tmp_path / "text")


def test_memory_is_bounded_and_refuses_instead_of_forgetting(clock: Seconds) -> None:
    """Fails when a full store drops what the sender may still repeat, or grows for ever."""
    store = MemoryDedupeStore(clock=clock, max_entries=3)
    for number in range(3):
        store.begin(f"evt_{number}")
        store.done(f"evt_{number}")
    with pytest.raises(StoreUnavailable, match="max_entries"):
        store.begin("evt_3")
    assert store.begin("evt_0").outcome is DUPLICATE
    clock.now += DEFAULT_WINDOW_SECONDS
    assert store.begin("evt_3").outcome is NEW
    assert len(store) == 1


def test_a_dropped_claims_fence_is_never_given_again(clock: Seconds) -> None:
    """Fails when fences start anew with the entry: a stale claim could free a newer one."""
    store = MemoryDedupeStore(clock=clock, max_entries=1)
    stale = store.begin("evt_1")
    clock.now += DEFAULT_LEASE_SECONDS
    store.begin("evt_2")
    clock.now += DEFAULT_LEASE_SECONDS
    newer = store.begin("evt_1")
    assert newer.fence > stale.fence


def test_the_block_runs_once_and_again_after_it_failed(store: DedupeStore) -> None:
    """Fails when an error in the handler is remembered as handled."""
    runs = itertools.count(1)
    with pytest.raises(ZeroDivisionError), handled_once(store, "evt_1"):
        next(runs)
        raise ZeroDivisionError
    with handled_once(store, "evt_1"):
        next(runs)
        with pytest.raises(InProgress) as caught, handled_once(store, "evt_1"):
            next(runs)
        assert caught.value.retry_after_seconds
    with pytest.raises(Duplicate), handled_once(store, "evt_1"):
        next(runs)
    assert next(runs) == 3


def test_the_handlers_error_is_not_hidden_by_the_stores(store: DedupeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "forget", fail)
    with pytest.raises(ZeroDivisionError), handled_once(store, "evt_1"):
        raise ZeroDivisionError
