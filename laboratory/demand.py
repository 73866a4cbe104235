"""Draws payments and their random numbers before the trial, so that every policy meets the same of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from laboratory.scenarios import peaks
from payonce.domain.durations import DAY_SECONDS
from payonce.routing.control.admission import Priority

if TYPE_CHECKING:
    from laboratory.scenarios import Scenario

NIGHT_SHARE = 0.2  # demand at night, relative to noon
WEEKEND_SHARE = 0.7
QUIET_SHARE = 0.15  # at night, of a peak, where the day has two
ATTEMPTS = 2  # a payment is sent to at most two gateways; each attempt has its own random numbers
PRIORITIES = (Priority.PROTECTED, Priority.AUTHORIZATION, Priority.BATCH)


@dataclass(slots=True)
class Demand:
    """The payments of a trial: one list per property, indexed by payment.

    ``at`` is in seconds. ``luck`` maps a purpose to uniform random numbers in [0, 1), by attempt and payment;
    ``normal`` holds standard normal ones.
    """

    at: list[float]
    method: list[str]
    merchant: list[str]
    priority: list[Priority]
    route: list[float]
    normal: list[list[float]]
    luck: dict[str, list[list[float]]]

    def __len__(self) -> int:
        return len(self.at)


def draw_demand(scenario: Scenario, seed: int) -> Demand:
    """Return all payments of one trial, ordered by time. Equal seeds give equal demand."""
    random = np.random.default_rng([seed, 1])
    names = [f"m{index}" for index in range(scenario.merchants)]
    popularity = 1 / np.arange(1, scenario.merchants + 1) ** 0.5
    popularity /= popularity.sum()
    everyone = _times(scenario, random, scenario.rate, [s for s in scenario.surges if s.merchant is None])
    owners = random.choice(scenario.merchants, size=len(everyone), p=popularity)
    times, merchants = [everyone], [owners]
    for surge in scenario.surges:
        if surge.merchant is not None:  # the merchant's demand beyond its usual
            number = names.index(surge.merchant)
            own = scenario.rate * popularity[number] * (surge.factor - 1)
            extra = random.uniform(surge.start, surge.end, random.poisson(own * (surge.end - surge.start)))
            times.append(extra)
            merchants.append(np.full(len(extra), number))
    at, owner = np.concatenate(times), np.concatenate(merchants)
    order = np.argsort(at, kind="stable")
    at, owner = at[order], owner[order]
    count = len(at)
    methods = list(scenario.methods)
    kinds = random.choice(len(methods), size=count, p=list(scenario.methods.values()))
    shares = [scenario.protected_share, 1 - scenario.protected_share - scenario.batch_share, scenario.batch_share]
    ranks = random.choice(3, size=count, p=shares)
    purposes = ("fail", "hang", "loss", "decline", "outlier", "executed", "unknown")
    return Demand(
        at=at.tolist(),
        method=[methods[kind] for kind in kinds],
        merchant=[names[number] for number in owner],
        priority=[PRIORITIES[rank] for rank in ranks],
        route=random.random(count).tolist(),
        normal=[random.standard_normal(count).tolist() for _ in range(ATTEMPTS)],
        luck={purpose: [random.random(count).tolist() for _ in range(ATTEMPTS)] for purpose in purposes},
    )


def _times(scenario: Scenario, random: np.random.Generator, rate: float, surges: list) -> np.ndarray:  # type: ignore[type-arg]
    seconds = np.arange(int(scenario.seconds))
    rates = np.full(len(seconds), float(rate))
    if scenario.profile == "daily":
        rates *= NIGHT_SHARE + (1 - NIGHT_SHARE) * (1 - np.cos(2 * np.pi * seconds / DAY_SECONDS)) / 2
    elif scenario.profile == "peaks":
        by_minute = np.array([QUIET_SHARE + (1 - QUIET_SHARE) * peaks(at) for at in range(0, DAY_SECONDS, 60)])
        rates *= by_minute[seconds % DAY_SECONDS // 60]
    if scenario.profile:
        rates[(seconds // DAY_SECONDS) % 7 >= 5] *= WEEKEND_SHARE
    for surge in surges:
        rates[(seconds >= surge.start) & (seconds < surge.end)] *= surge.factor
    counts = random.poisson(rates)
    return np.sort(np.repeat(seconds, counts) + random.random(counts.sum()))
