"""Load: what coordinated omission would hide, and when a fault is over."""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from histories.key_model import Asked, Outcome
from histories.traffic import Sample, back_after, closed_loop, open_loop, percentile
from histories.workload import MEMORY, Workload

if TYPE_CHECKING:
    from histories.run import Clients

STALL_SECONDS = 0.6


class Stalling:
    """Stands for the clients of a server that answers at once, but for one stall in which nobody is answered."""

    def __init__(self) -> None:
        self.asked = 0
        self._stalled_until = 0.0

    def ask(self, _process: str, _key: str, body: str) -> Asked:
        """Answer one request."""
        self.asked += 1
        if self.asked == 20:
            self._stalled_until = time.monotonic() + STALL_SECONDS
        time.sleep(max(0.0, self._stalled_until - time.monotonic()))
        return Asked(body, Outcome.ANSWERED, "r")


def loops(clients: Stalling) -> Clients:
    return clients  # type: ignore[return-value]


def test_a_stall_counts_for_all_that_should_have_been_sent_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two senders at 100 a second: 60 requests fall into the stall. Counted from when they left, only two were slow."""
    monkeypatch.setattr("histories.traffic.SENDERS", 2)
    samples = open_loop(loops(Stalling()), Workload(Random(1), prefix="k"), per_second=100, seconds=1)
    assert len(samples) == 100
    slow = [one for one in samples if one.latency_seconds > STALL_SECONDS / 4]
    assert len(slow) > 30
    assert max(one.latency_seconds for one in samples) >= STALL_SECONDS * 0.9


def test_a_closed_loop_sends_one_after_the_other() -> None:
    clients = Stalling()
    samples = closed_loop(loops(clients), Workload(Random(1), prefix="k"), clients=2, seconds=0.2)
    assert len(samples) == clients.asked
    assert [one.at_seconds for one in samples] == sorted(one.at_seconds for one in samples)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_percentiles_are_nearest_ranks(share: float, expected: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], share) == expected


def steady(seconds: int, *, slow_from: int, slow_until: int, outcome: Outcome = Outcome.ANSWERED) -> list[Sample]:
    """Ten requests a second, slow or otherwise answered in between."""
    return [
        Sample(at / 10, 1.0, outcome) if slow_from <= at / 10 < slow_until else Sample(at / 10, 0.01, Outcome.ANSWERED)
        for at in range(10 * seconds)
    ]


def test_a_fault_is_over_with_the_first_window_as_before() -> None:
    samples = steady(60, slow_from=20, slow_until=27)
    assert back_after(samples, 20, limit_seconds=0.02, window_seconds=5) == 7
    assert back_after(samples, 40, limit_seconds=0.02, window_seconds=5) == 0
    assert back_after(samples[:260], 20, limit_seconds=0.02, window_seconds=5) is None


def test_fast_refusals_are_no_service() -> None:
    samples = steady(60, slow_from=20, slow_until=27, outcome=Outcome.NOT_EXECUTED)
    quick = [Sample(one.at_seconds, 0.001, one.outcome) for one in samples]
    assert back_after(quick, 20, limit_seconds=0.02, window_seconds=5) == 7


def test_half_of_the_requests_repeat_and_half_of_these_with_another_body() -> None:
    """And the newest key is repeated most. Fails when every request has a key of its own, or only the newest comes."""
    workload = Workload(Random(1), prefix="k")
    drawn = [workload.draw() for _ in range(20_000)]
    seen: dict[str, int] = {}
    repeats, others, newest, oldest = 0, 0, 0, 0
    for key, body in drawn:
        if key in seen:
            repeats += 1
            others += body != "a"
            age = len(seen) - seen[key]
            newest += age == 1
            oldest += age > MEMORY // 2
        else:
            assert body == "a"
            seen[key] = len(seen)
    assert repeats == pytest.approx(10_000, rel=0.05)
    assert others == pytest.approx(repeats / 2, rel=0.05)
    assert newest > repeats / 10
    assert oldest > repeats / 100
