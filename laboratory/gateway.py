"""A simulated gateway with servers, a queue and faults. It ignores idempotency keys: every attempt may be charged."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from laboratory.scenarios import OUTLIER_MS, OUTLIERS
from payonce.routing.signals.book import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from laboratory.clockwork import Clockwork
    from laboratory.demand import Demand
    from laboratory.scenarios import Fault, GatewaySpec

TIMEOUT_SECONDS = 10.0  # payonce's deadline for one submission
REFUSED_SECONDS = 0.05  # how long a refused connection takes
RETRANSMIT_SECONDS = (1.0, 3.0, 7.0)  # the delay by one, two, three lost packets in a row (RFC 6298: 1 s, doubling)


class SimulatedGateway:
    """One gateway. For each ``submit`` it calls ``done`` once, after ``TIMEOUT_SECONDS`` at the latest."""

    def __init__(self, spec: GatewaySpec, faults: list[Fault], demand: Demand, clockwork: Clockwork) -> None:
        self.spec = spec
        self._faults = faults
        self._demand = demand
        self._clockwork = clockwork
        self._busy = 0
        self._queue: deque[tuple[int, int, float, list[bool]]] = deque()
        self.charged: dict[int, int] = {}  # payment → number of charges
        self._factor: dict[str, float] = {}
        self._hang: dict[str, float] = {}
        self._all = 1.0
        self.servers = spec.servers
        self._fail, self._loss, self._decline = spec.failing, 0.0, spec.declined
        self.done: Callable[[int, int, SimulatedGateway, Outcome], None] = lambda *_: None

    def weather(self, seconds: float) -> None:
        """Apply the faults' strengths at ``seconds``; they hold until the next call."""
        self._all, servers = 1.0, float(self.spec.servers)
        self._factor, self._hang = {}, {}
        self._fail, self._loss, self._decline = self.spec.failing, 0.0, self.spec.declined
        for fault in self._faults:
            strength = fault.at(seconds)
            if strength is None:
                continue
            if fault.kind == "slow":
                for method in fault.methods or ("*",):
                    self._factor[method] = self._factor.get(method, 1.0) * strength
            elif fault.kind == "hang":
                for method in fault.methods or ("*",):
                    self._hang[method] = strength
            elif fault.kind == "capacity":
                servers *= strength
            else:
                setattr(self, f"_{fault.kind}", strength)
        self._all = self._factor.get("*", 1.0)
        self.servers = max(1, round(servers))
        while self._queue and self._busy < self.servers:
            self._next()

    def submit(self, payment: int, attempt: int) -> None:
        """Accept an attempt now."""
        demand = self._demand
        luck, method = demand.luck, demand.method[payment]
        if luck["fail"][attempt][payment] < self._fail:
            self._clockwork.after(REFUSED_SECONDS, self._refuse, (payment, attempt))
            return
        hang = self._hang
        if hang and luck["hang"][attempt][payment] < hang.get(method, hang.get("*", 0.0)):
            self._clockwork.after(TIMEOUT_SECONDS, self._give_up, (payment, attempt, [False]))
            if luck["executed"][attempt][payment] < 0.5:  # the gateway executed it, and the answer was lost
                self._charge(payment, attempt)
            return
        service = self._service_seconds(payment, attempt, method)
        if self._busy < self.servers:
            self._busy += 1
            self._clockwork.after(service, self._release, None)
            self._answer_in(service, payment, attempt)
        else:
            answered = [False]
            self._queue.append((payment, attempt, self._clockwork.now, answered))
            self._clockwork.after(TIMEOUT_SECONDS, self._give_up, (payment, attempt, answered))

    def _service_seconds(self, payment: int, attempt: int, method: str) -> float:
        demand, spec = self._demand, self.spec
        service = spec.median_ms / 1000 * math.exp(spec.sigma * demand.normal[attempt][payment])
        service *= self._all * (self._factor.get(method, 1.0) if self._factor else 1.0)
        outlier = demand.luck["outlier"][attempt][payment]
        if outlier < OUTLIERS:
            low, high = OUTLIER_MS
            service += (low + (high - low) * outlier / OUTLIERS) / 1000
        if self._loss:
            lost = demand.luck["loss"][attempt][payment]
            rounds = int(math.log(max(lost, 1e-9)) / math.log(self._loss))  # P(at least k lost in a row) = loss^k
            if rounds:
                service += RETRANSMIT_SECONDS[rounds - 1] if rounds <= len(RETRANSMIT_SECONDS) else TIMEOUT_SECONDS
        return service

    def _answer_in(self, seconds: float, payment: int, attempt: int) -> None:
        if seconds < TIMEOUT_SECONDS:
            self._clockwork.after(seconds, self._answer, (payment, attempt))
        else:
            self._clockwork.after(TIMEOUT_SECONDS, self._give_up, (payment, attempt, [False]))
            self._charge(payment, attempt)

    def _charge(self, payment: int, attempt: int) -> None:
        if self._demand.luck["decline"][attempt][payment] >= self._decline:
            self.charged[payment] = self.charged.get(payment, 0) + 1

    def _answer(self, event: tuple[int, int]) -> None:
        payment, attempt = event
        declined = self._demand.luck["decline"][attempt][payment] < self._decline
        if not declined:
            self.charged[payment] = self.charged.get(payment, 0) + 1
        self.done(payment, attempt, self, Outcome.DECLINED if declined else Outcome.APPROVED)

    def _refuse(self, event: tuple[int, int]) -> None:
        self.done(*event, self, Outcome.NEVER_SENT)

    def _give_up(self, event: tuple[int, int, list[bool]]) -> None:
        payment, attempt, answered = event
        if not answered[0]:
            answered[0] = True
            self.done(payment, attempt, self, Outcome.UNKNOWN)

    def _release(self, _event: None) -> None:
        self._busy -= 1
        if self._queue and self._busy < self.servers:
            self._next()

    def _next(self) -> None:
        payment, attempt, since, answered = self._queue.popleft()
        service = self._service_seconds(payment, attempt, self._demand.method[payment])
        self._busy += 1
        self._clockwork.after(service, self._release, None)
        left = TIMEOUT_SECONDS - (self._clockwork.now - since)
        if service < left:
            answered[0] = True
            self._clockwork.after(service, self._answer, (payment, attempt))
        else:  # the client has timed out, but the gateway executes the attempt and charges the card
            self._charge(payment, attempt)
