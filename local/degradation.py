"""Degrades a bank under steady traffic and observes the routing's reaction, for the demo and its test."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.document import parse_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.stack import Stack
    from local.traffic import Traffic
    from payonce.routing.control.document import ControlDocument

BANK, GATEWAY, OTHER = "honouring", "honouring_bank", "sandbox_bank"
WEIGHTS = {GATEWAY: 0.5, OTHER: 0.5}
# The default SLO and hold suit a day's traffic; a demo has only minutes, and its banks answer within milliseconds.
ROUTING = {"weights": WEIGHTS, "slo_ms": 2_000, "hold_seconds": 20}
METHOD = "card"
# A request that takes longer than this times out: payments.work.SUBMIT_TIMEOUT_MS.
TIMEOUT_MS = 8_000
SLOWER_MS_PER_SECOND = 70  # reaches the timeout after about two minutes
LEARNING_PAYMENTS = 130  # per gateway; what is usual is known after 100
LEARNING_SECONDS = 40
GONE = 0.12  # share of the traffic that probes and chance explain
BACK = 0.35  # share of the traffic from which the bank counts as restored
WINDOW_SECONDS = 10.0
PATIENCE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The observation ``seconds`` after the bank's degradation or its recovery began."""

    seconds: float
    latency_ms: int
    share: float
    document: ControlDocument | None

    @property
    def weight(self) -> float | None:
        """Return the slow bank's weight in the document in force, or ``None`` without one."""
        return self.document.weights.get(METHOD, WEIGHTS)[GATEWAY] if self.document else None

    @property
    def has_left(self) -> bool:
        """Return whether the traffic has left the bank, by the document and by the payments of a whole window."""
        weight = self.weight
        return weight is not None and max(weight, self.share) <= GONE and self.seconds >= WINDOW_SECONDS


@dataclass(frozen=True, slots=True)
class Degradation:
    """Degrades and heals the bank of a stack under traffic."""

    stack: Stack
    traffic: Traffic

    def start_predictor(self) -> None:
        """Start the predictor now, rather than at the next full minute."""
        self.stack.client("lambda").invoke(
            FunctionName=self.stack.outputs["PredictRoutesFunctionName"], InvocationType="Event", Payload=b"{}"
        )

    def document(self) -> ControlDocument | None:
        """Return the document in force now, or ``None``."""
        raw = ControlStore(self.stack.database()).read().document
        document = parse_document(raw, frozenset(WEIGHTS)) if raw else None
        return document if document and document.is_fresh(time.time_ns() // 1_000_000) else None

    def learn(self) -> Iterator[float]:
        """Yield the progress of learning, in [0, 1], until it is complete."""
        began = time.monotonic()
        while True:
            paid = list(self.traffic.paid)
            counts = [sum(each.gateway == gateway for each in paid) for gateway in WEIGHTS]
            done = min(min(counts) / LEARNING_PAYMENTS, (time.monotonic() - began) / LEARNING_SECONDS, 1.0)
            yield done
            if done >= 1 and self.document() is not None:
                return
            self._check(began)

    def worsen(self) -> Iterator[Moment]:
        """Slow the bank down every second until its traffic has left or a payment would time out; yield the moments."""
        began = time.monotonic()
        while True:
            seconds = time.monotonic() - began
            latency_ms = min(TIMEOUT_MS, int(seconds * SLOWER_MS_PER_SECOND))
            self.stack.bank.configure(BANK, latency_ms=latency_ms)
            moment = self._moment(began, latency_ms)
            yield moment
            if moment.has_left or latency_ms >= TIMEOUT_MS:
                return
            self._check(began)

    def heal(self) -> Iterator[Moment]:
        """Make the bank fast again and yield the moments until its traffic is back."""
        self.stack.bank.configure(BANK, latency_ms=0)
        began = time.monotonic()
        while (moment := self._moment(began, 0)).share < BACK:
            yield moment
            self._check(began)
        yield moment

    def _moment(self, began: float, latency_ms: int) -> Moment:
        seconds = time.monotonic() - began
        return Moment(seconds, latency_ms, self.traffic.share(GATEWAY, WINDOW_SECONDS), self.document())

    @staticmethod
    def _check(began: float) -> None:
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise TimeoutError(f"nothing more happened within {PATIENCE_SECONDS:.0f} seconds")
        time.sleep(1)
