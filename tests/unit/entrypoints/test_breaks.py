"""The merchants' routes of breaks: what they show, what they hide, and that they change a case once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from payonce.entrypoints.http import KeyedRoute
from payonce.entrypoints.openapi import build_openapi
from payonce.entrypoints.routes import ROUTES
from payonce.reconciliation.cases.case_items import Visibility
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.cases.merchant import FILTER_CASES
from payonce.reconciliation.manual import Match, RowRef
from payonce.reconciliation.model import Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.breaks import FOREIGN_PAYMENT, PAYER, evidence_of, store_break, store_proposal
from tests.support.events import call

if TYPE_CHECKING:
    from payonce.reconciliation.cases.case import Case
    from payonce.wiring.application import Application

BREAK_ROUTES = [name for name, route in ROUTES.items() if route.path.startswith("/breaks/")]
BODIES: dict[str, Any] = {
    "comment_on_break": {"text": "Order 4711 was paid once."},
    "assign_break": {"assignee": "anna"},
    "propose_correction": {"proposal_version": 1, "amount_minor": 500},
    "approve_correction": {"proposal_version": 1},
    "reject_correction": {"proposal_version": 1},
    "match_breaks": {"break_ids": [], "reason": "It is one order."},
    "unmatch_breaks": {"reason": "It is two orders."},
}
ID = "brk_" + "b7" * 32
MATCH_ID = "mat_" + "d4" * 32
PAYMENT_ID = "pay_00000000000000000000000001"


def document(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


def number_id(number: int) -> str:
    return f"brk_{number:064x}"


def a_case(application: Application, break_id: str = ID, *, merchant_id: str | None = "mer_1", **values: Any) -> Case:
    number = int(break_id[4:], 16) % 10**26
    now_ms = application.clock.now_ms()
    return store_break(application.database, merchant_id, break_id, now_ms, f"pay_{number:026d}", **values)


def get(application: Application, operation: str = "get_break", break_id: str = ID, **options: Any) -> dict[str, Any]:
    return call(
        application,
        operation,
        BODIES.get(operation),
        path={"break_id": break_id, "match_id": MATCH_ID},
        **options,
    )


@pytest.mark.parametrize("operation", BREAK_ROUTES)
def test_what_is_not_the_merchants_is_not_there(application: Application, operation: str) -> None:
    """Another merchant's break, the operator's own, an ambiguous group, and none at all are answered alike. Fails for
    a route that leaves the merchant out, and when a group of several merchants' rows is shown to one of them.
    """
    a_case(application, number_id(1), merchant_id="mer_2")
    a_case(application, number_id(2), merchant_id=None)
    store_break(
        application.database, "mer_1", number_id(3), application.clock.now_ms(), break_class=BreakClass.AMBIGUOUS
    )
    answers = [get(application, operation, number_id(number)) for number in range(1, 5)]
    assert [answer["statusCode"] for answer in answers] == [404] * 4
    details = {document(answer)["detail"].replace(number_id(n), "") for n, answer in enumerate(answers, 1)}
    assert len(details) == 1
    assert get(application, operation, "brk_1")["statusCode"] == 404
    for number in (1, 2, 3):
        case = CaseStore(application.database).get(number_id(number))
        assert (case.version, CaseStore(application.database).comments(case.break_id)) == (1, [])


@pytest.mark.parametrize("operation", BREAK_ROUTES)
def test_every_route_needs_its_scope(application: Application, operation: str) -> None:
    a_case(application)
    others = " ".join(route.scope for route in ROUTES.values() if route.scope != ROUTES[operation].scope)
    assert get(application, operation, scopes=others)["statusCode"] == 403
    keyed = isinstance(ROUTES[operation], KeyedRoute)
    assert ROUTES[operation].scope in ({"breaks:write", "breaks:approve"} if keyed else {"breaks:read"})


def test_lists_are_newest_first_ones_own_and_go_on(application: Application) -> None:
    """Fails when the merchant is left out of the index, or a cursor is taken for another merchant's list."""
    for number in range(5):
        application.clock.ms += 1000  # type: ignore[attr-defined]
        a_case(application, number_id(number))
    a_case(application, number_id(9), merchant_id="mer_2")
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    for _ in range(3):
        page = document(call(application, "list_breaks", None, query=query))
        seen += [view["id"] for view in page["data"]]
        query["cursor"] = page["next_cursor"]
    assert seen == [number_id(number) for number in (4, 3, 2, 1, 0)]
    assert page["next_cursor"] is None
    cursor = document(call(application, "list_breaks", None, query={"limit": "2"}))["next_cursor"]
    for options in ({"merchant_id": "mer_2"}, {}):
        sent = cursor if options else cursor[:-1]
        assert call(application, "list_breaks", None, query={"cursor": sent}, **options)["statusCode"] == 400


