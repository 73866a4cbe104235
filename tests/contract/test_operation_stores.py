"""idempotent_operation on every database: concurrent calls, a crash, a stale owner."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import LeaseLost, OutcomeUnknown
from payonce.idempotency.in_process import Attempt, Verdict, WasExecuted
from payonce.idempotency.operation import idempotent_operation
from payonce.idempotency.store import DatabaseIdempotencyStore
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
