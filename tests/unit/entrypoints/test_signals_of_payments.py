"""What real payments leave in the stream and in the log is what the signals are read from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.entrypoints.signal_stream import serve_signals
from payonce.routing.control.admission import Priority
from payonce.routing.control.control_store import document_write
from payonce.routing.control.document import Admission, ControlDocument
from payonce.routing.control.routing_settings import Mode
from payonce.routing.signals.events import Claimed, Ended, Refused, SignalEvent
from payonce.routing.signals.from_claims import refusal_of
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.signal_store import SignalBatch, signals_between
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.events import PAYMENT, call
from tests.support.stream import StreamingDatabase
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction, SubmitOutcome
    from payonce.ports import Deadline

LATENCY_MS = 730
BODY = {**PAYMENT, "payment_method_type": "wallet"}


class SlowGateway(ScriptedGateway):
    """Takes its time."""

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        outcome = super().submit(instruction, deadline)
        self.clock.ms += LATENCY_MS  # type: ignore[attr-defined]
        return outcome


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def database(clock: ManualClock) -> StreamingDatabase:
    return StreamingDatabase(clock)


@pytest.fixture
def gateway(clock: ManualClock) -> SlowGateway:
    return SlowGateway(clock)


@pytest.fixture
def application(clock: ManualClock, database: StreamingDatabase, gateway: SlowGateway) -> Application:
    settings = load_settings(
        {
            "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]',
            "PAYONCE_DEFAULT_GATEWAY": "bank",
            "PAYONCE_ROUTING_MODE": "on",
            "PAYONCE_ROUTING_TABLE": "routing",
        }
    )
    return Application(settings, clock=clock, database=database, gateways={"bank": gateway})


def told(database: StreamingDatabase, clock: ManualClock) -> list[SignalEvent]:
    """Return what the stream so far becomes."""
    serve_signals({"Records": database.stream}, database, clock)
    batches = [batch for batch in signals_between(database, 0, clock.ms + 1000) if isinstance(batch, SignalBatch)]
    return [event for batch in batches for event in batch.events]


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("ok", "approved"), ("decline", "declined"), ("never", "never_sent"), ("booked_lost", "unknown")],
)
def test_each_way_a_payment_ends_is_told(
    application: Application,
    database: StreamingDatabase,
    gateway: SlowGateway,
    clock: ManualClock,
    word: str,
    outcome: str,
) -> None:
    """Fails when a record's attributes are renamed on one side only: nothing would be observed, unnoticed."""
    gateway.script = [word]
    gateway.lookup_fails = True
    call(application, "create_payment", BODY, gateway="")
    claimed, ended = told(database, clock)
    assert isinstance(claimed, Claimed)
    assert (claimed.cell, claimed.priority) == (Cell("bank", "wallet"), Priority.AUTHORIZATION)
    assert isinstance(ended, Ended)
    assert (ended.outcome, ended.attempt_id) == (outcome, claimed.attempt_id)
    if outcome != "never_sent":
        assert ended.latency_ms == LATENCY_MS


def test_refunds_and_recoveries_say_nothing(
    application: Application, database: StreamingDatabase, gateway: SlowGateway, clock: ManualClock
) -> None:
    """Fails when an answer that recovery got minutes later is taken for a latency, or a refund for a payment."""
    gateway.script = ["booked_lost"]
    gateway.lookup_fails = True
    call(application, "create_payment", BODY, gateway="")
    before = told(database, clock)
    gateway.lookup_fails = False
    clock.ms += 600_000
    assert call(application, "create_payment", BODY, gateway="")["statusCode"] == 201
    assert told(database, clock) == before


def test_the_line_of_a_refused_request_is_read(
    application: Application, database: StreamingDatabase, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when the line's members are renamed on one side only."""
    document = ControlDocument(
        mode=Mode.ON,
        epoch=1,
        issued_at_ms=clock.ms,
        expires_at_ms=clock.ms + 30_000,
        reason="shedding",
        weights={},
        limits={},
        admission=Admission(0.0, 0.0, {}),
    )
    database.write([document_write(document)])
    assert call(application, "create_payment", BODY, gateway="")["statusCode"] == 429
    [line] = [record for record in caplog.records if record.message == "throttled"]
    members: dict[str, Any] = dict(vars(line))
    refused = refusal_of(members, at_ms=clock.ms, now_ms=clock.ms)
    assert refused == Refused(clock.ms, Cell("bank", "wallet"), "mer_1", Priority.AUTHORIZATION)
    assert told(database, clock) == []