def test_filters_look_at_a_bounded_number_of_breaks(application: Application) -> None:
    """Fails when a filter that fits nothing reads all there is, or ends the list before it has."""
    a_case(application, number_id(0), break_class=BreakClass.STATUS_MISMATCH)
    for number in range(1, FILTER_CASES + 2):
        application.clock.ms += 1  # type: ignore[attr-defined]
        a_case(application, number_id(number))
    page = document(call(application, "list_breaks", None, query={"class": "status_mismatch"}))
    assert page["data"] == []
    after = {"class": "status_mismatch", "cursor": page["next_cursor"]}
    page = document(call(application, "list_breaks", None, query=after))
    assert ([view["id"] for view in page["data"]], page["next_cursor"]) == ([number_id(0)], None)
    by_status = document(call(application, "list_breaks", None, query={"status": "closed"}))
    assert by_status["data"] == []
    both = {"status": "open", "class": "duplicate_capture", "limit": "3"}
    page = document(call(application, "list_breaks", None, query=both))
    assert (len(page["data"]), page["next_cursor"] is not None) == (3, True)


def test_a_break_is_shown_with_its_links_and_whether_it_is_late(application: Application) -> None:
    case = a_case(application, why="The answer was lost.")
    view = document(get(application))
    assert (view["id"], view["class"], view["status"], view["version"]) == (ID, "duplicate_capture", "open", 1)
    assert view["why"] == {"reason": None, "text": "The answer was lost."}
    assert view["links"] == {
        "self": f"/breaks/{ID}",
        "history": f"/breaks/{ID}/history",
        "correction": f"/breaks/{ID}/correction",
        "payment": f"/payments/{case.payment_id}",
    }
    assert (view["due_at_ms"], view["overdue"]) == (case.opened_at_ms + 4 * 3_600_000, False)
    application.clock.ms = view["due_at_ms"] + 1  # type: ignore[attr-defined]
    assert document(get(application))["overdue"] is True
    assert "merchant_id" not in view
    assert view["correction"] is None


def test_of_a_report_only_the_merchants_own_rows_are_shown(application: Application) -> None:
    """Fails when a row is shown because it is in the case: the report is of every merchant, and so is a payout."""
    own = evidence_of(PAYMENT_ID)
    other = evidence_of(FOREIGN_PAYMENT, number=7, charge_id="ch_of_another")
    by_charge = replace(own[1], row_key="bank|t3", fields={**own[1].fields, "transaction_id": "t3", "reference": None})
    nobodys = replace(
        by_charge, row_key="bank|t4", fields={**by_charge.fields, "transaction_id": "t4", "gateway_payment_id": None}
    )
    at_another_gateway = replace(own[1], row_key="other|t1", fields={**own[1].fields, "gateway": "other"})
    bank = Evidence(source=Source.BANK, row_key="l", fields={"account": "NL26BANK0001", "description": "all"})
    evidence = (*own, *other, by_charge, nobodys, at_another_gateway, bank)
    store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID, evidence=evidence)
    answer = get(application)
    rows = document(answer)["evidence"]
    assert [row["row_key"] for row in rows] == ["je_1", "bank|t1", "bank|t3"]
    assert rows[0]["fields"]["reference"] == f"{PAYMENT_ID}-1"
    for hidden in (PAYER, "payout", "#create_payment#", FOREIGN_PAYMENT, "NL26BANK0001", "ch_of_another"):
        assert hidden not in answer["body"]


def test_evidence_of_a_payment_that_is_not_stored_under_the_merchant_is_hidden(application: Application) -> None:
    """Fails when the case's word is taken for whose a payment is."""
    case = a_case(application)
    for table in ("payments", "outbox"):
        application.database._tables[table].clear()  # type: ignore[attr-defined]
    assert case.evidence
    assert document(get(application))["evidence"] == []


