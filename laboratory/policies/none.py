"""No protection: the static, neutral weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laboratory.simulation import Trial
    from payonce.routing.signals.book import Outcome

REPEAT_SECONDS = 1.0


class NoProtection:
    """Chooses by the neutral weights and the payment's random number, without any memory."""

    name = "none"

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        self.trial = trial
        self.names = sorted(trial.gateways)
        self.weights = trial.scenario.weights

    def preferred(self, payment: int, names: list[str]) -> str:
        """Return the choice among ``names`` by their neutral weights."""
        left = self.trial.demand.route[payment] * sum([self.weights[name] for name in names])
        for name in names:
            left -= self.weights[name]
            if left < 0:
                return name
        return names[-1]

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        left = [name for name in self.names if name not in excluding] if excluding else self.names
        return self.preferred(payment, left) if left else REPEAT_SECONDS

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """See ``Policy``."""

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """See ``Policy``."""
