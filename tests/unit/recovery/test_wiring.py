"""The wiring of recovery: bounds and limits, and whose claims an asker settles."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.ports import Adjust, Table
from payonce.routing.control.control_store import CONTROL_KEY, document_write
from payonce.routing.control.document import EVERYTHING, ControlDocument
from payonce.routing.control.routing_settings import Mode
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.recovery import RecoveryApplication
from payonce.wiring.settings import DEFAULT_RECOVERY_REQUESTS_PER_SECOND, load_settings
from tests.support.world import ManualClock

BANK = {"name": "bank", "kind": "sandbox_bank", "url": "http://127.0.0.1:9"}
LIMIT = 4.0


def environment(*gateways: dict[str, Any], mode: str = "on") -> dict[str, str]:
    return {
        "PAYONCE_GATEWAYS": json.dumps(gateways or [BANK]),
        "PAYONCE_DEFAULT_GATEWAY": "bank",
        "PAYONCE_ROUTING_MODE": mode,
        "PAYONCE_ROUTING_TABLE": "routing",
    }


def application(**more: Any) -> RecoveryApplication:
    made = RecoveryApplication(load_settings(environment(**more)), clock=ManualClock(), database=MemoryDatabase())
    made.recovery_queue = MemoryQueue()
    return made


def document(now_ms: int) -> ControlDocument:
    return ControlDocument(
        mode=Mode.ON,
        epoch=1,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 30_000,
        reason="",
        weights={"card": {"bank": 1.0}},
        limits={"bank": LIMIT},
        admission=EVERYTHING,
    )


def test_routings_limit_is_recoverys_while_it_is_in_force() -> None:
    """Fails when recovery asks a saturated gateway at its full bound, or by a document that is over."""
    made = application()
    assert made._limits() == {}
    made.database.write([document_write(document(made.clock.now_ms()))])
    assert made._limits() == {"bank": LIMIT}
    made.database.write([document_write(replace(document(made.clock.now_ms() - 30_000), epoch=2))])
    assert made._limits() == {}


def test_a_document_that_is_unreadable_limits_nothing() -> None:
    """Fail neutral. Fails when recovery stands still because routing's document is damaged."""
    made = application()
    made.database.write([Adjust(table=Table.ROUTING, key=CONTROL_KEY, set={"document": b"{", "epoch": 1}, upsert=True)])
    assert made._limits() == {}


def test_where_routing_is_off_its_document_is_not_looked_at() -> None:
    made = application(mode="off")
    made.database.write([document_write(document(made.clock.now_ms()))])
    assert made._limits() == {}


def test_the_bound_of_a_gateway_is_configured() -> None:
    other = {**BANK, "name": "other", "recovery_requests_per_second": 150}
    gateways = load_settings(environment(BANK, other)).gateways
    bounds = {name: gateway.recovery_requests_per_second for name, gateway in gateways.items()}
    assert bounds == {"bank": DEFAULT_RECOVERY_REQUESTS_PER_SECOND, "other": 150}
    assert "recovery_requests_per_second" not in gateways["other"].options  # which are the adapter's


@pytest.mark.parametrize("value", [0, -1, 10_001, "fast", None, [1]])
def test_a_bound_that_is_none_stops_the_start(value: Any) -> None:
    """Fails when a mistake leaves every payment of an outage in doubt for good."""
    with pytest.raises(MisconfiguredError):
        load_settings(environment({**BANK, "recovery_requests_per_second": value}))


def test_a_missing_queue_is_named() -> None:
    made = RecoveryApplication(load_settings(environment()), clock=ManualClock(), database=MemoryDatabase())
    with pytest.raises(MisconfiguredError, match="PAYONCE_RECOVERY_QUEUE_URL"):
        _ = made.recovery_queue


def test_a_run_without_anything_to_do_says_so() -> None:
    """The log line is what metrics are made of. Fails when a quiet minute has none: an alarm on it would be blind."""
    assert application().feed(90_000)["in_doubt"] == 0
