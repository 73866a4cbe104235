"""The work list of breaks and one break: filters, pages, exports, who sees what, and what a page costs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from payonce.console.operators import Role
from payonce.console.views.break_filters import BreakFilter, BreakState, break_filter
from payonce.console.views.break_rows import LOOKED_AT, PAGE_SIZE, break_rows
from payonce.corrections.record import CorrectionStatus
from payonce.domain.durations import DAY_MS
from payonce.domain.errors import BodyMalformed
from payonce.domain.principals import OPERATOR_PREFIX
from payonce.reconciliation.cases.case import CaseChange, CaseStatus, opened
from payonce.reconciliation.cases.case_items import case_writes
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.breaks import break_of, evidence_of, store_break, store_proposal
from tests.support.console import Browser, operator_key, signed_in
from tests.support.read_costs import CountedReads

if TYPE_CHECKING:
    from payonce.ports import Database
    from payonce.reconciliation.cases.case import Case
    from payonce.wiring.application import Application

MERCHANT, OTHER = "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRB"
NOW_MS = 1_800_000_000_000


def brk(number: int) -> str:
    return f"brk_{number:064x}"


def pay(number: int) -> str:
    return f"pay_{number:026d}"


def a_case(database: Database, number: int, merchant_id: str | None = MERCHANT, **values: Any) -> Case:
    """Store a case that was opened ``number`` minutes before now, with values of the case or its break."""
    of_case = {name: values.pop(name) for name in ("assignee", "merchant_assignee", "status") if name in values}
    opened_at_ms = values.pop("opened_at_ms", NOW_MS - number * 60_000)
    case = opened(break_of(merchant_id, pay(number), **values), run_id="run_1", at_ms=opened_at_ms)
    case = replace(case, break_id=brk(number), **of_case)
    database.write(case_writes(None, case, CaseChange.FOUND, by="run:run_1", note=None))
    return case


def ids(database: Database, wanted: BreakFilter, *, bound: bool = False) -> list[int]:
    found: list[int] = []
    cursor = ""
    while True:
        page = break_rows(database, wanted, cursor=cursor, now_ms=NOW_MS, bound=bound)
        found += [int(row.break_id.removeprefix("brk_"), 16) for row in page.rows]
        cursor = page.next_cursor
        if not cursor:
            return found


@pytest.fixture
def world(application: Application) -> Application:
    """Breaks of two merchants and of none, in every state."""
    database = application.database
    a_case(database, 1)
    a_case(database, 2, gateway="other", amount_minor=5)
    a_case(database, 3, break_class=BreakClass.FEE_MISMATCH, assignee="ann", merchant_assignee="mia")
    a_case(database, 4, OTHER, currency="JPY", amount_minor=700)
    a_case(database, 5, None, break_class=BreakClass.PAYOUT_MISSING)
    a_case(database, 6, status=CaseStatus.CLOSED)
    a_case(database, 7, break_class=BreakClass.DOUBLE_CHARGE, status=CaseStatus.DISMISSED)
    a_case(database, 8, opened_at_ms=NOW_MS - 40 * DAY_MS)
    return application


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [8, 5, 4, 2, 1, 3]),
        ({"sort": "latest"}, [3, 1, 2, 4, 5, 8]),
        ({"state": "closed"}, [6]),
        ({"state": "dismissed"}, [7]),
        ({"kind": "fee_mismatch"}, [3]),
        ({"gateway": "other"}, [2]),
        ({"assignee": "Ann"}, [3]),
        ({"assignee": "me"}, [3]),
        ({"assignee": "-"}, [8, 5, 4, 2, 1]),
        ({"age": "40"}, [8]),
        ({"age": "41"}, []),
        ({"currency": "JPY"}, [4]),
        ({"currency": "EUR", "amount": "10.50"}, [8, 5, 1, 3]),
        ({"currency": "EUR", "amount": "10.51"}, []),
        ({"currency": "JPY", "amount": "700"}, [4]),
        ({"kind": "duplicate_capture", "gateway": "bank", "currency": "EUR"}, [8, 1]),
    ],
)
def test_the_list_is_what_its_address_asks_for(world: Application, query: dict[str, str], expected: list[int]) -> None:
    assert ids(world.database, break_filter(query, None, me="ann")) == expected


def test_of_one_merchant_they_are_by_age_and_only_its_own(world: Application) -> None:
    assert ids(world.database, break_filter({}, MERCHANT, me="ann")) == [1, 2, 3, 8]
    assert ids(world.database, break_filter({"sort": "oldest"}, MERCHANT, me="ann")) == [8, 3, 2, 1]
    assert ids(world.database, break_filter({"state": "closed"}, MERCHANT, me="ann")) == [6]
    assert ids(world.database, break_filter({}, OTHER, me="ann")) == [4]


def test_an_operator_of_a_merchant_sees_its_own_assignees(world: Application) -> None:
    """Fails when the operator's own people are told to the merchant's."""
    assert ids(world.database, break_filter({"assignee": "mia"}, MERCHANT, me="x"), bound=True) == [3]
    assert ids(world.database, break_filter({"assignee": "ann"}, MERCHANT, me="x"), bound=True) == []
    rows = break_rows(world.database, break_filter({}, MERCHANT, me="x"), cursor="", now_ms=NOW_MS, bound=True).rows
    assert {row.assignee for row in rows} == {"", "mia"}


@pytest.mark.parametrize(
    "query",
    [
        {"state": "x"},
        {"kind": "x"},
        {"sort": "x"},
        {"age": "-1"},
        {"age": "x"},
        {"currency": "XXX"},
        {"amount": "1"},
        {"amount": "1,5", "currency": "EUR"},
        {"amount": "-1", "currency": "EUR"},
    ],
)
def test_a_filter_that_means_nothing_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BodyMalformed):
        break_filter(query, None, me="ann")


def test_those_that_await_approval_are_a_list_of_their_own(application: Application) -> None:
    database = application.database
    for number in range(1, 5):
        status = CorrectionStatus.AWAITING_APPROVAL if number != 2 else CorrectionStatus.APPROVED
        case = a_case(database, number, OTHER if number == 4 else MERCHANT)
        store_proposal(database, case, status=status, expires_at_ms=NOW_MS + number)
    assert ids(database, BreakFilter(merchant_id=None, state=BreakState.AWAITING)) == [1, 3, 4]
    assert ids(database, BreakFilter(merchant_id=MERCHANT, state=BreakState.AWAITING)) == [1, 3]
    (row, *_) = break_rows(database, BreakFilter(merchant_id=None), cursor="", now_ms=NOW_MS, bound=False).rows
    assert row.correction == "awaiting_approval"


@pytest.mark.parametrize("state", [BreakState.OPEN, BreakState.AWAITING])
@pytest.mark.parametrize("merchant_id", [None, MERCHANT])
@pytest.mark.parametrize("gateway", ["", "bank"])
def test_pages_join_without_gap_or_overlap(
    application: Application, state: BreakState, merchant_id: str | None, gateway: str
) -> None:
    database = application.database
    count = PAGE_SIZE * 2 + 3
    for number in range(count):
        case = a_case(
            database, number, OTHER if number % 7 == 0 else MERCHANT, gateway="x" if number % 5 == 0 else "bank"
        )
        store_proposal(database, case, expires_at_ms=NOW_MS + number)
    found = ids(database, BreakFilter(merchant_id=merchant_id, state=state, gateway=gateway))
    expected = {
        number for number in range(count) if not (merchant_id and number % 7 == 0) and not (gateway and number % 5 == 0)
    }
    assert sorted(found) == sorted(expected)


def test_a_cursor_of_another_list_is_refused(application: Application) -> None:
    for number in range(PAGE_SIZE + 1):
        a_case(application.database, number)
    cursor = break_rows(
        application.database, BreakFilter(merchant_id=None), cursor="", now_ms=NOW_MS, bound=False
    ).next_cursor
    assert cursor
    with pytest.raises(BodyMalformed):
        break_rows(
            application.database, BreakFilter(merchant_id=None, gateway="x"), cursor=cursor, now_ms=NOW_MS, bound=False
        )


def test_a_filter_that_finds_nothing_looks_at_a_bounded_number_and_goes_on_from_there(application: Application) -> None:
    """Fails when a filter reads every break there is before it answers."""
    for number in range(LOOKED_AT + 7):
        a_case(application.database, number, gateway="last" if number == 0 else "bank")
    wanted = break_filter({"gateway": "last"}, None, me="x")
    first = break_rows(application.database, wanted, cursor="", now_ms=NOW_MS, bound=False)
    assert (first.rows, first.looked_at, bool(first.next_cursor)) == ((), LOOKED_AT, True)
    then = break_rows(application.database, wanted, cursor=first.next_cursor, now_ms=NOW_MS, bound=False)
    assert ([row.break_id for row in then.rows], then.looked_at, then.next_cursor) == ([brk(0)], 7, "")


def test_a_page_costs_the_same_of_a_thousand_breaks_and_of_ten_thousand(application: Application) -> None:
    """Fails when a page reads more as there are more: each list, its round trips, items and read units."""
    counted = CountedReads(application.database)
    wanted = {
        "plain": break_filter({}, None, me="x"),
        "nothing found": break_filter({"gateway": "none"}, None, me="x"),
        "of a merchant": break_filter({}, MERCHANT, me="x"),
        "of a merchant, nothing found": break_filter({"kind": "ambiguous"}, MERCHANT, me="x"),
    }
    costs: list[dict[str, tuple[int, int, int]]] = []
    stored = 0
    for total in (1_000, 10_000):
        for number in range(stored, total):
            a_case(application.database, number)
        stored = total
        found: dict[str, tuple[int, int, int]] = {}
        for name, each in wanted.items():
            counted.reset()
            break_rows(counted, each, cursor="", now_ms=NOW_MS, bound=False)
            found[name] = (counted.round_trips, counted.items, counted.units)
        costs.append(found)
    assert costs[0] == costs[1]
    assert costs[0]["plain"][:2] == (2, PAGE_SIZE)
    assert costs[0]["nothing found"][:2] == (5, LOOKED_AT)
    assert costs[0]["of a merchant"][0] == 2
    assert costs[0]["of a merchant, nothing found"][:2] == (5, LOOKED_AT)
    assert costs[0]["plain"][2] <= 30
    assert costs[0]["nothing found"][2] <= 250


def test_the_page_names_the_breaks_and_keeps_its_filters(world: Application) -> None:
    browser = signed_in(world)
    page = browser.get("/breaks?currency=EUR&age=0&assignee=%22%3E%3Cscript%3E")
    assert page.status == 200
    assert "<script>" not in page.text.replace('<script src="', "")
    page = browser.get("/breaks?currency=EUR")
    assert page.text.count("/breaks/brk_") == 5
    assert '/breaks?format=csv&amp;currency=EUR&amp;list=breaks"' in page.text
    assert 'name="currency" maxlength="3" value="EUR"' in page.text
    assert "10.50 EUR" in page.text


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_list_is_saved_as_it_is_filtered(world: Application, form: str) -> None:
    answer = signed_in(world).get(f"/breaks?currency=JPY&format={form}")
    assert answer.status == 200
    assert f'filename="breaks.{form}"' in answer.headers["content-disposition"][0]
    if form == "csv":
        header, row = csv.reader(io.StringIO(answer.body.decode("utf-8-sig")))
        told = dict(zip(header, row, strict=True))
        assert (told["open amount"], told["currency"], told["kind"]) == ("700", "JPY", "duplicate_capture")
    else:
        assert answer.body.startswith(b"PK")


def test_an_empty_list_says_what_to_do(application: Application) -> None:
    browser = signed_in(application)
    assert "No break is open." in browser.get("/breaks").text
    assert "Take a filter away." in browser.get("/breaks?gateway=x").text


def test_one_break_shows_both_sides_and_where_they_differ(application: Application) -> None:
    ours, theirs = evidence_of(pay(1))
    theirs = replace(theirs, fields={**theirs.fields, "amount_minor": 900, "reference": "<img src=x onerror=alert(1)>"})
    a_case(application.database, 1, evidence=(ours, theirs))
    page = signed_in(application).get(f"/breaks/{brk(1)}").text
    assert "Ours: the ledger" in page
    assert "Theirs: the gateway" in page
    assert "10.50 EUR <span" in page
    assert "9.00 EUR <span" in page
    assert page.count(">differs<") == 4  # the amount and the reference, on both sides
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
    assert "Refund the surplus charge" in page


def test_one_break_tells_its_history_with_people_and_programs(application: Application) -> None:
    case = store_break(application.database, MERCHANT, brk(1), NOW_MS, pay(1))
    store_proposal(application.database, case)
    store = CaseStore(application.database)
    store.comment(case.break_id, "com_1", text="<b>twice</b>", by="operator:ina", at_ms=NOW_MS + 5)
    store.assign(case.break_id, "ina", by="operator:bob", at_ms=NOW_MS + 6)
    page = signed_in(application).get(f"/breaks/{case.break_id}").text
    line = unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page.partition("What happened")[2])))
    assert line.index("found") < line.index("comment") < line.index("assigned")
    assert "by operator:ina" in line
    assert "<b>twice" not in page


def test_an_operator_of_a_merchant_sees_what_the_merchants_api_shows(application: Application) -> None:
    """Fails when the bank's lines, payers, other merchants' breaks or the operator's notes are shown."""
    merchant_id = application.merchants.create_merchant("Acme")
    case = store_break(application.database, merchant_id, brk(1), NOW_MS, pay(1))
    a_case(application.database, 2, OTHER)
    a_case(application.database, 3, None, break_class=BreakClass.PAYOUT_MISSING)
    a_case(application.database, 4, merchant_id, break_class=BreakClass.AMBIGUOUS)
    CaseStore(application.database).comment(
        case.break_id, "com_1", text="internal note", by="operator:ina", at_ms=NOW_MS
    )
    browser = signed_in(application, Role.APPROVER, merchant_id)
    page = browser.get(f"/breaks/{case.break_id}")
    assert page.status == 200
    for hidden in ("pm_visa", "internal note", "operator:ina", "po_of_all_merchants", "run_1"):
        assert hidden not in page.text, hidden
    assert browser.get("/breaks").text.count("/breaks/brk_") == 1
    for path in (
        f"/breaks/{brk(2)}",
        f"/breaks/{brk(3)}",
        f"/breaks/{brk(4)}",
        f"/breaks/{brk(9)}",
        "/runs",
        "/files",
        "/files/" + "0" * 64,
    ):
        assert browser.get(path).status == 404, path
    assert browser.get(f"/breaks?merchant={OTHER}").status == 404


def test_an_operator_of_the_platform_who_chose_a_merchant_sees_no_others(application: Application) -> None:
    a_case(application.database, 2, OTHER)
    browser = signed_in(application)
    assert browser.get(f"/breaks/{brk(2)}").status == 200
    assert browser.get(f"/breaks/{brk(2)}?merchant={OTHER}").status == 200
    assert browser.get(f"/breaks/{brk(2)}?merchant={MERCHANT}").status == 404


def test_the_proposer_is_told_why_there_is_no_button(application: Application) -> None:
    case = store_break(application.database, MERCHANT, brk(1), application.clock.now_ms(), pay(1))
    store_proposal(application.database, case, proposed_by=OPERATOR_PREFIX + "ann")
    ann, bob = Browser(application), Browser(application)
    ann.sign_in(operator_key(application, "ann", Role.APPROVER))
    bob.sign_in(operator_key(application, "bob", Role.APPROVER))
    assert "a second person has to approve" in ann.get(f"/breaks/{brk(1)}").text
    assert "/approve" not in ann.get(f"/breaks/{brk(1)}").text
    assert "/approve" in bob.get(f"/breaks/{brk(1)}").text
