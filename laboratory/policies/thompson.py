"""Thompson sampling with a discounted Beta posterior per gateway, and per gateway and method.

Discounting is that of Raj and Kalyani, "Taming Non-stationary Bandits: A Bayesian Approach" (arXiv:1707.09727): counts
fade, while the prior Beta(1, 1) does not, so that a gateway without payments becomes uncertain and is tried again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laboratory.policies.judged import Judged
from laboratory.policies.none import REPEAT_SECONDS

if TYPE_CHECKING:
    from laboratory.simulation import Trial

# Tuned.
HALF_LIFE_SECONDS = 30.0
POOLED = 30.0  # attempts that all methods of a gateway together count for at most, in what is known of one method
INDIFFERENT = 0.01  # gateways drawn this near to the best keep their weights; the usual 0 would ignore all weights


class Posterior:
    """Successes and failures, of which half is forgotten every ``HALF_LIFE_SECONDS``."""

    def __init__(self) -> None:
        self.good = self.bad = self._at = 0.0

    def forget(self, now: float) -> None:
        """Discount what was learnt, until ``now`` (seconds)."""
        kept = 0.5 ** ((now - self._at) / HALF_LIFE_SECONDS)
        self.good, self.bad, self._at = self.good * kept, self.bad * kept, now


class Thompson(Judged):
    """Draws a success probability for each gateway, and chooses by weight among those drawn best.

    The posterior holds the attempts of all functions as soon as they are judged, which no Lambda's could.
    """

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
        for posterior in self._posteriors(gateway, self.trial.demand.method[payment]):
            posterior.good += good
            posterior.bad += not good

    def draw(self, gateway: str, method: str) -> float:
        """Return a draw of the probability (0..1) that an attempt of this method succeeds at this gateway."""
        pooled, cell = self._posteriors(gateway, method)
        share = POOLED / max(POOLED, pooled.good + pooled.bad)
        return self.trial.random.betavariate(1 + cell.good + pooled.good * share, 1 + cell.bad + pooled.bad * share)

    def _posteriors(self, gateway: str, method: str) -> tuple[Posterior, Posterior]:
        pooled, cell = self.pooled[gateway], self.cells.setdefault((gateway, method), Posterior())
        for posterior in (pooled, cell):
            posterior.forget(self.trial.now)
        return pooled, cell
