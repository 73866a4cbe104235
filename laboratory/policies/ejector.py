"""Outlier ejection per gateway, as Envoy documents it.

https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/outlier and, for the panic threshold,
https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/panic_threshold.

Envoy's success-rate rule (mean - 1.9 standard deviations) is left out: by default it asks for five hosts, and among n
hosts none can be more than sqrt(n - 1) standard deviations below their mean, which is 1.74 for four gateways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from laboratory.policies.judged import Judged
from laboratory.policies.none import REPEAT_SECONDS

if TYPE_CHECKING:
    from laboratory.simulation import Trial

# Envoy's defaults.
CONSECUTIVE_FAILURES = 5
BASE_EJECTION_SECONDS = 30.0
MAX_EJECTION_SECONDS = 300.0
PANIC_SHARE = 0.5
# Tuned. Envoy's max_ejection_percent is 100 here (default: 10, but at least one host), since panic guards better: with
# 50, goodput in the scenario ``saturating`` fell from 0.88 to 0.73.
INTERVAL_SECONDS = 5.0  # default: 10
FAILURE_SHARE = 0.05  # default: 0.85, and not enforced
MIN_REQUESTS = 25  # an interval; default: 50


@dataclass(slots=True)
class _Host:
    good: int = 0  # in this interval
    bad: int = 0
    in_a_row: int = 0  # failures
    ejected_until: float | None = None
    ejections: int = 0  # multiplies the ejection time

    def fails_often(self) -> bool:
        count = self.good + self.bad
        return count >= MIN_REQUESTS and self.bad >= FAILURE_SHARE * count


class Ejector(Judged):
    """Chooses by weight among the gateways that are not ejected, or among all in panic.

    It counts the failures of all functions exactly and immediately, and a late answer as a failure once it is late
    (Envoy: a per-try timeout with ``hedge_on_per_try_timeout``, which doesn't cancel). A Lambda could not: it would see
    too few attempts of its own for five failures in a row or a share.
    """

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
        """Return the gateways that get payments: those not ejected, or all in panic."""
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
        if host.ejected_until is None:
            host.ejections += 1
            lasting = min(MAX_EJECTION_SECONDS, BASE_EJECTION_SECONDS * host.ejections)
            host.ejected_until = self.trial.now + lasting

    def _sweep(self) -> None:
        self.judge_overdue()
        for host in self.hosts.values():
            if host.ejected_until is None:
                if host.fails_often():
                    self._eject(host)
                else:
                    host.ejections = max(0, host.ejections - 1)
            elif host.ejected_until <= self.trial.now:
                host.ejected_until, host.in_a_row = None, 0
            host.good = host.bad = 0
