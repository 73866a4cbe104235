"""Success-rate routing as in Juspay's Decision Engine (``SR_BASED_ROUTING``, its score "SR V3"), on technical success.

https://github.com/juspay/decision-engine: docs/api-refs (decide-gateway-sr-based, success-rate-config-create,
elimination-config-create); defaults in src/decider/gatewaydecider/constants.rs and src/feedback/constants.rs.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from laboratory.policies.judged import Judged
from laboratory.policies.none import REPEAT_SECONDS

if TYPE_CHECKING:
    from laboratory.simulation import Trial

# The engine's defaults.
PENALTY, REWARD = 0.05, 0.0526  # of the elimination's score, after a failure and a success
DOWNTIME_DIVISOR = 5.0  # of the score of a gateway that is down
ELIMINATED_BELOW = 0.2  # the documentation's example; any value up to 0.8 did the same
# Tuned. Its latency threshold is the SLO (``judged.LATE_SECONDS``) instead of 300 s.
BUCKET_SIZE = 50  # default: 125
HEDGING_SHARE = 0.02  # default: 0.05


class Score:
    """The successes in the last ``BUCKET_SIZE`` attempts of a gateway and method, and whether it is down.

    At first everything counts as a success, as in the engine.
    """

    def __init__(self) -> None:
        self._bucket = deque([True] * BUCKET_SIZE, maxlen=BUCKET_SIZE)
        self.good = BUCKET_SIZE
        self._health = 1.0

    @property
    def down(self) -> bool:
        """Return whether the gateway is to be eliminated."""
        return self._health < ELIMINATED_BELOW

    def add(self, *, good: bool) -> None:
        """Add an attempt, and forget the oldest."""
        self.good += good - self._bucket[0]
        self._bucket.append(good)
        self._health = min(1.0, self._health * (1 + REWARD if good else 1 - PENALTY))


class SuccessRate(Judged):
    """Chooses the gateway with the best score for the method, and at a small share of payments another.

    The compared scores are drawn from a binomial distribution (the engine's option ENABLE_BINOMIAL_DISTRIBUTION), since
    scores as they are send everything to one gateway at the first failure of the others. Equal scores go by weight. The
    engine keeps its scores in Redis; here they hold every attempt as soon as it is judged, which no Lambda's could.
    """

    name = "success_rate"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self.scores: dict[tuple[str, str], Score] = {}

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        self.judge_overdue()
        left = [name for name in self.names if name not in excluding]
        if not left:
            return REPEAT_SECONDS
        method = self.trial.demand.method[payment]
        drawn = {name: self.draw(name, method) for name in left}
        best = max(drawn.values())
        head = self.preferred(payment, [name for name in left if drawn[name] == best])
        if len(left) > 1 and self.trial.random.random() < HEDGING_SHARE:
            return self.preferred(payment, [name for name in left if name != head])
        return head

    def judged(self, payment: int, gateway: str, *, good: bool) -> None:
        """See ``Judged``."""
        self._score(gateway, self.trial.demand.method[payment]).add(good=good)

    def draw(self, gateway: str, method: str) -> float:
        """Return the score to compare, in successes of ``BUCKET_SIZE``."""
        score = self._score(gateway, method)
        drawn = self.trial.random.binomialvariate(BUCKET_SIZE, score.good / BUCKET_SIZE)
        return drawn / DOWNTIME_DIVISOR if score.down else drawn

    def _score(self, gateway: str, method: str) -> Score:
        key = (gateway, method)
        if key not in self.scores:
            self.scores[key] = Score()
        return self.scores[key]
