"""idempotent_operation on every database: concurrent calls, a crash, a stale owner."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import LeaseLost, NotExecuted, OutcomeUnknown
from payonce.idempotency.attempt import Attempt, Verdict, WasExecuted, WasNotExecuted
from payonce.idempotency.operation import idempotent_operation
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from tests.support.world import RealClock

if TYPE_CHECKING:
    from payonce.ports import Database

CALLERS = 8
HOUR_MS = 3_600_000


def operation(database: Database, clock: RealClock, **options: Any) -> Any:
    return idempotent_operation(
        store=DatabaseIdempotencyStore(database),
        operation="ship",
        scope="shop",
        key="order",
        timeout_seconds=20,
        wait_seconds=15,
        clock=clock,
        **options,
    )


def test_concurrent_calls_execute_once(database: Database) -> None:
    """Fails when the claim is not conditional: each of them would execute."""
    shipped: list[str] = []

    @operation(database, RealClock())
    def ship(shop: str, order: str) -> int:
        shipped.append(order)
        time.sleep(0.1)
        return len(shipped)

    results: list[int] = []
    threads = [threading.Thread(target=lambda: results.append(ship("s", "o"))) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results, shipped) == ([1] * CALLERS, ["o"])


def test_a_crash_is_asked_about_and_not_executed_again(database: Database) -> None:
    clock, shipped = RealClock(), []

    class Crash(BaseException):
        pass

    def resolve(attempt: Attempt) -> Verdict:
        return WasExecuted(f"found {attempt.owners}")

    @operation(database, clock, resolve=resolve)
    def ship(shop: str, order: str) -> str:
        shipped.append(order)
        raise Crash

    with pytest.raises(Crash):
        ship("s", "o")
    clock.offset_ms += HOUR_MS
    assert [ship("s", "o"), ship("s", "o")] == ["found 2", "found 2"]
    assert shipped == ["o"]


def test_a_stale_owner_changes_nothing(database: Database) -> None:
    clock, order_of_events = RealClock(), []

    @operation(database, clock, resolve=lambda _attempt: WasExecuted("the newer owner's"))
    def ship(shop: str, order: str) -> str:
        if not order_of_events:
            order_of_events.append("frozen")
            clock.offset_ms += HOUR_MS
            order_of_events.append(ship(shop, order))
        return "the stale owner's"

    with pytest.raises(LeaseLost):
        ship("s", "o")
    assert order_of_events == ["frozen", "the newer owner's"]
    assert ship("s", "o") == "the newer owner's"


def test_a_doubt_stays_a_doubt(database: Database) -> None:
    clock = RealClock()

    @operation(database, clock)
    def ship(shop: str, order: str) -> int:
        raise ValueError("after the effect")

    with pytest.raises(ValueError, match="after the effect"):
        ship("s", "o")
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            ship("s", "o")
        clock.offset_ms += HOUR_MS


def test_not_found_counts_after_the_lease_of_the_earlier_owner(database: Database) -> None:
    """Fails when the horizon is not stored with the doubt, or not read with it: what the first owner had started may
    still arrive after the answer to the inquiry.
    """
    clock, asked, executed = RealClock(), list[Attempt](), list[str]()

    def resolve(attempt: Attempt) -> Verdict:
        asked.append(attempt)
        return WasNotExecuted()

    @operation(database, clock, resolve=resolve)
    def ship(shop: str, order: str) -> int:
        executed.append(order)
        if len(executed) == 1:
            raise TimeoutError("no answer")
        return len(executed)

    with pytest.raises(TimeoutError):
        ship("s", "o")
    clock.offset_ms += 6_000
    with pytest.raises(OutcomeUnknown):
        ship("s", "o")
    clock.offset_ms += 25_000
    assert ship("s", "o") == 2
    assert [attempt.owners for attempt in asked] == [2, 3]
    assert asked[0].submit_horizon_ms == asked[1].submit_horizon_ms > 0


def test_a_nested_promise_leaves_the_outer_claim_where_it_is(database: Database) -> None:
    """Fails when the outer claim is deleted with the inner one: the next call would charge again."""
    clock, charged = RealClock(), list[str]()

    @operation(database, clock)
    def courier(shop: str, order: str) -> int:
        raise NotExecuted("closed")

    @operation(database, clock)
    def sell(shop: str, order: str) -> int:
        charged.append(order)
        return courier(shop, f"{order}-parcel")

    with pytest.raises(NotExecuted):
        sell("s", "o")
    with pytest.raises(OutcomeUnknown):
        sell("s", "o")
    assert charged == ["o"]
