"""Batches of the claims' stream and of the log's subscription become items; what is broken in them is passed over."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from payonce.entrypoints import log_messages
from payonce.entrypoints.signal_stream import serve_signals
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Claimed, Ended, Refused
from payonce.routing.signals.from_claims import REFUSED_MESSAGE
from payonce.routing.signals.signal_store import REFUSALS_SHARD, SignalBatch, signals_between
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import REPOSITORY
from tests.support.world import ManualClock

T0 = 1_795_526_278_000  # of the events in events/observe_claims


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


def event(case: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((REPOSITORY / "events" / "observe_claims" / f"{case}.json").read_text())
    return parsed


def served(database: MemoryDatabase, what: dict[str, Any]) -> list[SignalBatch]:
    assert serve_signals(what, database, ManualClock(T0 + 700)) == {"state": {}}
    batches = list(signals_between(database, 0, T0 + 100_000))
    assert all(isinstance(batch, SignalBatch) for batch in batches)
    return batches  # type: ignore[return-value]


def test_a_payment_and_its_answer_are_one_item(database: MemoryDatabase) -> None:
    [batch] = served(database, event("answered"))
    assert [type(one) for one in batch.events] == [Claimed, Ended]
    assert batch.events[1].latency_ms == 387  # type: ignore[union-attr]
    assert (batch.at_ms, batch.shard, batch.observed_at_ms) == (T0 + 911, "shard-1", T0 + 700)


@pytest.mark.parametrize(("case", "outcome"), [("parked", Outcome.UNKNOWN), ("released", Outcome.NEVER_SENT)])
def test_what_ends_otherwise(database: MemoryDatabase, case: str, outcome: Outcome) -> None:
    [batch] = served(database, event(case))
    assert batch.events[-1].outcome is outcome  # type: ignore[union-attr]


def test_the_same_batch_again_changes_nothing(database: MemoryDatabase) -> None:
    first = served(database, event("answered"))
    assert served(database, event("answered")) == first


def test_a_record_that_can_not_be_read_is_skipped_and_counted(
    database: MemoryDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when one record stops its batch: it would come again once, and then all of it would be gone."""
    broken = event("one_is_unreadable")
    broken["Records"] += [{}, {"dynamodb": None}, {"dynamodb": {"NewImage": {"plan": {"S": "x"}}}}]
    [batch] = served(database, broken)
    assert len(batch.events) == 1
    [line] = caplog.records
    assert (line.message, line.unreadable, line.stored) == ("signals skipped", 4, 1)  # type: ignore[attr-defined]


def test_refusals_come_from_the_log(database: MemoryDatabase) -> None:
    """Fails when another line is taken for one."""
    [batch] = served(database, event("refusals"))
    assert [type(one) for one in batch.events] == [Refused]
    assert batch.shard == REFUSALS_SHARD
    assert served(database, event("subscription_tried_out")) == [batch]


def test_our_own_lines_are_not_sent_to_us(database: MemoryDatabase, caplog: pytest.LogCaptureFixture) -> None:
    """Fails when the function logs what its subscription selects: each line would call it again, for ever."""
    served(database, event("one_is_unreadable"))
    assert caplog.records
    assert all(line.message != REFUSED_MESSAGE for line in caplog.records)


def subscription(data: bytes) -> dict[str, Any]:
    return {"awslogs": {"data": base64.b64encode(data).decode()}}


@pytest.mark.parametrize(
    "broken",
    [
        {"awslogs": None},
        {"awslogs": {}},
        {"awslogs": {"data": 7}},
        {"awslogs": {"data": "not base64"}},
        subscription(b"not gzip"),
        subscription(gzip.compress(b"x" * 99)[:10] + b"\xff" * 20),  # its head is right, and what follows no block
        subscription(gzip.compress(b"not JSON")),
        subscription(gzip.compress(b"[]")),
        subscription(gzip.compress(b'{"messageType": "DATA_MESSAGE"}')),
        subscription(gzip.compress(b'{"messageType": "DATA_MESSAGE", "logEvents": [null, {}, {"message": "{}"}]}')),
    ],
)
def test_garbage_from_the_log_is_passed_over(database: MemoryDatabase, broken: dict[str, Any]) -> None:
    assert served(database, broken) == []


def test_a_bomb_from_the_log_is_passed_over(database: MemoryDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_messages, "MAX_LOG_BYTES", 1_000)
    line = {"id": "1", "timestamp": T0, "message": json.dumps({"message": REFUSED_MESSAGE})}
    text = {"messageType": "DATA_MESSAGE", "logEvents": [line] * 1_000}
    assert served(database, subscription(gzip.compress(json.dumps(text).encode()))) == []


@pytest.mark.parametrize("empty", [{}, {"Records": []}, {"Records": [], "isFinalInvokeForWindow": True}])
def test_the_end_of_a_window_is_answered(database: MemoryDatabase, empty: dict[str, Any]) -> None:
    """Fails when the answer has no state: Lambda takes that for a failure, and tries the batch again."""
    assert served(database, empty) == []
