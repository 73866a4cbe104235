"""Traffic, its stream, and predictors in virtual time: every clock may be wrong, every delivery late."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from payonce.entrypoints.signal_stream import serve_signals
from payonce.ports import Adjust, Database, Deadline, Insert, Table
from payonce.routing.control.control_cache import ControlCache
from payonce.routing.control.control_store import Control, ControlStore
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.leader import Predicting, PredictorRun, RunReport
from payonce.routing.decision.predictor_store import PredictorStore
from payonce.routing.decision.state import State
from payonce.routing.detection.memory import RouteMemory
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.packed import packed
from payonce.routing.watch.stored_watch import Watching
from payonce.stores.memory import MemoryDatabase
from tests.support.stream import stream_record
from tests.support.virtual_time import VirtualTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Clock
    from payonce.routing.control.document import ControlDocument

GATEWAYS = frozenset({"alder", "birch"})
ROUTING = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5}, mode=Mode.ON)
TICK_SECONDS = 0.25
PER_SECOND = 16  # payments, over both gateways
USUAL = RouteMemory(log_p95=math.log(870), learned=10**4)


@dataclass(frozen=True)
class SkewedClock:
    """A clock that is wrong by a constant."""

    time: Clock
    skew_ms: int = 0

    def now_ms(self) -> int:
        """See ``Clock``."""
        return self.time.now_ms() + self.skew_ms


@dataclass
class Lines:
    """A log that is kept."""

    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def info(self, message: str, /, *, extra: dict[str, Any]) -> None:
        """See ``Log``."""
        self.lines.append((message, extra))

    warning = error = info

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return what was said beside ``message``, each time."""
        return [extra for line, extra in self.lines if line == message]


class Killed(BaseException):
    """The process is gone: nothing of ours catches it."""


