"""What a run of the predictor works with, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Clock, Database, Log
    from payonce.routing.control.control_store import ControlStore
    from payonce.routing.control.routing_settings import RoutingSettings
    from payonce.routing.decision.predictor_store import PredictorStore
    from payonce.routing.signals.signal_store import SignalStore
    from payonce.routing.watch.stored_watch import Watching


@dataclass(slots=True)
class RunReport:
    """The counts of one run. ``standby_steps`` are the seconds in which another run led."""

    steps: int = 0
    decisions: int = 0
    published: int = 0
    standby_steps: int = 0
    stale_steps: int = 0
    conflicts: int = 0
    failures: int = 0
    unreadable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicting:
    """The dependencies of a run. ``gateways`` are the configured ones: signals of any other are ignored.

    ``database``: where what was seen and decided is kept by the minute, for people.
    """

    store: PredictorStore
    signals: SignalStore
    control: ControlStore
    settings: RoutingSettings
    gateways: frozenset[str]
    clock: Clock
    sleep: Callable[[float], None]
    log: Log
    watch: Watching
    database: Database
