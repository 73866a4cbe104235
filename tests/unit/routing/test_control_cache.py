"""One read now and then, never in a payment's way, and nothing old or garbled is acted on."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from payonce.routing.control.control_cache import REFRESH_MS, BackgroundReader, ControlCache, Held
from payonce.routing.control.control_store import Control
from payonce.routing.control.override import Override
from payonce.routing.control.routing_settings import Mode
from tests.unit.routing.test_document import GATEWAYS, T0, document

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 20.0  # what no test waits for
OVERRIDE = Override(
    version=1, shares={"alder": 0.0}, operator="ann", reason="tests", issued_at_ms=T0, expires_at_ms=T0 + 3_600_000
)
BOTH = Control(document=document().to_bytes(), epoch=3, override=OVERRIDE.to_bytes(), override_version=1)


class Store:
    """Holds what it holds; fails, or hangs while ``open`` is not set."""

    def __init__(self) -> None:
        self.control = BOTH
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()
        self.reads = 0
        self.errors: list[Exception] = []

    def read(self) -> Control:
        self.reads += 1
        control = self.control
        self.open.wait()
        if self.error:
            raise self.error
        return control

    def reader(self, budget_seconds: float = SECONDS) -> BackgroundReader:
        return BackgroundReader(self.read, self.errors.append, budget_seconds=budget_seconds)

    def cache(self, budget_seconds: float = SECONDS) -> ControlCache:
        reader = self.reader(budget_seconds)
        return ControlCache(reader, GATEWAYS, draw=Random(1).random, report=self.errors.append)


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    yield store
    let_all_end(store)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "payonce-control"]


def let_all_end(store: Store) -> None:
    store.open.set()
    for thread in readers():
        thread.join()


def test_there_is_one_read_per_refresh(store: Store) -> None:
    """Fails when every payment reads, or none reads again."""
    cache = store.cache()
    for millisecond in range(3 * REFRESH_MS):
        assert cache.current(T0 + millisecond).document == document()
    assert 2 <= store.reads <= 7


def test_one_read_feeds_both(store: Store) -> None:
    """Fails when the override costs a read of its own, or there is more than one read per refresh."""
    cache = store.cache()
    for millisecond in range(3 * REFRESH_MS):
        assert cache.current(T0 + millisecond) == Held(document(), OVERRIDE)
    assert 2 <= store.reads <= 7


def test_a_thawed_environment_reads_anew_before_it_decides(store: Store) -> None:
    """Frozen for ten minutes. Fails when what it held is acted on, or only the next payment sees what is stored now."""
    cache = store.cache()
    assert cache.current(T0).document == document()
    thawed = T0 + 600_000
    newer = document(epoch=99, issued_at_ms=thawed - 1000, expires_at_ms=thawed + 29_000)
    store.control = Control(document=newer.to_bytes(), epoch=99)
    assert cache.current(thawed) == Held(newer, None)


@pytest.mark.parametrize("failing", [True, False])
def test_a_thawed_environment_that_can_not_read_is_neutral(store: Store, failing: bool) -> None:
    """Fails when the age is looked at on arrival alone."""
    cache = store.cache(budget_seconds=0.01)
    assert cache.current(T0).document == document()
    if failing:
        store.error = TimeoutError()
    else:
        store.open.clear()
    assert cache.current(T0 + 20_000).document == document(), "still valid, though it can't be read again"
    assert cache.current(T0 + 600_000).document is None


def test_a_read_that_was_frozen_brings_what_it_is_and_nothing_fresh(store: Store) -> None:
    """::

        read begins ─ frozen 10 min ─ thawed ─ answer: ten minutes old ─▶ neutral ─▶ the next payment reads anew

    Fails when an arrival counts as fresh, or the read that is left over keeps a new one from beginning.
    """
    reader = store.reader(budget_seconds=0.01)
    cache = ControlCache(reader, GATEWAYS, draw=Random(1).random, report=store.errors.append)
    store.open.clear()
    assert cache.current(T0) == Held()
    thawed = T0 + 600_000
    assert cache.current(thawed) == Held(), "left over: not waited for"
    assert store.reads == 1
    let_all_end(store)
    store.open.clear()
    assert cache.current(thawed + 1) == Held(None, OVERRIDE), "the document that has come was over long ago"
    assert store.reads == 2, "and a new read has begun at once"
    let_all_end(store)
    newer = document(epoch=99, issued_at_ms=thawed, expires_at_ms=thawed + 30_000)
    store.control = Control(document=newer.to_bytes())
    reader._budget_seconds = SECONDS
    assert cache.current(thawed + 2 * REFRESH_MS) == Held(newer, None)


def test_a_store_that_hangs_holds_a_payment_up_once_and_shortly(store: Store) -> None:
    """Fails when the read is waited for, every payment waits anew, or each leaves a thread behind."""
    budget_seconds, payments = 0.5, 100
    cache = store.cache(budget_seconds=budget_seconds)
    store.open.clear()
    began = time.monotonic()
    for second in range(payments):
        assert cache.current(T0 + second * 1500) == Held()
    assert time.monotonic() - began < payments * budget_seconds / 2, "far from once for each of them"
    assert (store.reads, len(readers())) == (1, 1)


def test_what_comes_late_is_for_the_next_payment(store: Store) -> None:
    """Fails when a late answer is thrown away: a store that always takes longer would never be heard."""
    cache = store.cache(budget_seconds=0.01)
    store.open.clear()
    assert cache.current(T0) == Held()
    let_all_end(store)
    assert cache.current(T0 + 1) == Held(document(), OVERRIDE)
    assert store.reads == 1


@pytest.mark.parametrize("error", [OSError(), RuntimeError(), KeyError()])
def test_a_store_that_fails_never_fails_a_payment_and_is_told_of(store: Store, error: Exception) -> None:
    """Fails when the error gets through, is swallowed, or stops all later reads."""
    cache = store.cache()
    store.error = error
    assert cache.current(T0) == Held()
    assert store.errors == [error]
    store.error = None
    assert cache.current(T0 + 2 * REFRESH_MS) == Held(document(), OVERRIDE)


@pytest.mark.parametrize(
    "raw", [b"garbage", b"{}", b"[" * 50_000, document(weights={"card": {"cedar": 1.0}}).to_bytes()]
)
@pytest.mark.parametrize("part", ["document", "override"])
def test_a_poisoned_part_counts_as_missing_and_leaves_the_other(store: Store, raw: bytes, part: str) -> None:
    """Fails when it raises, is parsed and told of at every refresh, or takes the other part with it."""
    cache = store.cache()
    assert cache.current(T0) == Held(document(), OVERRIDE)
    store.control = Control(
        document=raw if part == "document" else BOTH.document,
        override=raw if part == "override" else BOTH.override,
    )
    expected = Held(None, OVERRIDE) if part == "document" else Held(document(), None)
    for refresh in range(2, 8, 2):
        assert cache.current(T0 + refresh * REFRESH_MS) == expected
    assert store.reads == 4
    assert len(store.errors) == 1


def test_an_override_ends_when_it_says(store: Store) -> None:
    """Also while the store can't be read. Fails when its end is asked on arrival alone."""
    cache = store.cache()
    assert cache.current(T0).override == OVERRIDE
    store.error = TimeoutError()
    assert cache.current(T0 + 3_599_999).override == OVERRIDE, "ordered until then, whatever the store does"
    assert cache.current(T0 + 3_600_000).override is None


def test_a_clock_that_was_set_back_does_not_stop_the_refresh(store: Store) -> None:
    cache = store.cache()
    cache.current(T0 + 3_600_000)
    assert cache.current(T0).document == document()
    assert store.reads == 2


def test_without_a_thread_to_be_had_payments_go_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the error gets through, or the mark of a read under way stays for ever."""
    cache = store.cache()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert cache.current(T0) == Held()
    assert cache.current(T0 + 2 * REFRESH_MS).document == document()


def test_an_override_may_name_a_mode_alone(store: Store) -> None:
    alone = Override(version=2, mode=Mode.OFF, operator="ann", reason="x", issued_at_ms=T0, expires_at_ms=T0 + 60_000)
    store.control = Control(override=alone.to_bytes(), override_version=2)
    assert store.cache().current(T0) == Held(None, alone)
