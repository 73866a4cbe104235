"""Trials without protection, for what they say about the trouble itself.

Kinds that no row of ``TUNING`` has are drawn from ranges of the tests' own, so that no test looks at ``REPORT``.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from laboratory.demand import draw_demand
from laboratory.figures import good_payments
from laboratory.policies.none import NoProtection
from laboratory.simulation import Policy, Trial
from laboratory.split import TUNING, scenario
from laboratory.trouble import Ranges

if TYPE_CHECKING:
    from payonce.routing.signals.book import Outcome

SEED = 1007
UNSEEN = {
    "in_turn": Ranges(4, 20, (0.6, 0.9), lasting=(350, 420), median_ms=500),
    "bursts": Ranges(3, 18, (0.5, 0.8), lasting=(600, 720), median_ms=500),
    "relapsing": Ranges(3, 18, (0.7, 0.9), lasting=(600, 720), median_ms=500),
    "split_methods": Ranges(3, 20, (0.5, 0.9), median_ms=500),
    "unequal_unknown": Ranges(4, 24, (0.4, 0.7), median_ms=500),
    "two_dead": Ranges(6, 30, (0.8, 0.95), median_ms=500),
    "cut_off": Ranges(3, 18, (0.8, 0.95), lasting=(240, 360), median_ms=500),
    "crash_loop": Ranges(3, 18, (5.0, 6.0), lasting=(420, 480), median_ms=500),
    "backed_up": Ranges(2, 18, (0.2, 0.3), median_ms=500),
    "rush": Ranges(3, 12, (1.5, 2.0), lasting=(1500, 1800), use=0.3, median_ms=500),
}


class Unprotected:
    """One trial of a row of ``TUNING`` or ``UNSEEN``, with one array entry per payment.

    ``span`` masks those that arrived in a time.
    """

    def __init__(self, name: str, policy: Policy | None = None, seed: int = SEED) -> None:
        self.drawn = scenario(TUNING | UNSEEN, name, seed)
        self.trial = Trial(self.drawn, draw_demand(self.drawn, seed), policy or NoProtection(), Random(seed)).run()
        self.at = np.asarray(self.trial.demand.at)
        self.seconds = np.asarray(self.trial.ended_at) - np.asarray(self.trial.sent_at)
        self.gateway = np.asarray(self.trial.served_by)
        self.method = np.asarray(self.trial.demand.method)
        self.unknown = np.asarray(self.trial.outcome) == "unknown"
        self.good = good_payments(self.trial)

    def span(self, start: float, end: float) -> np.ndarray:
        """Return a mask."""
        return (self.at >= start) & (self.at < end)

    @property
    def before(self) -> np.ndarray:
        """Return the mask of the time before the trouble."""
        return self.span(0, self.drawn.fault_at)

    @property
    def during(self) -> np.ndarray:
        """Return the mask of the trouble."""
        return self.span(self.drawn.fault_at, self.drawn.healed_at)

    @property
    def ailing(self) -> np.ndarray:
        """Return the mask of the payments that were served by the gateway in trouble."""
        return self.gateway == self.drawn.ailing


@cache
def unprotected(name: str) -> Unprotected:
    """Return the trial of a row, which tests share."""
    return Unprotected(name)


class Watching(NoProtection):
    """Notes every end of an attempt: when, where, after how many seconds, and how."""

    def start(self, trial: Trial) -> None:
        super().start(trial)
        self.ends: list[tuple[float, str, float, Outcome]] = []

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        self.ends.append((self.trial.now, gateway, latency, outcome))
