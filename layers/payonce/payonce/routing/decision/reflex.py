"""The reflex: once a second it judges whether a gateway is full, against cliffs and overload.

A slower gateway is not a full one. By Little's law an attempt spends ``in flight / served`` seconds at a gateway, and
that is all right as long as it is a part of the SLO. Beyond it there are two questions with two answers:

* *Is another gateway better off?* Then what this one can't serve moves there. That needs little certainty, since a
  payment moved to a gateway that is well loses nothing.
* *Would refusing help?* Only if payments queue, and not if each of them just takes longer. It is sure only while more
  payments wait every second although the promise to the client is broken already. If the gateway serves less as soon as
  it is sent less, nothing queues: the time is its service time, which is allowed from then on, and it gets as much as
  it served when it was full. The first refusal that ends so counts as a mistake; whatever is spent beyond half as much
  again as a known service time is waiting.

The limit follows from the rate that the gateway serves (μ, per second) and the number in flight (n)::

    rate = μ + (μ x allowed seconds - n) / SETTLE_SECONDS      brings n to μ x allowed in a few seconds
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from payonce.routing.detection.significance import surprise

if TYPE_CHECKING:
    from payonce.routing.signals.observation import GatewaySignals

TAIL = 0.05
ALARM_EVIDENCE = 6.0  # -log10 of the p-value; a week has 600,000 steps, and an alarm alone limits nothing
WELL_EVIDENCE = 2.0  # below this there is no sign that a gateway is slow or failing
ALARM_COUNT = 5  # fewer bad answers can't be that significant: 0.05 ** 5 is about 3e-7
ALLOWED_SHARE = 0.36  # of the SLO may be spent at a gateway on average: then its p95 keeps the SLO
SLOW_SHARE = 0.55  # of the SLO: more than a queue that its limit has shortened
BROKEN_SHARE = 0.67  # of the SLO: beyond this average the p95 has missed it
SURE_SHARE = 0.85  # the same where less is answered than before, which is so for a while where all take longer, too
MORE = 1.5  # multiple of what was answered ten seconds ago, which a gateway that gets slower never reaches
OVERFULL = 1.5  # multiple of a known service time: the rest is spent waiting
SURE_SLOS = 2.0  # how long a gateway is full before payments are refused: later answers have all begun to come by then
SETTLE_SECONDS = 3.0  # well above 2 s (the delay) x 2/pi, below which a proportional controller is unstable
LEAST_RATE = 0.05  # attempts a second that the tightest limit leaves, so that its end is seen
KEPT_SHARE = 0.3  # the least share of the served rate kept while a queue drains; less would leave the gateway idle
AS_EVER = 0.9  # of the highest rate served lately: where all take longer, less are answered for a while
SURGE_SECONDS = 5
SURGING = 2.6  # standard deviations by which more are in flight than so long ago, though as many are answered as ever
THIRDS_SECONDS = (3, 6)  # short ones for a gateway that lost servers, long ones for a slight overload
GROWING = 0.9  # the same for each of three thirds in a row: payments that all take longer are more only once
KEPT_SECONDS = 3 * THIRDS_SECONDS[-1] + 1  # of counts
MAX_SERVICE_SLOS = 2.0  # a gateway that takes longer keeps no promise, however few payments it gets
COSTLY = 0.8  # a gateway that serves less than this share of what it served when full is not helped by its limit
LATELY = 4  # seconds of counts that are averaged for that
MAX_SPENT_SECONDS = 3600.0  # for infinity, which is not JSON
SERVICE_FACTOR = 1.05  # of the service time is allowed: as a queue it keeps a gateway busy under bursty demand
CLEAN_SECONDS = 4.0  # after which the window of 3 s holds nothing from before the limit
FADING = 0.995  # per second: how a rate served at saturation loses its meaning
GROWTH = 0.04  # increase per second beyond what it serves, at first; decreases are unbounded
GROWTH_DOUBLING_SECONDS = 10.0  # of calm, after which it grows twice as fast
MOST_GROWTH = 0.3
MOST_DOUBLINGS = 10.0  # far beyond the most growth: bounds the power after hours of calm
RELEASE_HEADROOM = 1.1  # the limit is removed once it exceeds this multiple of the wanted rate
CALM_SECONDS = 3.0  # removal also needs this long without being full: the window's length
SERVICE_SECONDS = 120.0  # how long a service time is believed after it was last seen


@dataclass(slots=True)
class Limit:
    """The limit of one gateway. Rates are attempts per second, times epoch milliseconds.

    ``rate`` is how many attempts may start, ``None`` without a limit; ``concurrency`` how many may be in flight.
    ``spent_seconds`` is the time an attempt spends there, ``full_rate`` the rate it served when full,
    ``service_seconds`` its service time as far as a limit has shown it. ``is_sure``: payments queue, so that refusing
    those beyond ``rate`` helps. ``is_worse``: another gateway is better off. ``is_well``: no sign of trouble.
    ``in_flights``, ``served`` and ``ended`` (with those that timed out: the gateway has worked on them) are those of
    the last seconds.
    """

    rate: float | None = None
    concurrency: float | None = None
    began_at_ms: int = 0
    full_at_ms: int = 0
    spent_seconds: float = 0.0
    full_rate: float = 0.0
    service_seconds: float = 0.0
    service_at_ms: int = 0
    is_sure: bool = False
    is_worse: bool = False
    is_well: bool = True
    in_flights: list[int] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)


def is_alarm(signals: GatewaySignals) -> bool:
    """Return whether the gateway is slow or failing now, with a p-value of at most 10 ** -``ALARM_EVIDENCE``."""
    slow, _, failed, _ = _counts(signals)
    return max(slow, failed) >= ALARM_COUNT and _alarm_evidence(signals) >= ALARM_EVIDENCE


def _counts(signals: GatewaySignals) -> tuple[int, int, int, int]:
    ended = signals.answered + signals.technical
    return min(signals.slow, ended) + signals.overdue, ended + signals.overdue, signals.technical, ended


def _alarm_evidence(signals: GatewaySignals) -> float:
    slow, seen, failed, ended = _counts(signals)
    return max(surprise(slow, seen, TAIL), surprise(failed, ended, TAIL))


def step(
    limit: Limit,
    signals: GatewaySignals,
    *,
    now_ms: int,
    recent_seconds: float,
    slo_seconds: float,
    wanted_rate: float,
) -> Limit:
    """Return the limit for the next second.

    ``wanted_rate`` is the rate per second that the weights would send to the gateway. ``signals`` count over
    ``recent_seconds``.
    """
    following, hanging = _observed(limit, signals, now_ms, recent_seconds), hangs(signals)
    served, spent = following.served[-1], following.spent_seconds
    allowed_seconds = max(ALLOWED_SHARE * slo_seconds, SERVICE_FACTOR * following.service_seconds)
    full = spent > allowed_seconds and is_alarm(signals)
    if not full and limit.rate is None:
        following.is_sure = following.is_worse = False
        return following
    sent = signals.started / recent_seconds
    # What has just been started can't have been answered, so the time is at least that of the larger rate.
    least_seconds = signals.in_flight / max(served, sent, 1 / MAX_SPENT_SECONDS)
    raised = 0.0
    following.full_at_ms = now_ms if full else limit.full_at_ms
    if limit.rate is None:
        following.began_at_ms, following.full_rate = now_ms, served
    elif full and now_ms - limit.began_at_ms < CLEAN_SECONDS * 1000:
        following.full_rate = served  # the counts of its better days have to leave the window
    else:
        following.full_rate = max(sum(following.served[-LATELY:]) / LATELY, FADING * limit.full_rate)
        slow = full and least_seconds > SLOW_SHARE * slo_seconds and signals.answered >= ALARM_COUNT
        drained = signals.technical <= TAIL * signals.answered or hanging  # no backlog is timing out
        if slow and drained and sent < following.full_rate and _serves_less(following):
            _learn(following, min(least_seconds, MAX_SERVICE_SLOS * slo_seconds), now_ms)
            raised = following.full_rate
            following.is_sure = limit.is_sure and limit.service_seconds > 0  # the first time it was a mistake
    broken_seconds = BROKEN_SHARE * slo_seconds
    # A hang is no queue: whoever is refused would have had the same chance of an answer as those who are not. The last
    # attempts open at a gateway that was cut for it are none either, and a queue's servers answer.
    served_some = signals.answered >= ALARM_COUNT
    lasts = now_ms - following.began_at_ms >= SURE_SLOS * slo_seconds * 1000 or _is_asked_more(following)
    if full and lasts and not hanging and served_some and min(spent, limit.spent_seconds) > broken_seconds:
        if following.service_seconds:
            surely = least_seconds > OVERFULL * following.service_seconds
        else:
            surely = _surges(following) or (least_seconds > SURE_SHARE * slo_seconds and _lengthens(following))
        following.is_sure = following.is_sure or surely
    rate = _rate(limit, following, signals.in_flight, allowed_seconds, now_ms, full=full)
    following.rate = LEAST_RATE if full and hanging else max(rate, raised)
    following.concurrency = max(1.0, served * allowed_seconds)
    if now_ms - following.full_at_ms >= CALM_SECONDS * 1000 and following.rate >= RELEASE_HEADROOM * wanted_rate:
        following.rate, following.concurrency, following.is_sure, following.is_worse = None, None, False, False
    return following


def _observed(limit: Limit, signals: GatewaySignals, now_ms: int, recent_seconds: float) -> Limit:
    served, in_flight = signals.answered / recent_seconds, signals.in_flight
    spent = in_flight / served if served else (math.inf if in_flight >= ALARM_COUNT else 0.0)
    return replace(
        limit,
        spent_seconds=min(spent, MAX_SPENT_SECONDS),
        is_well=_alarm_evidence(signals) < WELL_EVIDENCE,
        service_seconds=limit.service_seconds if now_ms - limit.service_at_ms <= SERVICE_SECONDS * 1000 else 0.0,
        in_flights=[*limit.in_flights, in_flight][-KEPT_SECONDS:],
        served=[*limit.served, served][-KEPT_SECONDS:],
        ended=[*limit.ended, served + signals.technical / recent_seconds][-LATELY:],
    )


def hangs(signals: GatewaySignals) -> bool:
    """Return whether the answers that come are as fast as ever while others don't: no queue looks like that."""
    # What times out is slow, and no answer.
    slow_answers = min(signals.answered, max(0, signals.slow - signals.technical))
    return surprise(slow_answers, signals.answered, TAIL) < WELL_EVIDENCE and signals.overdue >= ALARM_COUNT


