"""A gateway that takes so many requests a second, is down for a while, and has books.

It has no word for recovery: a request is a request. What is over its capacity it refuses at once (as with a 429), or
queues, so that answers come late and then not in time.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.gateway import (
    MONEY_OPERATIONS,
    AwaitsPayer,
    ChargeOutcome,
    GatewayCapabilities,
    Instruction,
    LookupOutcome,
    NotFound,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Deadline
    from simulation.scheduler import Scheduler

LATENCY_SECONDS = 0.25
# The hardest kind: it ignores keys, and its "not found" is final half a minute after the last possible submission.
IGNORES_KEYS = GatewayCapabilities(
    key_retention_seconds=0,
    lookup_by_reference=True,
    lookup_authoritative_after_seconds=30,
    multiple_captures=True,
    operations=MONEY_OPERATIONS,
)


@dataclass(eq=False)
class DrillBank:
    """``Gateway``. ``down``: from and until when (seconds) nothing is answered.

    ``executes``: whether a request that is not answered is executed all the same, by the number of the submission.
    ``hides_seconds``: how long an inquiry does not find what was executed; where it is above 0, no submission is
    answered, so that each payment is in doubt for a while.
    """

    scheduler: Scheduler
    name: str
    takes_per_second: float
    refuses: bool
    down: tuple[float, float]
    executes: Callable[[int], bool]
    capabilities: GatewayCapabilities = IGNORES_KEYS
    hides_seconds: float = 0.0
    charges: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    sent_at: dict[str, float] = field(default_factory=dict)
    requests_by_minute: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    _submissions: int = 0
    _tokens: float = 0.0
    _at: float = 0.0
    _busy_until: float = 0.0

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        self._submissions += 1
        reference = instruction.gateway_reference
        self.sent_at[reference] = self._now()
        number = self._submissions
        answered, executed = self._exchange(deadline)
        if executed if executed is not None else self.executes(number):
            self.charges[reference] += 1
        if not answered or self.hides_seconds:
            return Unknown("no answer", repeatable=True)
        return Succeeded(f"ch_{reference}", f"op_{reference}")

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        reference = instruction.gateway_reference
        self.asked[reference] += 1
        answered, _ = self._exchange(deadline)
        if not answered:
            return Unknown("no answer")
        shown = self.charges[reference] and self._now() >= self.sent_at[reference] + self.hides_seconds
        return Succeeded(f"ch_{reference}", f"op_{reference}") if shown else NotFound()

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. This one waits for nobody."""
        raise AssertionError("nothing was said to wait")

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. This one waits for nobody."""
        raise AssertionError("nothing was said to wait")

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``. Nobody asks for it here."""
        raise AssertionError("nothing was corrected")

    def _now(self) -> float:
        return self.scheduler.now_us / 1e6

    def _exchange(self, deadline: Deadline) -> tuple[bool, bool | None]:
        """Let a request take its time; return whether it was answered, and whether executed (None: it was lost)."""
        now = self._now()
        self.requests_by_minute[int(now // 60)] += 1
        left = max(0.0, (deadline.at_ms - self.scheduler.now_ms()) / 1000)
        if self.down[0] <= now < self.down[1]:
            self.scheduler.sleep(left)
            return False, None
        if self.refuses:
            self._tokens = min(max(1.0, self.takes_per_second), self._tokens + (now - self._at) * self.takes_per_second)
            self._at = now
            self.scheduler.sleep(min(left, LATENCY_SECONDS))
            if self._tokens < 1:
                self.refused += 1
                return False, False
            self._tokens -= 1
            return left >= LATENCY_SECONDS, True
        self._busy_until = max(self._busy_until, now) + 1 / self.takes_per_second
        takes = self._busy_until - now + LATENCY_SECONDS
        self.scheduler.sleep(min(left, takes))
        if takes > left:
            self.refused += 1
            return False, True
        return True, True


def every(share: float) -> Callable[[int], bool]:
    """Return which submissions are executed without an answer, so that they are ``share`` of all."""
    return lambda number: math.floor(number * share) > math.floor((number - 1) * share)
