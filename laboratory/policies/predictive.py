"""payonce's policy: the production code, with its delays in production.

::

    claim, commit ──trial.seen_until──▶ SignalBook ──▶ decide ──WRITE_SECONDS──▶ document
                                                                                          │ each environment's cache,
    payment ──▶ one of many ──▶ admit ──▶ choose_route ◀──────────────────────────┘ refreshed every second or so
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from payonce.domain.errors import Throttled
from payonce.routing.control.admission import admit
from payonce.routing.control.choice import admission_for, choose_route, weights_for
from payonce.routing.control.control_cache import ControlCache
from payonce.routing.control.control_store import Control
from payonce.routing.control.document import EVERYTHING
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.decide import decide, expectations
from payonce.routing.decision.state import State
from payonce.routing.signals.book import Outcome, SignalBook
from payonce.routing.signals.observation import Cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from laboratory.simulation import Trial
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.decision.decide import Decision

WRITE_SECONDS = 0.1
MAX_ENVIRONMENTS = 16  # each has its own cache, refreshed at its own times
REPEAT_DOCUMENT_SECONDS = 10.0  # an unchanged document is written again well before it expires
REFLEX_SECONDS = 1.0
EPOCH_MS = 1_767_225_600_000  # the trial's second 0: 2026-01-01T00:00:00Z
NO_ROUTE_SECONDS = 1.0


class _Event(NamedTuple):
    at: float
    kind: str
    gateway: str
    payment: int
    attempt: int
    latency: float = 0.0
    outcome: Outcome = Outcome.APPROVED


class _Reader:
    """Reads without delay: in production a read takes far less than the stream and the step."""

    def __init__(self, visible: Callable[[], bytes | None]) -> None:
        self._visible = visible
        self._came: Control | None = None

    def begin(self) -> bool:
        """See ``Reader``."""
        self._came = Control(document=self._visible())
        return True

    def take(self) -> Control | None:
        """See ``Reader``."""
        came, self._came = self._came, None
        return came


def _raise(error: Exception) -> None:
    raise error


class Predictive:
    """See ``Policy``. ``published`` holds (seconds, document) for every change.

    ``fair=False`` and ``declines_are_errors=True`` break a promise on purpose, so that tests can measure its value.
    """

    name = "payonce"

    def __init__(
        self,
        *,
        mode: Mode = Mode.ON,
        fair: bool = True,
        declines_are_errors: bool = False,
        keep_steps: bool = False,
    ) -> None:
        self.published: list[tuple[float, ControlDocument]] = []
        self.steps: list[tuple[float, Decision]] = []
        self._keep_steps, self._mode = keep_steps, mode
        self._fair, self._declines_are_errors = fair, declines_are_errors

    def start(self, trial: Trial) -> None:
        """See ``Policy``."""
        self.trial = trial
        names = sorted(trial.gateways)
        self.settings = RoutingSettings(neutral=trial.scenario.weights, mode=self._mode)
        self.book, self.state = SignalBook(self.settings.slo_ms), State()
        self._stream: deque[_Event] = deque()
        self._visible: bytes | None = None
        random = Random(trial.random.random())
        gateways = frozenset(names)
        environments = max(2, min(MAX_ENVIRONMENTS, round(trial.scenario.rate)))  # each serves one payment at a time
        self._written_at = -REPEAT_DOCUMENT_SECONDS
        self._caches = [
            ControlCache(_Reader(lambda: self._visible), gateways, draw=random.random, report=_raise)
            for _ in range(environments)
        ]
        trial.clockwork.every(REFLEX_SECONDS, self._step, REFLEX_SECONDS)

    def choose(self, payment: int, excluding: frozenset[str]) -> str | float:
        """See ``Policy``."""
        trial = self.trial
        demand, random = trial.demand, trial.random
        cache = self._caches[int(random.random() * len(self._caches))]
        document = cache.current(EPOCH_MS + int(trial.now * 1000)).document
        method, name = demand.method[payment], f"pay_{payment}"
        chosen = choose_route(weights_for(document, name, method, self.settings), name, excluding)
        admission = admission_for(document, name, self.settings)
        if admission is not EVERYTHING and not excluding:
            try:
                admit(admission, demand.priority[payment], demand.merchant[payment], random.random())
            except Throttled as refusal:
                self._stream.append(_Event(trial.now, "refused", chosen or "", payment, 0))
                return float(refusal.retry_after_seconds or NO_ROUTE_SECONDS)
        return NO_ROUTE_SECONDS if chosen is None else chosen

    def dispatched(self, payment: int, attempt: int, gateway: str) -> None:
        """See ``Policy``."""
        self._stream.append(_Event(self.trial.now, "claimed", gateway, payment, attempt))

    def ended(self, payment: int, attempt: int, gateway: str, latency: float, outcome: Outcome) -> None:
        """See ``Policy``."""
        self._stream.append(_Event(self.trial.now, "committed", gateway, payment, attempt, latency, outcome))

    def _read_stream(self, until: float) -> None:
        demand, book, stream = self.trial.demand, self.book, self._stream
        while stream and stream[0].at <= until:
            event = stream.popleft()
            payment, attempt_id = event.payment, f"{event.payment}.{event.attempt}"
            at_ms, cell = EPOCH_MS + int(event.at * 1000), Cell(event.gateway, demand.method[payment])
            if event.kind == "committed":
                bad = self._declines_are_errors and event.outcome is Outcome.DECLINED
                outcome = Outcome.UNKNOWN if bad else event.outcome
                book.committed(at_ms, attempt_id, cell, int(event.latency * 1000), outcome)
                continue
            merchant = demand.merchant[payment] if self._fair else "everyone"
            if event.kind == "claimed":
                book.claimed(at_ms, attempt_id, cell, merchant, demand.priority[payment])
            else:
                book.refused(at_ms, cell, merchant, demand.priority[payment])

    def _step(self) -> None:
        now = self.trial.now
        seen_until = self.trial.seen_until
        self._read_stream(seen_until)
        observed = self.book.observe(EPOCH_MS + int(seen_until * 1000))
        decision = decide(self.state, observed, self.settings, EPOCH_MS + int(now * 1000))
        before, self.state = self.published[-1][1] if self.published else None, decision.state
        self.book.expect(expectations(self.state, self.settings))
        if self._keep_steps:
            self.steps.append((now, decision))
        document = decision.document
        changed = before is None or _changed(before, document)
        if changed or now - self._written_at >= REPEAT_DOCUMENT_SECONDS:
            self._written_at = now
            self.trial.clockwork.after(WRITE_SECONDS, self._show, document.to_bytes())
        if changed:
            self.published.append((now, document))

    def _show(self, raw: bytes) -> None:
        self._visible = raw


def _changed(before: ControlDocument, after: ControlDocument) -> bool:
    return before.weights != after.weights or before.admission != after.admission