def test_a_comment_is_made_once_and_both_sides_read_it(application: Application) -> None:
    """Fails without the claim (a retry comments twice), or when a merchant reads what operators write to each other."""
    a_case(application)
    store = CaseStore(application.database)
    store.comment(ID, "com_1", text="The shop is under review.", by="operator:ben", at_ms=1)
    store.comment(ID, "com_2", text="We are looking.", by="operator:ben", at_ms=2, visibility=Visibility.MERCHANT)
    first = get(application, "comment_on_break")
    again = get(application, "comment_on_break")
    assert (first["statusCode"], again["body"]) == (201, first["body"])
    assert [comment["text"] for comment in store.comments(ID)][2:] == [BODIES["comment_on_break"]["text"]]
    answer = get(application, "get_break_history")
    comments = [entry for entry in document(answer)["data"] if entry["object"] == "comment"]
    assert [(entry["by"], entry["text"]) for entry in comments] == [
        ("operator", "We are looking."),
        ("key_1", BODIES["comment_on_break"]["text"]),
    ]
    for hidden in ("under review", "ben"):
        assert hidden not in answer["body"]


def test_an_assignment_is_the_merchants_and_not_the_operators(application: Application) -> None:
    """Fails when one side takes the case from the other's person, or sees who that is."""
    a_case(application)
    store = CaseStore(application.database)
    store.assign(ID, "ben", by="operator:ina", at_ms=5)
    before = store.get(ID)
    answer = get(application, "assign_break")
    assert (answer["statusCode"], document(answer)["assignee"]) == (201, "anna")
    after = store.get(ID)
    assert (after.assignee, after.merchant_assignee, after.version) == ("ben", "anna", before.version + 1)
    assert after.updated_at_ms == before.updated_at_ms
    # The same person again changes nothing.
    get(application, "assign_break", key="another-key-of-16")
    assert store.get(ID).version == after.version
    changes = document(get(application, "get_break_history"))["data"]
    assert [(entry["change"], entry["by"], entry["note"]) for entry in changes] == [
        ("found", "reconciliation", None),
        ("assigned", "key_1", "to anna"),
    ]
    assert document(get(application))["assignee"] == "anna"


@pytest.mark.parametrize("operation", ["list_breaks", *BREAK_ROUTES])
def test_an_answer_is_what_the_document_says(application: Application, operation: str) -> None:
    """Fails when a member is added, renamed or null on one side alone."""
    case = a_case(application, why="The answer was lost.")
    if operation != "match_breaks":  # which waits for corrections under way
        store_proposal(application.database, case)
    CaseStore(application.database).comment(
        ID, "com_1", text="We are looking.", by="operator:ben", at_ms=1, visibility=Visibility.MERCHANT
    )
    if operation in ("unmatch_breaks", "list_break_matches"):
        rows = (RowRef("ledger", "je_1"), RowRef("gateway", "bank|t1"))
        match = Match(match_id=MATCH_ID, rows=rows, reason="seen", by="key_1", at_ms=1)
        application.database.write(MatchStore(application.database).writes_of(match, [case], merchant_id="mer_1"))
    answer = get(application, operation)
    (name,) = set(ROUTES[operation].answers.values())
    schema = {"$ref": f"#/components/schemas/{name}", "components": build_openapi()["components"]}
    assert answer["statusCode"] in ROUTES[operation].answers
    jsonschema_rs.validate(schema, document(answer))
    if operation == "list_breaks":
        assert len(document(answer)["data"]) == 1


def test_a_dismissal_is_seen_and_the_operators_reason_is_not(application: Application) -> None:
    """Fails when an operator's note is shown as if it were the merchant's own."""
    a_case(application, break_class=BreakClass.DOUBLE_CHARGE)
    CaseStore(application.database).dismiss(ID, reason="a known regular", by="operator:ina", at_ms=9)
    answer = get(application, "get_break_history")
    (dismissed,) = [entry for entry in document(answer)["data"] if entry["change"] == "dismissed"]
    assert (dismissed["by"], dismissed["note"]) == ("operator", None)
    assert "a known regular" not in answer["body"]
    assert document(get(application))["status"] == "dismissed"
    page = document(call(application, "list_breaks", None, query={"status": "dismissed"}))
    assert [view["id"] for view in page["data"]] == [ID]


def test_who_acts_must_be_known(application: Application) -> None:
    a_case(application)
    for operation in BODIES:
        assert get(application, operation, key_id="")["statusCode"] == 401
    assert CaseStore(application.database).get(ID).version == 1
