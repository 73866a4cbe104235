"""The merchants' routes of matches by hand: of its own breaks, once, attributed, and taken back once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.corrections.record import CorrectionStatus
from payonce.payments.corrective_plan import case_key
from payonce.ports import Adjust, Table
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.manual import RowRef
from payonce.reconciliation.model import Evidence, Source
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.breaks import store_break, store_proposal
from tests.support.events import call

if TYPE_CHECKING:
    from payonce.reconciliation.cases.case import Case
    from payonce.wiring.application import Application

ONE, OTHER, THIRD = (f"brk_{number:064x}" for number in (1, 2, 3))
REASON = "It is one order."
BODY = {"break_ids": [OTHER], "reason": REASON}
KEYS = iter(f"a-key-of-matches-{number:04d}" for number in range(1_000))


def document(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


def a_break(application: Application, break_id: str, row: str, merchant_id: str = "mer_1", **values: Any) -> Case:
    """Store a break that is about one row."""
    source = Source.LEDGER if row.startswith("je_") else Source.GATEWAY
    one_sided = BreakClass.MISSING_IN_GATEWAY if source is Source.LEDGER else BreakClass.MISSING_IN_LEDGER
    values = {"break_class": one_sided, "subject": ("bank", row), **values}
    evidence = (Evidence(source=source, row_key=row, fields={"amount_minor": 1050}),)
    number = int(break_id[4:], 16)
    return store_break(
        application.database,
        merchant_id,
        break_id,
        application.clock.now_ms(),
        f"pay_{number:026d}",
        evidence=evidence,
        **values,
    )


def two(application: Application) -> None:
    a_break(application, ONE, "je_7")
    a_break(application, OTHER, "bank|t9")


def ask(application: Application, operation: str, body: Any, **options: Any) -> dict[str, Any]:
    path = {"break_id": options.pop("break_id", ONE), "match_id": options.pop("match_id", "mat_" + "0" * 64)}
    return call(application, operation, body, path=path, key=options.pop("key", next(KEYS)), **options)


def test_a_match_is_made_once_and_said_to_whoever_reads_the_break(application: Application) -> None:
    """Fails when a repeated request makes another match, it is not attributed, or the break does not tell of it."""
    two(application)
    made = ask(application, "match_breaks", BODY, key="the-same-key-again", key_id="key_anna")
    again = ask(application, "match_breaks", BODY, key="the-same-key-again", key_id="key_anna")
    assert (made["statusCode"], again["body"]) == (201, made["body"])
    view = document(made)
    assert (view["by"], view["reason"], view["break_ids"], view["taken_back"]) == (
        "key_anna",
        REASON,
        [ONE, OTHER],
        None,
    )
    [stored] = MatchStore(application.database).in_force()
    assert stored.rows == (RowRef("gateway", "bank|t9"), RowRef("ledger", "je_7"))
    assert (stored.match_id, stored.by, stored.reason) == (view["id"], "key_anna", REASON)
    for break_id in (ONE, OTHER):
        listed = document(call(application, "list_break_matches", None, path={"break_id": break_id}))
        assert listed["data"] == [view]
        case = CaseStore(application.database).get(break_id)
        assert (case.status, case.match_id) == (CaseStatus.OPEN, view["id"])
        assert [(e["change"], e["by"], e["note"]) for e in CaseStore(application.database).history(break_id)[1:]] == [
            ("matched", "key_anna", REASON)
        ]


def test_a_row_is_in_one_match(application: Application) -> None:
    """Fails when two matches can have one row, by the break or by another break that shows it."""
    two(application)
    a_break(application, THIRD, "je_7", subject=("bank", "again"))
    assert ask(application, "match_breaks", BODY)["statusCode"] == 201
    for break_id, other in ((ONE, OTHER), (THIRD, OTHER), (THIRD, THIRD)):
        refused = ask(application, "match_breaks", {**BODY, "break_ids": [other]}, break_id=break_id)
        assert refused["statusCode"] in (400, 409)
    a_break(application, f"brk_{4:064x}", "bank|t10")
    clash = ask(application, "match_breaks", {**BODY, "break_ids": [f"brk_{4:064x}"]}, break_id=THIRD)
    assert clash["statusCode"] == 409
    assert "ledger:je_7 belongs to the match" in document(clash)["detail"]
    assert len(MatchStore(application.database).in_force()) == 1


def test_others_breaks_are_not_matched(application: Application) -> None:
    """Fails when a merchant can match a break that is not its own, or learns that it is there."""
    a_break(application, ONE, "je_7")
    a_break(application, OTHER, "bank|t9", merchant_id="mer_2")
    answer = ask(application, "match_breaks", BODY)
    nothing = ask(application, "match_breaks", {**BODY, "break_ids": [THIRD]})
    assert answer["statusCode"] == nothing["statusCode"] == 404
    assert document(answer)["detail"].replace(OTHER, "") == document(nothing)["detail"].replace(THIRD, "")


def test_what_is_being_corrected_is_not_matched(application: Application) -> None:
    """Fails when a match is made while money may be on its way back for the break."""
    two(application)
    case = CaseStore(application.database).get(ONE)
    store_proposal(application.database, case)
    refused = ask(application, "match_breaks", BODY)
    assert refused["statusCode"] == 409
    assert "awaiting_approval" in document(refused)["detail"]
    third = a_break(application, THIRD, "je_8")
    store_proposal(application.database, third, status=CorrectionStatus.REJECTED)
    assert ask(application, "match_breaks", BODY, break_id=THIRD)["statusCode"] == 201


def test_only_what_is_about_belonging_together_is_matched(application: Application) -> None:
    """Fails when a wrong fee, a dispute or a closed break is matched away."""
    two(application)
    a_break(application, THIRD, "je_8", break_class=BreakClass.FEE_MISMATCH)
    refused = ask(application, "match_breaks", BODY, break_id=THIRD)
    assert refused["statusCode"] == 400
    assert "fee_mismatch" in document(refused)["detail"]
    closed = {"case_status": CaseStatus.CLOSED.value}
    key = case_key(OTHER)
    application.database.write([Adjust(table=Table.RECONCILIATION, key=key, set=closed)])
    assert ask(application, "match_breaks", BODY)["statusCode"] == 409


def test_a_match_is_taken_back_once_and_both_records_stay(application: Application) -> None:
    """Fails when taking back deletes what was decided, can be done twice, or leaves the rows bound."""
    two(application)
    match_id = document(ask(application, "match_breaks", BODY))["id"]
    undone = ask(application, "unmatch_breaks", {"reason": "Two orders."}, match_id=match_id, key_id="key_ben")
    assert undone["statusCode"] == 201
    assert document(undone)["taken_back"]["by"] == "key_ben"
    assert ask(application, "unmatch_breaks", {"reason": "Again."}, match_id=match_id)["statusCode"] == 409
    store = MatchStore(application.database)
    assert store.in_force() == ()
    listed = document(call(application, "list_break_matches", None, path={"break_id": OTHER}))
    assert [(one["reason"], one["taken_back"]["reason"]) for one in listed["data"]] == [(REASON, "Two orders.")]
    assert CaseStore(application.database).get(ONE).match_id is None
    assert ask(application, "match_breaks", BODY)["statusCode"] == 201
    assert len(store.in_force()) == 1


def test_a_merchant_takes_back_only_its_own(application: Application) -> None:
    """Fails when a merchant can undo an operator's match, or reads the operator's note about it."""
    two(application)
    made = application.matches.match([ONE, OTHER], reason="internal", by="operator:anna", accept_difference=False)
    [view] = document(call(application, "list_break_matches", None, path={"break_id": ONE}))["data"]
    assert (view["by"], view["reason"], view["break_ids"]) == ("operator", None, [ONE])
    refused = ask(application, "unmatch_breaks", {"reason": "No."}, match_id=made.match_id)
    assert refused["statusCode"] == 404
