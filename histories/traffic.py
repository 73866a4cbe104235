"""Load on a world: an open loop with intended times, and a closed one.

In an open loop the requests come when they come, whether or not earlier ones were answered. A request's latency begins
at its *intended* time, as in wrk2 (https://github.com/giltene/wrk2): while a server stalls, those that should have been
sent have to count, too, or the stall is one slow request ("coordinated omission"). A closed loop sends the next
request after the last answer; it says how much a server takes, and nothing of what users wait.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from histories.key_model import Outcome
from histories.run import REFUSED_PAUSE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histories.run import Clients

SENDERS = 64  # of an open loop; more requests than these in flight wait, and their waiting counts


class Draws(Protocol):
    """What a loop sends. Thread-safe."""

    def draw(self) -> tuple[str, str]:
        """Return the key and the body of the next request."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: seconds from the beginning to when it was meant to be sent, its latency, and what it was told."""

    at_seconds: float
    latency_seconds: float
    outcome: Outcome


def open_loop(asking: Clients, workload: Draws, per_second: float, seconds: float) -> list[Sample]:
    """Send ``per_second`` requests at even intervals for ``seconds``; return their samples."""
    count = int(per_second * seconds)
    began = time.monotonic()
    numbers = itertools.count()
    lock = threading.Lock()

    def sender(name: int) -> list[Sample]:
        samples: list[Sample] = []
        while True:
            with lock:
                number = next(numbers)
            if number >= count:
                return samples
            at_seconds = number / per_second
            time.sleep(max(0.0, began + at_seconds - time.monotonic()))
            told = asking.ask(f"sender {name}", *workload.draw())
            samples.append(Sample(at_seconds, time.monotonic() - began - at_seconds, told.outcome))

    return _all(sender, SENDERS)


def closed_loop(asking: Clients, workload: Draws, clients: int, seconds: float) -> list[Sample]:
    """Let each of ``clients`` send one request after the other for ``seconds``; return their samples."""
    began = time.monotonic()

    def client(name: int) -> list[Sample]:
        samples = []
        while (at_seconds := time.monotonic() - began) < seconds:
            told = asking.ask(f"client {name}", *workload.draw())
            samples.append(Sample(at_seconds, time.monotonic() - began - at_seconds, told.outcome))
            if told.outcome is Outcome.NOT_EXECUTED:
                time.sleep(REFUSED_PAUSE_SECONDS)
        return samples

    return _all(client, clients)


def percentile(latencies: Sequence[float], share: float) -> float:
    """Return the latency that ``share`` of the requests do not exceed (nearest rank), NaN for none."""
    if not latencies:
        return float("nan")
    return sorted(latencies)[max(0, math.ceil(share * len(latencies)) - 1)]


def back_after(
    samples: Sequence[Sample], fault_seconds: float, *, limit_seconds: float, window_seconds: float
) -> float | None:
    """Return how many seconds after a fault the requests were served as before, ``None`` if not until the end.

    That is the begin of the first window in which 99 % of the requests were answered or refused for their key, and
    their p99 is within the limit.
    """
    last = max((sample.at_seconds for sample in samples), default=0.0)
    begin = fault_seconds
    while begin + window_seconds <= last:
        window = [sample for sample in samples if begin <= sample.at_seconds < begin + window_seconds]
        served = [sample for sample in window if sample.outcome in (Outcome.ANSWERED, Outcome.REUSED)]
        slowest = percentile([sample.latency_seconds for sample in served], 0.99)
        if len(served) >= 0.99 * len(window) and slowest <= limit_seconds:
            return begin - fault_seconds
        begin += 1.0
    return None


def _all(client: Callable[[int], list[Sample]], clients: int) -> list[Sample]:
    with ThreadPoolExecutor(clients) as pool:
        samples = [sample for found in pool.map(client, range(clients)) for sample in found]
    return sorted(samples, key=lambda sample: sample.at_seconds)
