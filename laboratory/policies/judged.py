"""What the learning baselines learn from: every attempt, judged once and as soon as the result is certain."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from laboratory.policies.none import NoProtection
from payonce.routing.signals.book import TECHNICAL

if TYPE_CHECKING:
    from laboratory.simulation import Trial
    from payonce.routing.signals.book import Outcome

LATE_SECONDS = 3.0  # the SLO: an answer after that comes too late for the client


class Judged(NoProtection):
    """Calls ``judged`` once for every attempt: good if it had a definite answer (also a decline) in ``LATE_SECONDS``.

    Bad are a refused connection, an unknown outcome, a late answer, and an attempt that is still open when the time is
    over. A Lambda could not know this: it sees only its own attempts, and those of the others after the delay of a
    stream or a shared table.
    """

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        super().start(trial)
        self._open: set[tuple[int, int]] = set()
        self._due: deque[tuple[float, int, int, str]] = deque()

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """See ``Policy``."""
        self._open.add((payment, attempt))
        self._due.append((self.trial.now + LATE_SECONDS, payment, attempt, gateway))

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """See ``Policy``."""
        if (payment, attempt) in self._open:
            self._open.remove((payment, attempt))
            self.judged(payment, gateway, good=outcome not in TECHNICAL and latency <= LATE_SECONDS)

    def judge_overdue(self) -> None:
        """Judge the attempts whose time is over. Subclasses call it before they decide."""
        while self._due and self._due[0][0] < self.trial.now:
            _, payment, attempt, gateway = self._due.popleft()
            if (payment, attempt) in self._open:
                self._open.remove((payment, attempt))
                self.judged(payment, gateway, good=False)

    def judged(self, payment: int, gateway: str, *, good: bool) -> None:
        """Learn from one attempt of ``payment``."""
        raise NotImplementedError
