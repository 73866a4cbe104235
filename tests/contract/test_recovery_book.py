"""What the feeder and the askers write for each other, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import WriteConflict
from payonce.ports import Adjust, Table
from payonce.recovery.book import LEAD_MS, Book, Left, mark_of
from payonce.recovery.lanes import Asked

if TYPE_CHECKING:
    from payonce.ports import Database

NOW_MS = 1_800_000_000_000
REPORTS = 20


def test_one_feeder_leads_until_it_resigns_or_its_time_is_over(database: Database) -> None:
    """Fails when a second run could lead beside it, or nobody after it was killed."""
    book = Book(database)
    assert book.lead("first", NOW_MS) == Left({}, frozenset())
    assert book.lead("second", NOW_MS + LEAD_MS - 1) is None
    assert book.lead("second", NOW_MS + LEAD_MS) is not None
    with pytest.raises(WriteConflict):
        book.keep("first", {}, NOW_MS)
    kept_ms = NOW_MS + 2 * LEAD_MS - 1
    book.keep("second", {}, kept_ms)
    assert book.lead("third", kept_ms + LEAD_MS - 1) is None
    book.resign("second", Left({}, frozenset()))
    assert book.lead("third", kept_ms) is not None


def test_two_releases_look_for_the_lead_in_one_place(database: Database) -> None:
    """Fails when it is kept elsewhere: while a release is rolled out, two would feed at once, each at the full pace."""
    Book(database).lead("first", NOW_MS)
    item = database.get(Table.ROUTING, {"pk": "RECOVERY", "sk": "FEEDER"})
    assert item is not None
    assert (item["leader"], item["until_ms"]) == ("first", NOW_MS + LEAD_MS)


def test_the_next_feeder_is_told_what_was_released_and_the_lanes_state(database: Database) -> None:
    book = Book(database)
    book.lead("first", NOW_MS)
    left = Left({"bank": {"pace": 12.5, "answers": True}}, frozenset({mark_of("m#op#1"), mark_of("m#op#2")}))
    book.resign("first", left)
    assert book.lead("second", NOW_MS) == left
    # What was released a run ago is nobody's any more.
    lanes = {"bank": {"pace": 25.0, "answers": True}}
    book.keep("second", lanes, NOW_MS)
    assert book.lead("second", NOW_MS) == Left(lanes, frozenset())


def test_of_two_that_want_the_lead_at_once_one_has_it(database: Database) -> None:
    book = Book(database)
    book.lead("old", NOW_MS - LEAD_MS)
    seen = database.get

    class Slow(Book):
        """Reads the item before the other one has written."""

    slow = Slow(database)
    stale = seen

    def read_then_lose(table: object, key: object) -> object:
        item = stale(table, key)  # type: ignore[arg-type]
        book.lead("quick", NOW_MS)
        return item

    slow._database = type("Stale", (), {"get": staticmethod(read_then_lose), "write": database.write})()  # type: ignore[assignment]
    assert slow.lead("slow", NOW_MS) is None
    book.keep("quick", {}, NOW_MS)


def test_reports_add_up(database: Database) -> None:
    """Fails when a report overwrites another, or a lane's counters are read as another's."""
    book = Book(database)
    for _ in range(REPORTS):
        book.add("bank", Asked(10, 17, 2, 9))
    book.add("", Asked(1, 1, 0, 1))
    expected = Asked(10 * REPORTS, 17 * REPORTS, 2 * REPORTS, 9 * REPORTS)
    assert book.asked(["bank", "", "never"]) == {"bank": expected, "": Asked(1, 1, 0, 1)}


def test_a_counter_that_an_earlier_release_did_not_keep_is_zero(database: Database) -> None:
    key = {"pk": "RECOVERY", "sk": "LANE#bank"}
    database.write([Adjust(table=Table.ROUTING, key=key, add={"claims": 3}, upsert=True)])
    assert Book(database).asked(["bank"]) == {"bank": Asked(claims=3)}


def test_reports_of_many_askers_add_up_in_dynamodb_local(dynamodb_local: str) -> None:
    from tests.support.aws import create_tables, dynamo_database, dynamodb_client

    client = dynamodb_client(dynamodb_local)
    book = Book(dynamo_database(client, create_tables(client, "askers-")))
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda _: book.add("bank", Asked(10, 17, 2, 9)), range(REPORTS)))
    assert book.asked(["bank"])["bank"].claims == 10 * REPORTS
