"""Gateways in a few lines for the reflex: servers with a queue (M/G/c), or a mere delay."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from payonce.routing.decision import reflex, sharing
from payonce.routing.decision.reflex import Limit
from payonce.routing.signals.observation import GatewaySignals

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_SECONDS = 3.0
TIMEOUT_SECONDS = 10.0
SLO_SECONDS = 3.0
SERVICE_SECONDS = 0.65
SPREAD = 0.35  # of the service time's logarithm
EXPECTED_SECONDS = 1.4  # 1.25 times the p95
T0 = 1_000_000_000_000


def _steady(_second: float) -> float:
    return 1.0


@dataclass
class SmallGateway:
    """A gateway with ``servers``, or without a queue if there are none; ``slower`` is a factor by the second."""

    rate: float
    servers: int | None = None
    slower: Callable[[float], float] = _steady
    seed: int = 7
    attempts: list[tuple[float, float]] = field(default_factory=list)  # begin and end in seconds
    _free: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with idle servers."""
        self._draw, self._free = Random(self.seed), [0.0] * (self.servers or 0)

    def serve(self, second: int, share: float) -> None:
        """Let a second of its payments begin, of which ``share`` are sent."""
        at = float(second)
        while (at := at + self._draw.expovariate(self.rate)) < second + 1:
            luck, service = self._draw.random(), SERVICE_SECONDS * self._draw.lognormvariate(0, SPREAD)
            if luck >= share:
                continue
            begin = max(at, heapq.heappop(self._free)) if self.servers else at
            end = begin + service * self.slower(begin)
            if self.servers:
                heapq.heappush(self._free, end)
            self.attempts.append((at, min(end, at + TIMEOUT_SECONDS)))

    def signals(self, now: float) -> GatewaySignals:
        """Return what is seen of it over the last ``WINDOW_SECONDS``."""
        self.attempts = [one for one in self.attempts if one[1] > now - 60]
        seen = GatewaySignals()
        for begin, end in self.attempts:
            seen.started += now - WINDOW_SECONDS < begin <= now
            if end > now:
                seen.in_flight += 1
                seen.overdue += now - begin > EXPECTED_SECONDS
            elif end > now - WINDOW_SECONDS:
                is_timeout = end - begin >= TIMEOUT_SECONDS
                seen.technical += is_timeout
                seen.answered += not is_timeout
                seen.slow += end - begin > EXPECTED_SECONDS
        return seen


@dataclass
class SmallShop:
    """Gateways under the reflex alone: what exceeds an applied limit is not sent (it is moved, or refused)."""

    gateways: dict[str, SmallGateway]
    limits: dict[str, Limit] = field(default_factory=dict)
    refusing: bool = False
    applied: list[dict[str, float]] = field(default_factory=list)  # per second
    refused_seconds: list[int] = field(default_factory=list)
    second: int = 0

    def run(self, seconds: int) -> SmallShop:
        """Let so many seconds pass."""
        for _ in range(seconds):
            applied = self.applied[-1] if self.applied else {}
            for name, gateway in self.gateways.items():
                gateway.serve(self.second, min(1.0, applied.get(name, gateway.rate) / gateway.rate))
            self.second += 1
            self._step()
        return self

    def _step(self) -> None:
        used = set(self.gateways)
        for name, gateway in self.gateways.items():
            self.limits[name] = reflex.step(
                self.limits.get(name, Limit()),
                gateway.signals(float(self.second)),
                now_ms=T0 + 1000 * self.second,
                recent_seconds=WINDOW_SECONDS,
                slo_seconds=SLO_SECONDS,
                wanted_rate=gateway.rate,
            )
        sharing.compare(self.limits, used)
        limited, rooms, refuses = sharing.limiting(self.limits, used)
        rates = {name: gateway.rate for name, gateway in self.gateways.items()}
        most = {name: limited.get(name, max(rate, rooms.get(name, math.inf))) for name, rate in rates.items()}
        self.refusing = refuses and sum(most.values()) < sum(rates.values())
        self.applied.append(limited)
        if self.refusing:
            self.refused_seconds.append(self.second)

    def late_share(self, since: int) -> float:
        """Return the share of the attempts begun since then that took longer than the SLO."""
        took = [end - begin for each in self.gateways.values() for begin, end in each.attempts if begin >= since]
        return sum(seconds > SLO_SECONDS for seconds in took) / len(took)
