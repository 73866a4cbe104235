"""What requests leave behind: the events of payments, and a line of the log for replays and conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.overview.from_events import CODES, told_of
from payonce.overview.request_counts import COUNTED_MESSAGE, LINE_EVERY_MS, RequestCounts
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from tests.support.aws import REPOSITORY
from tests.support.events import call
from tests.support.routing_world import Lines

if TYPE_CHECKING:
    from payonce.overview.minutes import Told
    from payonce.wiring.application import Application


def told(application: Application) -> list[Told]:
    database = application.database
    assert isinstance(database, MemoryDatabase)
    items = database._tables[Table.OUTBOX].values()
    return [one for one in (told_of(item, "1") for item in items) if one is not None]


def test_a_payment_is_made_once_and_declines_have_their_code(application: Application) -> None:
    """Fails when a later change counts as another payment, or when a gateway's words become a counter's name."""
    application.gateway("bank").script = ["decline"]  # type: ignore[attr-defined]
    assert call(application, "create_payment", key="a-declined-payment-1")["statusCode"] == 402
    assert call(application, "create_payment", key="a-captured-payment-1")["statusCode"] == 201
    names = [name for one in told(application) for name in one.names]
    assert names.count("made") == 2
    assert names.count("payment.declined") == names.count("payment.captured") == 1
    (code,) = [name for name in names if name.startswith("declined:")]
    assert code.removeprefix("declined:") in {*CODES, "other"}


def test_every_code_that_a_payment_is_declined_with_is_documented() -> None:
    page = (REPOSITORY / "docs" / "decline-codes.md").read_text()
    assert {code for code in CODES if f"| `{code}` |" not in page} == set()


def test_replays_and_conflicts_are_counted_and_other_refusals_are_not(application: Application) -> None:
    """Fails when the edge does not count them, or counts what is no conflict."""
    log = Lines()
    application.request_counts = RequestCounts(application.clock, log)
    call(application, "create_payment")
    assert log.lines == []
    call(application, "create_payment")
    call(application, "create_payment", {"amount_minor": 1, "currency": "EUR", "payment_method": "pm_sandbox_visa"})
    call(application, "create_payment", key=None)
    application.clock.ms += LINE_EVERY_MS  # type: ignore[attr-defined]
    call(application, "create_payment")
    merchant = next(iter(log.said(COUNTED_MESSAGE)[0]["counts"]))
    assert [one["counts"] for one in log.said(COUNTED_MESSAGE)] == [
        {merchant: {"replayed": 1}},
        {merchant: {"conflict:KeyReused": 1, "replayed": 1}},
    ]