def _rate(limit: Limit, following: Limit, in_flight: int, allowed_seconds: float, now_ms: int, *, full: bool) -> float:
    served = following.served[-1]
    rate = max(LEAST_RATE, KEPT_SHARE * served, served + (served * allowed_seconds - in_flight) / SETTLE_SECONDS)
    if limit.rate is None:
        return rate
    doublings = min(MOST_DOUBLINGS, (now_ms - following.full_at_ms) / 1000 / GROWTH_DOUBLING_SECONDS)
    growth = min(MOST_GROWTH, GROWTH * 2**doublings)
    grown = (1 + growth) * limit.rate + LEAST_RATE
    if not full:
        rate = max(rate, min(grown, following.full_rate))  # it serves what it is sent, and was able to serve more
    return (limit.rate + min(rate, max(grown, served))) / 2  # half-way, because a window of 3 s is noisy


def _learn(limit: Limit, seconds: float, now_ms: int) -> None:
    # The least that was seen counts more: all others had something of a queue in them.
    known = limit.service_seconds or seconds
    limit.service_seconds, limit.service_at_ms = math.sqrt(known * min(known, seconds)), now_ms


def _serves_less(limit: Limit) -> bool:
    """Return whether it serves less than it did when full: then the limit keeps it idle, and nothing queues."""
    return sum(limit.ended[-LATELY:]) / LATELY < COSTLY * limit.full_rate


