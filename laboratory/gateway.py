"""A simulated gateway with servers, a queue and faults. It ignores idempotency keys: every attempt may be charged."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from laboratory.scenarios import FACTORS, OUTLIER_MS, OUTLIERS
from payonce.routing.signals.book import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from laboratory.clockwork import Clockwork
    from laboratory.demand import Demand
    from laboratory.scenarios import Fault, GatewaySpec

TIMEOUT_SECONDS = 10.0  # payonce's deadline for one submission
REFUSED_SECONDS = 0.05  # how long a refused connection takes
ERROR_SECONDS = 0.2  # median of a quick error: nothing was waited for
RETRANSMIT_SECONDS = (1.0, 3.0, 7.0)  # the delay by one, two, three lost packets in a row (RFC 6298: 1 s, doubling)
TAIL_FROM = 1.0  # standard deviations above the median from which a Pareto tail is heavier than the lognormal one
TAIL_SHARE = math.erfc(TAIL_FROM / math.sqrt(2)) / 2
TAIL_INDEX = 2.2  # of the Pareto tail: 1 answer in 100 takes over 3 s if the median is 0.6 s
SLOW_ISSUERS = (0.06, 3.0)  # in a mixture, the share of answers that come from a slower issuer, and how much slower
ALL = "*"


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
        self._by_method: dict[str, dict[str, float]] = {}
        self.servers = spec.servers
        self._fail, self._loss, self._decline, self._limit = spec.failing, 0.0, spec.declined, 0.0
        self._allowance, self._allowed_at = 0.0, 0.0
        self.done: Callable[[int, int, SimulatedGateway, Outcome], None] = lambda *_: None

    def weather(self, seconds: float) -> None:
        """Apply the faults' strengths at ``seconds``; they hold until the next call."""
        servers = float(self.spec.servers)
        self._by_method = {}
        self._fail, self._loss, self._decline, self._limit = self.spec.failing, 0.0, self.spec.declined, 0.0
        for fault in self._faults:
            strength = fault.at(seconds)
            if strength is None:
                continue
            if fault.kind in {"slow", "late", "hang", "unknown"}:
                self._apply(fault, strength)
            elif fault.kind == "capacity":
                servers *= strength
            else:
                setattr(self, f"_{fault.kind}", strength)
        self.servers = max(1, round(servers))
        while self._queue and self._busy < self.servers:
            self._next()

    def _apply(self, fault: Fault, strength: float) -> None:
        known = self._by_method.setdefault(fault.kind, {})
        for method in fault.methods or (ALL,):
            known[method] = known.get(method, 1.0) * strength if fault.kind in FACTORS else strength

    def _factor(self, kind: str, method: str) -> float:
        known = self._by_method.get(kind)
        return known.get(ALL, 1.0) * known.get(method, 1.0) if known else 1.0

    def _befalls(self, kind: str, payment: int, attempt: int, method: str) -> bool:
        known = self._by_method.get(kind)
        if not known:
            return False
        return self._demand.luck[kind][attempt][payment] < known.get(method, known.get(ALL, 0.0))

    def submit(self, payment: int, attempt: int) -> None:
        """Accept an attempt now."""
        luck, method = self._demand.luck, self._demand.method[payment]
        if luck["fail"][attempt][payment] < self._fail or (self._limit and self._beyond_limit()):
            self._clockwork.after(REFUSED_SECONDS, self._refuse, (payment, attempt))
            return
        if self._by_method:
            if self._befalls("hang", payment, attempt, method):
                self._leave_unknown(TIMEOUT_SECONDS, payment, attempt)
                return
            if self._befalls("unknown", payment, attempt, method):
                spread = math.exp(self.spec.sigma * self._demand.normal[attempt][payment])
                self._leave_unknown(ERROR_SECONDS * spread, payment, attempt)
                return
        if self._busy < self.servers:
            service = self._service_seconds(payment, attempt, method)
            self._busy += 1
            late = self._factor("late", method) if self._by_method else 1.0
            if late == 1.0 and service < TIMEOUT_SECONDS:
                self._clockwork.after(service, self._release_and_answer, (payment, attempt))
                return
            self._clockwork.after(service, self._release, None)
            self._answer_in(service * late, payment, attempt)
        else:
            answered = [False]
            self._queue.append((payment, attempt, self._clockwork.now, answered))
            self._clockwork.after(TIMEOUT_SECONDS, self._give_up, (payment, attempt, answered))

    def _beyond_limit(self) -> bool:
        """Return whether the gateway's own limiter refuses, a token bucket that holds one second's attempts."""
        now = self._clockwork.now
        self._allowance = min(self._limit, self._allowance + (now - self._allowed_at) * self._limit)
        self._allowed_at = now
        if self._allowance < 1:
            return True
        self._allowance -= 1
        return False

    def _leave_unknown(self, seconds: float, payment: int, attempt: int) -> None:
        self._clockwork.after(seconds, self._give_up, (payment, attempt, [False]))
        if self._demand.luck["executed"][attempt][payment] < 0.5:  # the gateway executed it, and the answer was lost
            self._charge(payment, attempt)

    def _service_seconds(self, payment: int, attempt: int, method: str) -> float:
        demand, spec = self._demand, self.spec
        normal, outlier = demand.normal[attempt][payment], demand.luck["outlier"][attempt][payment]
        service = spec.median_ms / 1000 * math.exp(spec.sigma * normal)
        if spec.tail != "lognormal":
            service *= _tail(spec, normal, outlier)
        if self._by_method:
            service *= self._factor("slow", method)
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

    def _release_and_answer(self, event: tuple[int, int]) -> None:
        self._release(None)
        self._answer(event)

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
        service *= self._factor("late", self._demand.method[payment])
        if service < left:
            answered[0] = True
            self._clockwork.after(service, self._answer, (payment, attempt))
        else:  # the client has timed out, but the gateway executes the attempt and charges the card
            self._charge(payment, attempt)


def _tail(spec: GatewaySpec, normal: float, outlier: float) -> float:
    """Return the factor that makes a lognormal latency one of ``spec.tail``."""
    if spec.tail == "mixture":
        share, slower = SLOW_ISSUERS
        return slower if outlier > 1 - share else 1.0
    if normal <= TAIL_FROM:
        return 1.0
    rarity = math.erfc(normal / math.sqrt(2)) / 2 / TAIL_SHARE
    return float(math.exp(spec.sigma * (TAIL_FROM - normal)) * rarity ** (-1 / TAIL_INDEX))
