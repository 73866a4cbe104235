"""Outlier ejection per gateway, as Envoy documents it.

https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier and, for the panic threshold,
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, pstdev
from typing import TYPE_CHECKING

from laboratory.policies.judged import Judged
from laboratory.policies.none import REPEAT_SECONDS

if TYPE_CHECKING:
    from laboratory.simulation import Trial

CONSECUTIVE_FAILURES = 5
INTERVAL_SECONDS = 10.0
BASE_EJECTION_SECONDS = 30.0
MAX_EJECTION_SECONDS = 300.0
MAX_EJECTION_SHARE = 1.0
PANIC_SHARE = 0.5
FAILURE_SHARE = 0.05
MIN_REQUESTS = 50
MIN_GATEWAYS = 3
STDEV_FACTOR = 1.2
SR_VOLUME = 50


@dataclass(slots=True)
class _Host:
    good: int = 0  # in this interval
    bad: int = 0
    in_a_row: int = 0
    ejected_until: float | None = None
    ejections: int = 0  # multiplies the ejection time


class Ejector(Judged):
    """Chooses by weight among the gateways that are not ejected, or among all in panic."""

    name = "ejector"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self.hosts = {name: _Host() for name in self.names}
        trial.clockwork.every(INTERVAL_SECONDS, self._sweep, INTERVAL_SECONDS)

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        self.judge_overdue()
        left = [name for name in self.names if name not in excluding]
        available = self.available()
        usable = [name for name in left if name in available] or left
        return self.preferred(payment, usable) if usable else REPEAT_SECONDS

    def available(self) -> list[str]:
        """Return the gateways that get payments: those not ejected, or in panic all."""
        healthy = [name for name in self.names if self.hosts[name].ejected_until is None]
        return healthy if len(healthy) >= PANIC_SHARE * len(self.names) else self.names

    def judged(self, payment: int, gateway: str, *, good: bool) -> None:
        """See ``Judged``."""
        host = self.hosts[gateway]
        if good:
            host.good, host.in_a_row = host.good + 1, 0
            return
        host.bad, host.in_a_row = host.bad + 1, host.in_a_row + 1
        if host.in_a_row >= CONSECUTIVE_FAILURES:
            host.in_a_row = 0
            self._eject(host)

    def _eject(self, host: _Host) -> None:
        ejected = sum(1 for other in self.hosts.values() if other.ejected_until is not None)
        if host.ejected_until is None and (ejected == 0 or ejected + 1 <= MAX_EJECTION_SHARE * len(self.names)):
            host.ejections += 1
            lasting = min(MAX_EJECTION_SECONDS, BASE_EJECTION_SECONDS * host.ejections)
            host.ejected_until = self.trial.now + lasting

    def _sweep(self) -> None:
        self.judge_overdue()
        back = [h for h in self.hosts.values() if h.ejected_until is not None and h.ejected_until <= self.trial.now]
        for host in back:
            host.ejected_until, host.in_a_row = None, 0
        for host in self._outliers():
            self._eject(host)
        for host in self.hosts.values():
            if host.ejected_until is None and host not in back:
                host.ejections = max(0, host.ejections - 1)
            host.good = host.bad = 0

    def _outliers(self) -> list[_Host]:
        hosts = [host for host in self.hosts.values() if host.good + host.bad >= SR_VOLUME]
        rates = [host.good / (host.good + host.bad) for host in hosts]
        least = mean(rates) - STDEV_FACTOR * pstdev(rates) if len(hosts) >= MIN_GATEWAYS else 0.0
        counted = [host for host in self.hosts.values() if host.good + host.bad >= MIN_REQUESTS]
        return [h for h, rate in zip(hosts, rates, strict=True) if rate < least] + [
            host for host in counted if host.bad >= FAILURE_SHARE * (host.good + host.bad)
        ]
