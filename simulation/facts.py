"""What the watch over a run knows: the truth that no actor can see, and what each was told."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from simulation.database import SimulatedDatabase
    from simulation.drawing import Operation
    from simulation.gateway import SimulatedGateway
    from simulation.history import History
    from simulation.scheduler import Scheduler


class Violated(BaseException):
    """An invariant does not hold. No production code catches this."""

    def __init__(self, invariant: str, detail: str) -> None:
        super().__init__(f"{invariant}: {detail}")
        self.invariant = invariant
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a client. ``document`` is the parsed body, ``asked`` the body of the request."""

    operation: Operation
    asked: str
    status: int
    headers: Mapping[str, str]
    body: str
    document: Mapping[str, Any]
    record_id: str
    actor: str
    began_us: int


@dataclass(slots=True)
class Facts:
    """Everything by idempotency record (one merchant's key of one operation) unless it says otherwise."""

    scheduler: Scheduler
    database: SimulatedDatabase
    gateways: Mapping[str, SimulatedGateway]
    history: History
    operations: Mapping[str, Operation]
    record_of: dict[str, str] = field(default_factory=dict)  # by gateway reference
    owner_of: dict[tuple[str, str, int], str] = field(default_factory=dict)  # actor by record, claim and fence
    sent: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))  # (gateway, reference)
    sent_under: set[tuple[str, str, int]] = field(default_factory=set)  # record, claim and fence of who has sent
    never_sent: dict[str, str] = field(default_factory=dict)  # the gateway that was not reached
    executed: Counter[str] = field(default_factory=Counter)
    finals: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # status, Location, body
    final_at_us: dict[str, int] = field(default_factory=dict)
    served: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # the bodies that were answered
    unsettled: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # attempts that may have begun it
    promised: set[str] = field(default_factory=set)  # a 503 has said that nothing was or will be executed
    bodies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # what its merchant has sent
    journal: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by merchant, currency, account
    returned: set[str] = field(default_factory=set)  # the gateways' ids of refunds whose return is booked
    claimed: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)  # payments that somebody has changed at the gateway's dashboard
    received: dict[tuple[str, str], bytes] = field(default_factory=dict)  # by URL and event id

    def forget(self, record_id: str) -> None:
        """Forget a key whose record was deleted by TTL: used again, it is a new key."""
        for known in (
            self.sent,
            self.never_sent,
            self.finals,
            self.final_at_us,
            self.bodies,
            self.served,
            self.unsettled,
        ):
            known.pop(record_id, None)
        self.executed.pop(record_id, None)
        self.record_of = {reference: record for reference, record in self.record_of.items() if record != record_id}