def _is_asked_more(limit: Limit) -> bool:
    """Return whether far more are answered than some seconds ago: what takes longer is not why more are in flight."""
    served = limit.served
    return len(served) > 2 * SURGE_SECONDS and served[-1] > MORE * served[-1 - 2 * SURGE_SECONDS]


def _surges(limit: Limit) -> bool:
    """Return whether more are in flight than before although as many are answered as ever: then they queue."""
    n, served = limit.in_flights, limit.served
    if len(n) <= 2 * SURGE_SECONDS or served[-1] < AS_EVER * max(served[-2 * SURGE_SECONDS - 1 :]):
        return False
    return _grows(n[-1 - SURGE_SECONDS], n[-1]) > SURGING


def _lengthens(limit: Limit) -> bool:
    """Return whether ever more are in flight, which is not so where all take longer: they are more only once."""
    n = limit.in_flights
    for seconds in THIRDS_SECONDS:
        points = n[-1 - 3 * seconds :: seconds] if len(n) > 3 * seconds else []
        if points and all(_grows(before, now) > GROWING for before, now in pairwise(points)):
            return True
    return False


def _grows(before: int, now: int) -> float:
    """Return the growth of a number in flight in standard deviations of the difference of two Poisson counts."""
    return (now - before) / math.sqrt(max(1, now + before))
