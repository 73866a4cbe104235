"""Thompson sampling with discounted Beta posteriors: per gateway and, on top of it, per gateway and method.

The discounting is that of Raj and Kalyani, "Taming Non-stationary Bandits: A Bayesian Approach" (2017), in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.policies.judged import Judged
from laboratory.policies.none import REPEAT_SECONDS

if TYPE_CHECKING:
    from laboratory.simulation import Trial

HALF_LIFE_SECONDS = 30.0
POOLED = 10.0
INDIFFERENT = 0.03


class Posterior:
    """Successes and failures, of which half is forgotten every ``HALF_LIFE_SECONDS``."""

    def __init__(self) -> None:
        self.good = self.bad = 0.0
        self._at = 0.0

    def forget(self, now: float) -> None:
        """Discount what was learnt until ``now``."""
        if now > self._at:
            kept = 0.5 ** ((now - self._at) / HALF_LIFE_SECONDS)
            self.good, self.bad, self._at = self.good * kept, self.bad * kept, now


class Thompson(Judged):
    """Draws a success probability for each gateway, and chooses by weight among those not clearly below the best."""

    name = "thompson"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self.pooled = {name: Posterior() for name in self.names}
        self.cells: dict[tuple[str, str], Posterior] = {}

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        self.judge_overdue()
        method = self.trial.demand.method[payment]
        drawn = {name: self.draw(name, method) for name in self.names if name not in excluding}
        if not drawn:
            return REPEAT_SECONDS
        least = max(drawn.values()) - INDIFFERENT
        return self.preferred(payment, [name for name, value in drawn.items() if value >= least])

    def judged(self, payment: int, gateway: str, *, good: bool) -> None:
        """See ``Judged``."""
        for posterior in (self.pooled[gateway], self._cell(gateway, self.trial.demand.method[payment])):
            posterior.forget(self.trial.now)
            posterior.good += good
            posterior.bad += not good

    def draw(self, gateway: str, method: str) -> float:
        """Return a draw of the probability (0..1) that an attempt of this method succeeds at this gateway."""
        pooled, cell = self.pooled[gateway], self._cell(gateway, method)
        pooled.forget(self.trial.now)
        cell.forget(self.trial.now)
        scale = min(1.0, POOLED / max(1e-9, pooled.good + pooled.bad))
        return self.trial.random.betavariate(1 + cell.good + pooled.good * scale, 1 + cell.bad + pooled.bad * scale)

    def _cell(self, gateway: str, method: str) -> Posterior:
        return self.cells.setdefault((gateway, method), Posterior())
