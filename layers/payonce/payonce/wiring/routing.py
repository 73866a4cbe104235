"""The wiring of the functions that observe claims and predict; ``gateways`` wires the router of payments."""

from __future__ import annotations

import os
import time
from dataclasses import asdict

from payonce.observability import get_logger
from payonce.ports import Deadline
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.leader import Predicting, PredictorRun
from payonce.routing.decision.predictor_store import PredictorStore
from payonce.routing.watch.stored_watch import Watching
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings

RUN_SECONDS = 65  # the schedule's minute, and five seconds of overlap in which the next run stands by
STOP_BEFORE_TIMEOUT_MS = 10_000  # time for one step whose calls are all tried three times, and for the log
LEADER_PREFIX = "run"


class RoutingApplication(Application):
    """The application with the predictor."""

    def predict(self, remaining_ms: int) -> dict[str, int]:
        """Run the predictor for ``RUN_SECONDS``, or less if the function ends earlier; log and return the counts.

        ``remaining_ms`` is the function's remaining time. In mode off nothing is run.
        """
        if self.settings.routing.mode is Mode.OFF:
            get_logger().info("routing is off", extra={})
            return {}
        budget_ms = min(RUN_SECONDS * 1000, remaining_ms - STOP_BEFORE_TIMEOUT_MS)
        counts = asdict(self.predictor_run().run(Deadline(self.clock.now_ms() + budget_ms)))
        get_logger().info("routing run", extra=counts)
        return counts

    def predictor_run(self) -> PredictorRun:
        """Return a new run with a unique leader name."""
        return PredictorRun(
            Predicting(
                database=self.database,
                store=PredictorStore(self.database, self.ids.new(LEADER_PREFIX)),
                settings=self.settings.routing,
                gateways=frozenset(self.settings.gateways),
                clock=self.clock,
                sleep=time.sleep,
                log=get_logger(),
                watch=Watching(self.database, get_logger()),
            )
        )


def bootstrap_routing() -> RoutingApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return RoutingApplication(load_settings(os.environ))
