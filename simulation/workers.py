"""What works behind the clients: recovery and the scheduler every minute, relay and dispatcher for what comes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import PayonceError
from payonce.domain.payment import Change
from payonce.entrypoints.batches import serve_stream
from payonce.payments.at_gateway import catch_up
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline
from payonce.webhooks.messages import parse_message
from payonce.wiring.recovery import RUN_SECONDS
from simulation.goals import Goal
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Gateway
    from simulation.plan import Plan

RECOVERY_SECONDS = 90  # timeouts of template.yaml
ASK_SECONDS = 35
DISPATCH_SECONDS = 60
RELAY_SECONDS = 60
SCHEDULE_SECONDS = 120
RUN_INTERVAL_SECONDS = 60
EVENT_AGAIN_SECONDS = 60  # notices.applying: a growing pause, from seconds to 15 minutes
RETURNS = frozenset({Change.RETURNED, Change.RETURNED_PART, Change.RETURNED_ELSEWHERE, Change.RETURNED_ELSEWHERE_PART})


class Workers:
    """The workers of a run, over its world."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.world = World(plan, handle=self.dispatch, ask=self.ask_gateways, relay=self.relay)
        self.scheduler = self.world.scheduler
        self._rounds = 0
        self._started = 0
        self.events_open = 0  # of gateways, that are not brought in

    def begin(self) -> None:
        """Put the rounds of every minute on the schedule."""
        self.scheduler.after(RUN_INTERVAL_SECONDS, self._round)

    def _round(self) -> None:
        """Start what the schedule starts every minute. A worker that would find nothing is not started."""
        self._rounds += 1
        world = self.world
        if world.open_claims():
            self._worker(f"recovery-{self._rounds}", self._recover, RECOVERY_SECONDS)
        if world.is_due(RUN_INTERVAL_SECONDS):
            self._worker(f"scheduler-{self._rounds}", self._schedule_deliveries, SCHEDULE_SECONDS)
        self.scheduler.after(RUN_INTERVAL_SECONDS, self._round)

    def _recover(self) -> None:
        report = self.world.feeder.run(Deadline(self.scheduler.now_ms() + RUN_SECONDS * 1000))
        self.scheduler.history.reached[Goal.STOOD_BY] += report.waiting > 0 and not report.released

    def _schedule_deliveries(self) -> None:
        try:
            report = self.world.deliveries.run(Deadline(self.scheduler.now_ms() + (SCHEDULE_SECONDS - 5) * 1000))
        except PayonceError as error:
            self.scheduler.record(f"scheduler raises {type(error).__name__}: {error}")
            self.world.check_no_defect(error)
        else:
            self.scheduler.history.reached[Goal.SWEPT] += report.swept > 0

    def relay(self, event: Any, done: Callable[[bool], None]) -> None:
        """Start the relay's actor for a batch of the stream."""

        def work() -> None:
            failures = serve_stream(event, self.world.relay)["batchItemFailures"]
            ended.append(not failures)

        ended: list[bool] = []
        self._started += 1
        self._worker(f"relay-{self._started}", work, RELAY_SECONDS, lambda finished: done(finished and ended[0]))

    def ask_gateways(self, body: str, done: Callable[[bool], None]) -> None:
        """Start the asker's actor for a message of the recovery queue."""

        def work() -> None:
            report = self.world.asker.handle(body, Deadline(self.scheduler.now_ms() + (ASK_SECONDS - 4) * 1000))
            self.scheduler.record(f"asked: {report}")
            self.scheduler.history.reached[Goal.ASKED_IN_VAIN] += report.still_open > 0

        self._started += 1
        self._worker(f"ask-{self._started}", work, ASK_SECONDS, done)

    def dispatch(self, body: str, done: Callable[[bool], None]) -> None:
        """Start the dispatcher's actor for a message."""

        def work() -> None:
            try:
                deadline = Deadline(self.scheduler.now_ms() + DISPATCH_SECONDS * 1000)
                outcome = self.world.dispatcher.handle(parse_message(body), deadline)
            except PayonceError as error:
                self.scheduler.record(f"message not handled: {type(error).__name__}: {error}")
                self.world.check_no_defect(error)
                return
            self.scheduler.record(f"delivery is {outcome}")
            self.scheduler.history.reached[Goal.DELIVERY_DEFERRED] += outcome.value == "deferred"
            ended.append(True)

        ended: list[bool] = []
        self._started += 1
        self._worker(f"dispatch-{self._started}", work, DISPATCH_SECONDS, lambda finished: done(bool(ended)))

    def event_about(self, merchant: str, payment_id: str, gateway: Gateway, *, after_seconds: float) -> None:
        """Let a gateway's event about a charge arrive. It comes again until all of the charge is brought in."""
        self.events_open += 1
        self.scheduler.after(after_seconds, partial(self._bring_in, merchant, payment_id, gateway))

    def _bring_in(self, merchant: str, payment_id: str, gateway: Gateway) -> None:
        def work() -> None:
            services = self.world.application.services
            try:
                payment = find_payment(services.database, merchant, payment_id)
                if payment is None:
                    return
                deadline = Deadline(self.scheduler.now_ms() + (ASK_SECONDS - 4) * 1000)
                caught = catch_up(services, gateway, payment, deadline)
            except PayonceError as error:
                self.scheduler.record(f"event raises {type(error).__name__}: {error}")
                self.world.check_no_defect(error)
                return
            self.scheduler.record(f"brought in: {caught}")
            self.scheduler.history.reached[Goal.RETURN_BOOKED] += bool(RETURNS.intersection(caught.changes))
            if not caught.open_reason:
                ended.append(True)

        def done(_finished: bool) -> None:
            self.events_open -= 1
            if not ended:
                self.event_about(merchant, payment_id, gateway, after_seconds=EVENT_AGAIN_SECONDS)

        ended: list[bool] = []
        self._started += 1
        self._worker(f"event-{self._started}", work, ASK_SECONDS, done)

    def _worker(
        self, name: str, work: Callable[[], object], seconds: float, on_end: Callable[[bool], None] = lambda _: None
    ) -> None:
        skew_ms = self.plan.worker_skew_ms
        self.scheduler.start(
            name, work, host=self.plan.workers, timeout_seconds=seconds, skew_ms=skew_ms, on_end=on_end
        )