class RoutingWorld:
    """``slow``: factors per gateway; ``stream_seconds``: how late the stream is. Both may be changed on the way."""

    def __init__(self, database: Database | None = None) -> None:
        self.time = VirtualTime()
        self.sleep = self.time.sleep
        self.database = database or MemoryDatabase()
        self.log = Lines()
        self.slow: dict[str, float] = {}
        self.stream_seconds = 0.5
        self.function_skew_ms = 0
        self.observer_skew_ms = 0
        self.reports: list[RunReport] = []
        self._pending: list[tuple[float, dict[str, Any]]] = []
        self._numbers = 0

    def run_until(self, seconds: float) -> None:
        """Let everything happen until then. The clock goes on also when nothing does."""
        self.time.run_until(seconds)
        self.time.seconds = max(self.time.seconds, seconds)

    def warm_up_state(self) -> State:
        """Return a state that knows what is usual."""
        return State(epoch=1, memories={Cell(gateway, "card"): replace(USUAL) for gateway in sorted(GATEWAYS)})

    def warm_up(self) -> None:
        """Store such a state."""
        state = packed(self.warm_up_state().to_bytes())
        item = {"pk": "PREDICTOR", "sk": "STATE", "epoch": 1, "leader": "", "leader_until_ms": 0, "state": state}
        self.database.write([Insert(Table.ROUTING, item)])

    def start_traffic(self, seconds: float, *, per_second: int = PER_SECOND) -> None:
        """Let payments be made from now on, and their stream be observed."""
        began, end, made = self.time.seconds, self.time.seconds + seconds, 0

        def work() -> None:
            nonlocal made
            while self.time.seconds < end:
                due = int((self.time.seconds - began + TICK_SECONDS) * per_second)
                for _ in range(due - made):
                    self._pay()
                made = due
                self._observe()
                self.time.sleep(TICK_SECONDS)

        self.time.start(work)

    def _pay(self) -> None:
        self._numbers += 1
        gateway = sorted(GATEWAYS)[self._numbers % 2]
        # Evenly spread over 300 to 900 ms, in an order without a pattern.
        latency_ms = (300 + self._numbers * 379 % 600) * self.slow.get(gateway, 1.0)
        self.add_payment(f"pay_{self._numbers}", gateway, latency_ms)

    def add_payment(self, payment_id: str, gateway: str, latency_ms: float, status: int = 201) -> None:
        """Let one payment be made now, as the stream will tell it."""
        stamp = self.time.now_ms() + self.function_skew_ms
        plan = {"kind": "payment", "merchant_id": f"mer_{self._numbers % 5}", "gateway": gateway}
        claim = {
            "id": payment_id,
            "status": "INPROGRESS",
            "claim_id": payment_id,
            "fence": 1,
            "created_at_ms": stamp,
            "plan": {**plan, "payment_method_type": "card", "priority": "authorization"},
        }
        ended = {**claim, "status": "COMPLETED", "response_status": status, "ended_at_ms": stamp + int(latency_ms)}
        del ended["plan"]
        now, later = self.time.seconds, self.time.seconds + latency_ms / 1000
        self._pending.append((now, self._record(payment_id, None, claim, now)))
        self._pending.append((later, self._record(payment_id, claim, ended, later)))

    def _record(self, payment_id: str, before: Any, after: Any, seconds: float) -> dict[str, Any]:
        at_ms = self.time.now_ms() + int((seconds - self.time.seconds) * 1000)
        return stream_record(payment_id, before, after, at_ms=at_ms, number=0)

    def _observe(self) -> None:
        due_by = self.time.seconds - self.stream_seconds
        due = sorted((entry for entry in self._pending if entry[0] <= due_by), key=lambda entry: entry[0])
        self._pending = [entry for entry in self._pending if entry[0] > due_by]
        if due:
            for _, record in due:
                self._numbers += 1
                record["dynamodb"]["SequenceNumber"] = f"{self._numbers:021d}"
            event = {"Records": [record for _, record in due], "shardId": "shard-1"}
            serve_signals(event, self.database, SkewedClock(self.time, self.observer_skew_ms))

    def run_predictor(
        self, name: str, *, seconds: float = 65, skew_ms: int = 0, database: Database | None = None
    ) -> None:
        """Be a predictor until then; called in a thread of virtual time."""
        used, clock = database or self.database, SkewedClock(self.time, skew_ms)
        run = PredictorRun(
            Predicting(
                database=used,
                store=PredictorStore(used, name),
                settings=ROUTING,
                gateways=GATEWAYS,
                clock=clock,
                sleep=self.sleep,
                log=self.log,
                watch=Watching(used, self.log),
            )
        )
        try:
            self.reports.append(run.run(Deadline(clock.now_ms() + int(seconds * 1000))))
        except Killed:
            return

    def start_predictor(self, name: str, *, after: float = 0.0, **how: Any) -> None:
        """Start one as a thread."""
        self.time.start(lambda: self.run_predictor(name, **how), after_seconds=after)

    def document(self, *, skew_ms: int = 0) -> ControlDocument | None:
        """Return what a payment's function finds now: ``None`` is neutral."""
        return cache_of(self.database).current(self.time.now_ms() + skew_ms).document

    def share(self, gateway: str = "alder") -> float:
        """Return the weight in force for cards."""
        document = self.document()
        return (document.weights if document else {}).get("card", ROUTING.neutral)[gateway]


@dataclass
class ReadsAtOnce:
    """A reader of the control item without a thread; ``came`` is what it has read and nobody has taken yet."""

    store: ControlStore
    came: Control | None = None

    def begin(self) -> bool:
        """See ``Reader``."""
        self.came = self.store.read()
        return True

    def take(self) -> Control | None:
        """See ``Reader``."""
        came, self.came = self.came, None
        return came


def cache_of(database: Database, report: Callable[[Exception], None] | None = None) -> ControlCache:
    """Return the cache that a payment's function has of what lies in ``database``."""
    errors: list[Exception] = []
    reader = ReadsAtOnce(ControlStore(database))
    return ControlCache(reader, GATEWAYS, draw=lambda: 0.5, report=report or errors.append)


class Faulty:
    """A database whose writes go through ``fault`` first: it may raise, and ``after`` once they are done."""

    def __init__(
        self, database: Database, fault: Callable[[list[Any]], None], after: Callable[[list[Any]], None]
    ) -> None:
        self._database, self._fault, self._after = database, fault, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write(self, writes: Any) -> None:
        """See ``Database``."""
        self._fault(list(writes))
        self._database.write(writes)
        self._after(list(writes))


def is_publication(writes: list[Any]) -> bool:
    """Whether these writes put a document in force."""
    return any(isinstance(write, Adjust) and "document" in write.set for write in writes)
