"""The requests that payonce's code makes at a rate, captured with their times from the functions' own handlers.

Time is virtual: a payment's handler runs at the payment's time, and what follows in a poll of the streams a quarter of
a second later. The database is the port in memory, which charges each request as the meter does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.units.dollars import POLLS_PER_SECOND, batch_at, streamed_units
from benchmarks.units.shop import Shop
from benchmarks.units.stage import running_stage
from benchmarks.units.tally import tally
from payonce.domain.webhooks import MOST_LANES
from payonce.webhooks.endpoints import load_endpoints_and_gates
from payonce.webhooks.gate import Gates

if TYPE_CHECKING:
    from benchmarks.units.meter import Metered
    from benchmarks.units.stage import Stage

POLL_MS = 1000 // POLLS_PER_SECOND
BEGAN_MS = 1_800_000_000_000
AUTHORIZATION_MS = 300  # between the claim and the commit


@dataclass(frozen=True, slots=True)
class Timed:
    """A request and the time at which it is sent, in milliseconds from the beginning, by which environment."""

    at_ms: float
    request: Metered
    environment: int = -1


@dataclass(frozen=True, slots=True)
class Traffic:
    """What ``payments`` payments at ``rate`` a second by ``merchants`` merchants made the code send."""

    rate: int
    merchants: int
    payments: int
    webhooks: bool
    sent: tuple[Timed, ...]
    names: tuple[str, ...] = ()  # the merchants' ids
    all_lanes: bool = False

    @property
    def duration_ms(self) -> float:
        """Return the time from the first payment to the end of the last one's share of time."""
        return self.payments / self.rate * 1000


def capture(rate: int, merchants: int, seconds: float, *, webhooks: bool = False, all_lanes: bool = False) -> Traffic:
    """Return the traffic of ``seconds`` at ``rate`` payments a second, by ``merchants`` in turn.

    ``all_lanes``: their endpoints have as many lanes as the relay gives them when one is full.
    """
    with running_stage(in_memory=True) as stage:
        shop = Shop(stage)
        names = [shop.ids.new("mer") for _ in range(merchants)]
        if webhooks:
            for name in names:
                shop.subscribe(name)
                if all_lanes:
                    _give_all_lanes(stage, name)
        for name in names:
            shop.pay(name)  # what is written once for a merchant, or read once
        stage.drain()
        stage.close_windows()
        _made(stage)
        shop.pay(names[0])
        stage.drain()
        batch = batch_at(rate, streamed_units(stage.meter.schemas, tally(stage.meter.requests)))
        _made(stage)
        sent: list[Timed] = []
        payments = round(rate * seconds)
        for tick in range(0, payments, max(1, rate // POLLS_PER_SECOND)):
            for number in range(tick, min(payments, tick + rate // POLLS_PER_SECOND)):
                at_ms = number * 1000 / rate
                stage.stands_at_ms = BEGAN_MS + int(at_ms)
                shop.pay(names[number % merchants])
                first, *later = _made(stage)
                at_work = number % max(1, rate * AUTHORIZATION_MS // 1000)  # an environment takes one payment at a time
                sent += [Timed(at_ms, first), *(Timed(at_ms + AUTHORIZATION_MS, one, at_work) for one in later)]
            sent += _following(stage, batch, at_ms + AUTHORIZATION_MS + POLL_MS)
        # Who waits for more records is asked once, which is more often than in ten seconds.
        stage.close_windows()
        sent += [Timed(seconds * 1000 + AUTHORIZATION_MS, one) for one in _made(stage)]
    return Traffic(
        rate, merchants, payments, webhooks, tuple(sorted(sent, key=lambda one: one.at_ms)), tuple(names), all_lanes
    )


def _give_all_lanes(stage: Stage, merchant: str) -> None:
    assert stage.memory is not None
    gates = Gates(stage.memory)
    for _ in range(MOST_LANES):
        for _, gate in load_endpoints_and_gates(stage.memory, merchant):
            gates.add_lanes(gate)


def _following(stage: Stage, batch: int, from_ms: float) -> list[Timed]:
    """Return what a poll's batches make the functions send, in equal steps until the next poll."""
    stage.stands_at_ms = BEGAN_MS + int(from_ms)
    stage.drain(batch)
    requests = _made(stage)
    return [Timed(from_ms + POLL_MS * place / len(requests), one) for place, one in enumerate(requests)]


def _made(stage: Stage) -> list[Metered]:
    requests, stage.meter.requests = stage.meter.requests, []
    return requests
