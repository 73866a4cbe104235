"""The stored form of signals: small, exact, and refused unless all of it is right."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.gateway import PaymentMethodType
from payonce.routing.control.admission import Priority
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import (
    MAX_BATCH_BYTES,
    Claimed,
    Ended,
    Refused,
    SignalEvent,
    attempt_id,
    pack_events,
    store_time_ms,
    unpack_events,
)
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.packed import packed, unpacked

T0 = 1_800_000_000_000
times = st.integers(T0, T0 + 60_000)
cells = st.builds(
    Cell, st.sampled_from(["alder", "birch"]), st.sampled_from([kind.value for kind in PaymentMethodType])
)
merchants = st.integers(0, 5).map(lambda number: f"mer_{number}")
priorities = st.sampled_from(Priority)
ids = st.integers(0, 9).map(lambda number: attempt_id(str(number)))
events = st.one_of(
    st.builds(Claimed, times, ids, cells, merchants, priorities),
    st.builds(Ended, times, ids, cells, st.integers(0, 600_000), st.sampled_from(Outcome)),
    st.builds(Refused, times, cells, merchants, priorities),
)


@given(st.lists(events, min_size=1, max_size=30))
def test_what_is_stored_is_read_back(some: list[SignalEvent]) -> None:
    assert unpack_events(pack_events(some)) == some


def test_a_thousand_payments_take_less_than_40_kilobytes() -> None:
    """Fails when ids or names are written as they are: signals would cost more than the payments' own writes."""
    made: list[SignalEvent] = []
    for number in range(1000):
        attempt, cell = attempt_id(f"pay_{number}"), Cell("alder", "card")
        made.append(Claimed(T0 + number, attempt, cell, f"mer_{number % 20}", Priority.AUTHORIZATION))
        made.append(Ended(T0 + number + 400, attempt, cell, 300 + number * 379 % 600, Outcome.APPROVED))
    assert len(pack_events(made)) < 40_000


GOOD: dict[str, Any] = {
    "v": 1,
    "at": T0,
    "names": ["alder", "card", "mer_1", "authorization", "approved"],
    "events": [[0, 1, "abc", 0, 1, 2, 3], [1, 2, "abc", 0, 1, 387, 4], [2, 3, 0, 1, 2, 3]],
}


def test_the_form_is_what_the_module_says() -> None:
    assert [type(event) for event in unpack_events(packed(json.dumps(GOOD).encode()))] == [Claimed, Ended, Refused]


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"at": "1"},
        {"at": -1},
        {"names": "alder"},
        {"names": ["alder", "card", "mer_1", "authorization", ""]},
        {"names": ["alder", "card", "mer_1", "authorization", "x" * 129]},
        {"names": ["al|der", "card", "mer_1", "authorization", "approved"]},
        {"names": ["alder", "cheque", "mer_1", "authorization", "approved"]},
        {"names": ["alder", "card", "mer_1", "urgent", "approved"]},
        {"names": ["alder", "card", "mer_1", "authorization", "lost"]},
        {"events": [[3, 1, "abc", 0, 1, 2, 3]]},
        {"events": [[0, -1, "abc", 0, 1, 2, 3]]},
        {"events": [[0, 10**12, "abc", 0, 1, 2, 3]]},
        {"events": [[0, 1, "abc", 0, 1, -3, 3]]},
        {"events": [[0, 1, "abc", 0, 1, 2, 9]]},
        {"events": [[0, 1, "abc", 0, 1, 2]]},
        {"events": [[1, 2, "abc", 0, 1, 600_001, 4]]},
        {"events": [[1, 2, "abc", 0, 1, 38.7, 4]]},
        {"events": [[1, 2, 7, 0, 1, 387, 4]]},
        {"events": [[1, True, "abc", 0, 1, 387, 4]]},
        {"events": {}, "names": None},
        {"events": [None]},
    ],
)
def test_a_batch_with_one_thing_wrong_is_none(change: dict[str, Any]) -> None:
    """Fails when a member is believed: what it leads to would be in every decision of the next minute."""
    with pytest.raises(ValueError, match=r"."):
        unpack_events(packed(json.dumps({**GOOD, **change}).encode()))


@pytest.mark.parametrize("garbage", [None, "text", b"", b"\x00", packed(b"null"), packed(b"7"), packed(b"[" * 10**5)])
def test_garbage_is_refused(garbage: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        unpack_events(garbage)


def test_a_few_bytes_can_not_fill_the_memory() -> None:
    """Fails when the bound is asked after unpacking."""
    bomb = zlib.compress(bytes(MAX_BATCH_BYTES * 8), 9)
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="more than expected"):
        unpacked(bomb, MAX_BATCH_BYTES)
    with pytest.raises(ValueError, match="cut off"):
        unpacked(packed(b"abc" * 100)[:-5], 1000)
    with pytest.raises(ValueError, match="cut off"):
        unpacked(packed(b"abc") + b"more", 1000)


@given(st.integers(0, 2**42), st.integers(0, 2**32))
def test_a_stamp_stays_in_the_stores_second(stamp_ms: int, second: int) -> None:
    """Fails when a function's clock is believed beyond the second that the store names."""
    at_ms = store_time_ms(stamp_ms, second)
    assert at_ms // 1000 == second
    if stamp_ms // 1000 == second:
        assert at_ms == stamp_ms
