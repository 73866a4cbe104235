"""The two flows of an execution are one: the same answers, errors, calls of the store, and stored items.

The functions run under Powertools' utility, and everything else without it (ADR 45). A record that one of them has
written is read, replayed and taken over by the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import GatewayUnavailable, LeaseLost, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.idempotency import ownership
from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.execution import directly
from payonce.idempotency.persistence import with_powertools
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import (
    Claim,
    Completed,
    Conclusion,
    Draft,
    IdempotencyRecord,
    InDoubt,
    KeyedRequest,
    Plan,
    Released,
    StoredResponse,
)
from payonce.idempotency.window import IdempotencySettings
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from payonce.idempotency.execution import Flow

type Fault = Callable[[], Exception] | None

FAULTS: list[Fault] = [
    None,
    None,
    None,
    lambda: StoreUnavailable("busy"),
    lambda: OutcomeUnknown("no answer"),
    lambda: WriteConflict("reserved by another", index=0, current=None),
    lambda: LeaseLost("another owner"),
]
DONE = StoredResponse(201, {"content-type": "text/plain"}, b"done")
DOUBT = StoredResponse(202, {}, b"in doubt")
ENDS = ["completed", "in doubt", "released", "not started", "defect", "unknown"]
STEPS = ("claim", "take_over", "complete", "park", "release", "get")


@dataclass
class Faulty(DatabaseIdempotencyStore):
    """A store whose calls fail as told, and which counts them."""

    faults: list[Fault]
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(self.database)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in STEPS:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append(name)
            fault = self.faults.pop(0) if self.faults else None
            if fault is not None:
                raise fault()
            return found(*arguments, **named)

        return call


@dataclass
class Told:
    """Work whose end is told."""

    end: str
    clock: ManualClock
    claim_id: str

    def plan(self) -> Plan:
        """See ``Work``."""
        return Plan(
            claim_id=self.claim_id, resource="/x", data={"kind": "told"}, on_conflict=lambda _: LeaseLost("reserved")
        )

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return DONE

    def adopt(self, record: IdempotencyRecord) -> Told:
        """See ``Work``."""
        return self

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        return self.start(claim)

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        match self.end:
            case "completed":
                return Completed(lambda: Draft(DONE, ()))
            case "in doubt":
                until_ms = claim.record.lease_expires_at_ms
                return InDoubt(lambda: Draft(DOUBT, ()), self.clock.ms, submitted=True, goes_on_until_ms=until_ms)
            case "released":
                return Released(GatewayUnavailable("nothing was sent"))
            case "not started":
                raise GatewayUnavailable("nothing was sent, but an exception says nothing")
            case "unknown":
                raise OutcomeUnknown("of the work")
        raise RuntimeError("a defect")


def told(flow: Flow, story: list[tuple[str, str, int]], faults: list[Fault]) -> tuple[Any, ...]:
    """Return everything that can be seen of the story under this flow."""
    clock, store = ManualClock(), Faulty(list(faults))
    engine = IdempotencyEngine(
        store=store, settings=IdempotencySettings(), clock=clock, sleep=clock.sleep, max_response_bytes=100, flow=flow
    )
    seen: list[Any] = []
    for number, (end, fingerprint, later_ms) in enumerate(story):
        clock.ms += later_ms
        request = KeyedRequest(
            scope="m", operation="op", key="k", fingerprint=fingerprint, deadline=Deadline(clock.ms + 20_000)
        )
        try:
            answer = engine.execute(request, Told(end, clock, f"claim-{number}"))
        except Exception as error:
            seen.append((type(error).__name__, str(error)))
        else:
            seen.append((answer.response, answer.replayed, answer.expires_at_ms))
    return seen, store.calls, store.database._tables[Table.IDEMPOTENCY], clock.ms


class _Uuid:
    hex = "owner"


@settings(max_examples=300, deadline=None)
@given(
    story=st.lists(
        st.tuples(st.sampled_from(ENDS), st.sampled_from("fffg"), st.sampled_from([0, 1, 26_000, 90_000_000])),
        min_size=1,
        max_size=5,
    ),
    faults=st.lists(st.sampled_from(FAULTS), max_size=12),
)
def test_both_flows_are_one(story: list[tuple[str, str, int]], faults: list[Fault]) -> None:
    """Fails when a flow leaves out a step, writes another byte, or raises another error of payonce's."""
    uuid4, ownership.uuid.uuid4 = ownership.uuid.uuid4, _Uuid  # type: ignore[assignment,misc]
    try:
        assert told(directly, story, faults) == told(with_powertools, story, faults)
    finally:
        ownership.uuid.uuid4 = uuid4  # type: ignore[misc]


def test_a_flow_replays_and_takes_over_what_the_other_has_claimed() -> None:
    """Fails when the record of one flow says less than the other one reads."""
    for first, second in ((directly, with_powertools), (with_powertools, directly)):
        clock, store = ManualClock(), DatabaseIdempotencyStore(MemoryDatabase())

        def execute(flow: Flow, end: str, clock: ManualClock = clock, store: Any = store) -> tuple[bytes, bool]:
            engine = IdempotencyEngine(
                store=store, settings=IdempotencySettings(), clock=clock, sleep=clock.sleep, flow=flow
            )
            deadline = Deadline(clock.ms + 20_000)
            request = KeyedRequest(scope="m", operation="op", key="k", fingerprint="f", deadline=deadline)
            answer = engine.execute(request, Told(end, clock, end))
            return answer.response.body, answer.replayed

        assert execute(first, "in doubt") == (b"in doubt", False)
        clock.ms += 1
        assert execute(second, "completed") == (b"done", False)
        assert execute(first, "defect") == (b"done", True)


def test_the_flow_of_a_program_ignores_the_off_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """One environment variable turns Powertools' utility off. Fails when it turns off the in-process way in as well."""
    monkeypatch.setenv("POWERTOOLS_IDEMPOTENCY_DISABLED", "true")
    seen, calls, *_ = told(directly, [("completed", "f", 0), ("completed", "f", 0)], [])
    assert [replayed for _, replayed, _ in seen] == [False, True]
    assert calls == ["claim", "complete", "claim"]
