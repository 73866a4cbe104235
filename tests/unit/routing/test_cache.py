"""The cache gives a fresh document or none, whatever the store holds and however long the execution was frozen."""

from __future__ import annotations

from random import Random

import pytest

from payonce.routing.cache import REFRESH_MS, DocumentCache
from payonce.routing.route import choose_route, weights_for
from payonce.routing.settings import Mode, RoutingSettings
from tests.unit.routing.test_document import GATEWAYS, T0, document

SETTINGS = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5}, mode=Mode.ON)


class Store:
    def __init__(self) -> None:
        self.raw: bytes | None = document().to_bytes()
        self.error: Exception | None = None
        self.reads = 0

    def fetch(self) -> bytes | None:
        self.reads += 1
        if self.error:
            raise self.error
        return self.raw


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def cache(store: Store) -> DocumentCache:
    return DocumentCache(store.fetch, GATEWAYS, draw=Random(1).random)


def test_a_document_is_read_once_per_refresh(cache: DocumentCache, store: Store) -> None:
    for millisecond in range(0, 3 * REFRESH_MS):
        assert cache.current(T0 + millisecond) == document()
    assert 2 <= store.reads <= 7


def test_a_thawed_environment_does_not_act_on_what_it_held(cache: DocumentCache, store: Store) -> None:
    """Fails when the age is checked only when the document is read."""
    assert cache.current(T0) is not None
    store.error = TimeoutError()
    assert cache.current(T0 + 20_000) == document(), "still valid, though it can't be read again"
    assert cache.current(T0 + 600_000) is None
    store.error = None
    assert cache.current(T0 + 602_000) is None, "the store holds the old one, too"


@pytest.mark.parametrize("raw", [None, b"garbage", b"{}", document(weights={"card": {"cedar": 1.0}}).to_bytes()])
def test_a_poisoned_document_is_no_document(cache: DocumentCache, store: Store, raw: bytes | None) -> None:
    assert cache.current(T0) is not None
    store.raw = raw
    assert cache.current(T0 + 2 * REFRESH_MS) is None
    store.raw = document(epoch=4).to_bytes()
    assert cache.current(T0 + 4 * REFRESH_MS) == document(epoch=4)


@pytest.mark.parametrize("error", [OSError(), RuntimeError(), KeyError()])
def test_a_store_that_fails_never_fails_a_payment(cache: DocumentCache, store: Store, error: Exception) -> None:
    store.error = error
    assert cache.current(T0) is None
    weights = weights_for(cache.current(T0), "pay_1", "card", SETTINGS)
    assert choose_route(weights, "pay_1") in GATEWAYS


def test_a_clock_that_was_set_back_does_not_stop_the_refresh(cache: DocumentCache, store: Store) -> None:
    cache.current(T0 + 3_600_000)
    reads = store.reads
    assert cache.current(T0) == document()
    assert store.reads == reads + 1
