"""One trial: a discrete-event simulation of a scenario's payments under one policy.

The client retries a refused request after ``Retry-After``, and a slow one after its patience, both with the same key.
payonce's idempotency applies to every policy: a retry of a request in flight joins it, a payment in doubt is looked up
and never sent again, and only an attempt that was certainly never sent moves to another gateway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from laboratory.clockwork import Clockwork
from laboratory.deliveries import Deliveries
from laboratory.gateway import SimulatedGateway
from payonce.routing.signals.book import Outcome

if TYPE_CHECKING:
    from random import Random

    from laboratory.demand import Demand
    from laboratory.scenarios import Scenario

MAX_TRIES = 4  # a client gives up after four refusals
PATIENCE_SECONDS = 5.0
DAILY_WEATHER_SECONDS = 60.0  # interval at which daily faults are updated; they change slowly
REFUSED, OPEN = "refused", "open"


class Policy(Protocol):
    """A routing policy. Every policy is told of each dispatch and end exactly and immediately.

    One that is to see them as late as production does looks only at those up to ``trial.seen_until``.
    """

    name: str

    def start(self, trial: Trial) -> None:
        """Prepare for a trial. Called once, before the first payment."""

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """Return the gateway's name, or refuse: return the seconds after which the client may retry."""

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """Take note that an attempt was sent."""

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """Take note that an attempt ended, after ``latency`` seconds."""


@dataclass(slots=True)
class Trial:
    """A running trial and its results. The lists have one entry per payment; times are in seconds.

    ``refusals`` counts every 429 to a client, and a payment that ended ``REFUSED`` has had four of them.
    """

    scenario: Scenario
    demand: Demand
    policy: Policy
    random: Random
    clockwork: Clockwork = field(default_factory=Clockwork)
    gateways: dict[str, SimulatedGateway] = field(default_factory=dict)
    ended_at: list[float] = field(default_factory=list)
    outcome: list[str] = field(default_factory=list)
    served_by: list[str] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    in_doubt: int = 0
    refusals: int = 0
    dispatches: int = 0
    repeats: int = 0
    keys_honoured: bool = True
    deliveries: Deliveries = field(init=False)

    def __post_init__(self) -> None:
        self.deliveries = Deliveries(self.scenario.stream)

    @property
    def now(self) -> float:
        """Return the seconds since the trial began."""
        return self.clockwork.now

    @property
    def seen_until(self) -> float:
        """Return up to when, in seconds, a reader of the stream has seen what happened. It never goes back."""
        return self.deliveries.seen_until(self.clockwork.now)

    def run(self) -> Trial:
        """Run the trial to its end and return it."""
        count = len(self.demand)
        self.ended_at, self.outcome, self.served_by = [-1.0] * count, [OPEN] * count, [""] * count
        self.sent_at = [0.0] * count
        for spec in self.scenario.gateways:
            faults = [fault for fault in self.scenario.faults if fault.gateway == spec.name]
            gateway = SimulatedGateway(spec, faults, self.demand, self.clockwork)
            gateway.done = self._done
            self.gateways[spec.name] = gateway
        if self.scenario.faults:
            self.clockwork.every(DAILY_WEATHER_SECONDS if self.scenario.profile else 1.0, self._weather)
        self.policy.start(self)
        self._schedule(0)
        self.clockwork.run(self.scenario.seconds + 30.0)  # until the last attempt has timed out
        return self

    @property
    def double_charges(self) -> int:
        """Return how many payments were charged more than once, over all gateways."""
        total: dict[int, int] = {}
        for gateway in self.gateways.values():
            for payment, times in gateway.charged.items():
                total[payment] = total.get(payment, 0) + times
        return sum(1 for times in total.values() if times > 1)

    def _weather(self) -> None:
        for gateway in self.gateways.values():
            gateway.weather(self.now)

    def _schedule(self, payment: int) -> None:
        if payment < len(self.demand):
            self.clockwork.after(max(0.0, self.demand.at[payment] - self.now), self._arrive, payment)

    def _arrive(self, payment: int) -> None:
        self._schedule(payment + 1)
        self._request((payment, 1))

    def _request(self, asked: tuple[int, int]) -> None:
        payment, tries = asked
        chosen = self.policy.choose(payment, frozenset())
        if isinstance(chosen, str):
            self._dispatch(payment, 0, chosen)
            return
        self.refusals += 1
        if tries < MAX_TRIES:
            wait = chosen * (1 + 0.5 * self.random.random())
            self.clockwork.after(wait, self._request, (payment, tries + 1))
        else:
            self.outcome[payment] = REFUSED

    def _dispatch(self, payment: int, attempt: int, gateway: str) -> None:
        self.dispatches += 1
        self.served_by[payment] = gateway
        self.sent_at[payment] = self.now
        self.policy.dispatched(payment, attempt, gateway)
        self._sent(payment, attempt)
        self.gateways[gateway].submit(payment, attempt)

    def _sent(self, payment: int, attempt: int) -> None:
        if not self.keys_honoured and attempt == 0:  # for the test that double charges are detected
            self.clockwork.after(PATIENCE_SECONDS, self._impatient, payment)

    def _impatient(self, payment: int) -> None:
        if self.outcome[payment] == OPEN:
            chosen = self.policy.choose(payment, frozenset({self.served_by[payment]}))
            if isinstance(chosen, str):
                self.repeats += 1
                self._dispatch(payment, 1, chosen)

    def _done(self, payment: int, attempt: int, gateway: SimulatedGateway, outcome: Outcome) -> None:
        name, now = gateway.spec.name, self.now
        self.policy.ended(payment, attempt, name, now - self.sent_at[payment], outcome)
        if outcome is Outcome.NEVER_SENT and attempt == 0:
            chosen = self.policy.choose(payment, frozenset({name}))
            if isinstance(chosen, str):
                self._dispatch(payment, 1, chosen)
                return
        if outcome is Outcome.UNKNOWN:
            self.in_doubt += 1
        if now - self.demand.at[payment] > PATIENCE_SECONDS:
            self.repeats += 1  # the client has retried, and the retry has joined the request
        self.ended_at[payment], self.outcome[payment] = now, outcome.value
