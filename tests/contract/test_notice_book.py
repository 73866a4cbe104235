"""The book of what gateways' events have told, on every database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import Notice, NoticeOutcome, OperationKind
from payonce.notices.acceptance import Acceptance
from payonce.notices.kept import RETENTION_SECONDS, find_notice
from payonce.notices.told import KeptNoticeBook
from payonce.ports import Table
from payonce.stores.memory_queue import MemoryQueue
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from payonce.ports import Database

REFERENCE, PSP = "re_1-1", "QFQTPCQ8HXSKGK82"
REFUNDED = NoticeOutcome(
    kind=OperationKind.REFUND, executed=True, gateway_operation_id=PSP, amount_minor=400, currency="EUR"
)
FAILED = replace(REFUNDED, executed=False, code="refund_failed", undone=True)


def notice(notice_id: str, outcome: NoticeOutcome | None, reference: str | None = REFERENCE) -> Notice:
    return Notice(notice_id=notice_id, type="REFUND", created_at_ms=1, gateway_reference=reference, outcome=outcome)


def test_what_was_told_is_found_under_both_names_once_and_in_order(database: Database) -> None:
    """Fails when an outcome is kept under one name, twice for a copy, or apart from its event."""
    clock, book = ManualClock(), KeptNoticeBook(database)
    acceptance = Acceptance(database=database, queue=MemoryQueue(), clock=clock)
    assert book.outcomes("adyen", [REFERENCE, PSP]) == []
    acceptance.accept("adyen", [notice("2", REFUNDED)], b"{}")
    clock.ms += 1000
    acceptance.accept("adyen", [notice("1", FAILED), notice("3", None)], b"{}")
    acceptance.accept("adyen", [notice("2", FAILED)], b"{}")  # a copy, whatever it says
    for names in ([REFERENCE], [PSP], [REFERENCE, PSP], [PSP, PSP]):
        assert book.outcomes("adyen", names) == [REFUNDED, FAILED]
    assert book.outcomes("adyen_us", [REFERENCE, PSP]) == []
    assert book.outcomes("adyen", ["re_2-1"]) == []
    assert book.outcomes("adyen", []) == []
    kept = find_notice(database, "adyen#1")
    assert kept is not None
    assert kept.notice == notice("1", FAILED)
    item = database.get(Table.NOTICES, {"id": f"told#adyen#{PSP}"})
    assert item is not None
    assert item["purge_at"] == clock.ms // 1000 + RETENTION_SECONDS


def test_an_operation_without_a_reference_of_ours_is_found_by_its_own_id(database: Database) -> None:
    acceptance = Acceptance(database=database, queue=MemoryQueue(), clock=ManualClock())
    acceptance.accept("adyen", [notice("1", REFUNDED, reference=None)], b"{}")
    assert KeptNoticeBook(database).outcomes("adyen", [PSP]) == [REFUNDED]
