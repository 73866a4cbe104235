"""Success-rate routing as in Juspay's Decision Engine (``SR_BASED_ROUTING``, its score "SR V3"), on technical success.

https://github.com/juspay/decision-engine: docs/api-refs/decide-gateway-sr-based.mdx, success-rate-config-create.mdx,
elimination-config-create.mdx; for defaults, src/decider/gatewaydecider/constants.rs and src/feedback/constants.rs.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from laboratory.policies.judged import Judged
from laboratory.policies.none import REPEAT_SECONDS

if TYPE_CHECKING:
    from laboratory.simulation import Trial

BUCKET_SIZE = 125
HEDGING_SHARE = 0.05
ELIMINATED_BELOW = 0.2
PENALTY, REWARD = 0.05, 0.0526
DOWNTIME_DIVISOR = 5.0
SAMPLED = True


class Score:
    """The success rate of one gateway and method in its last ``BUCKET_SIZE`` attempts, at first all successes."""

    def __init__(self) -> None:
        self._bucket = deque([1] * BUCKET_SIZE, maxlen=BUCKET_SIZE)
        self._good = BUCKET_SIZE
        self.health = 1.0

    def add(self, *, good: bool) -> None:
        self._good += good - self._bucket[0]
        self._bucket.append(int(good))
        self.health = min(1.0, self.health * (1 + REWARD if good else 1 - PENALTY))

    @property
    def rate(self) -> float:
        return self._good / BUCKET_SIZE


class SuccessRate(Judged):
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
        ranked = {name: self.score(name, method) for name in left}
        best = max(ranked.values())
        head = self.preferred(payment, [name for name in left if ranked[name] == best])
        if len(left) > 1 and self.trial.random.random() < HEDGING_SHARE:
            return self.preferred(payment, [name for name in left if name != head])
        return head

    def judged(self, payment: int, gateway: str, *, good: bool) -> None:
        """See ``Judged``."""
        self._score(gateway, self.trial.demand.method[payment]).add(good=good)

    def score(self, gateway: str, method: str) -> float:
        score = self._score(gateway, method)
        value = score.rate
        if SAMPLED:
            value = self.trial.random.binomialvariate(BUCKET_SIZE, value) / BUCKET_SIZE
        return value / DOWNTIME_DIVISOR if score.health < ELIMINATED_BELOW else value

    def _score(self, gateway: str, method: str) -> Score:
        key = (gateway, method)
        if key not in self.scores:
            self.scores[key] = Score()
        return self.scores[key]
