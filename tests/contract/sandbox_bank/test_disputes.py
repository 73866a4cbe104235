"""What is done in the gateway's dashboard, and disputes from their opening to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from payonce.reconciliation.readers.rows import RowKind

if TYPE_CHECKING:
    from tests.contract.sandbox_bank.conftest import Till

DAY_MS = 86_400_000


def act(till: Till, action: str, **values: Any) -> dict[str, Any]:
    return till.handle.dashboard(till.bank, action, **values)


def moved(till: Till) -> list[tuple[RowKind, str | None, int, int]]:
    return [(row.kind, row.reference, row.amount_minor, row.fee_minor) for row in till.report()]


CHARGE = (RowKind.CHARGE, "pay_1", 1_000, 39)
DISPUTE = (RowKind.DISPUTE, "pay_1", -1_000, 1_500)


@pytest.fixture(autouse=True)
def recorded(till: Till) -> None:
    """Let the bank record its events."""
    till.handle.send_events(till.bank, None)


def test_a_dispute_withdraws_money_and_fee_at_once(till: Till) -> None:
    """Fails when the money stays, the charge does not show it, or what is disputed can be refunded, too."""
    charge = till.charge("pay_1", 1_000)
    dispute = act(till, "dispute", reference="pay_1", reason="product_not_received")
    assert (dispute["status"], dispute["reason"]) == ("needs_response", "product_not_received")
    assert dispute["evidence_due_at_ms"] == dispute["opened_at_ms"] + 7 * DAY_MS
    assert moved(till) == [CHARGE, DISPUTE]
    assert till.handle.charge(till.bank, charge["charge_id"])["disputes"] == [dispute]
    assert till.ask("GET", f"/disputes?charge_id={charge['charge_id']}")[1] == {"disputes": [dispute]}
    assert till.ask("GET", f"/disputes/{dispute['dispute_id']}")[1] == dispute
    refund = till.ask("POST", f"/charges/{charge['charge_id']}/refunds", {"reference": "ref_1", "amount_minor": 1})
    assert refund[0] == 409
    event = till.handle.events(till.bank)[-1]
    assert (event["type"], event["data"]["object"], event["data"]["object_id"], event["data"]["reference"]) == (
        "dispute.opened",
        "dispute",
        dispute["dispute_id"],
        "pay_1",
    )


@pytest.mark.parametrize(("returned", "fee_minor"), [(False, 0), (True, -1_500)])
def test_who_wins_gets_the_money_back(till: Till, returned: bool, fee_minor: int) -> None:
    """Fails when the money stays away, the fee comes back unasked, or the charge can't be refunded again."""
    charge = till.charge("pay_1", 1_000)
    dispute = act(till, "dispute", reference="pay_1")
    reviewed = act(till, "evidence", dispute_id=dispute["dispute_id"], text="signed for")
    assert (reviewed["status"], reviewed["evidence"]) == ("under_review", "signed for")
    till.handle.advance(till.bank, days=60)
    won = act(till, "win", dispute_id=dispute["dispute_id"], fee_returned=returned)
    assert (won["status"], won["closed_at_ms"] > won["opened_at_ms"]) == ("won", True)
    assert moved(till) == [CHARGE, DISPUTE, (RowKind.DISPUTE_REVERSAL, "pay_1", 1_000, fee_minor)]
    assert till.types() == ["payment.succeeded", "dispute.opened", "dispute.won"]
    assert till.follow_up("refunds", charge["charge_id"], "ref_1", 1_000)["status"] == "succeeded"


def test_who_loses_has_lost_it_already(till: Till) -> None:
    """Fails when losing takes the money a second time, or gives it back to be refunded."""
    charge = till.charge("pay_1", 1_000)
    dispute = act(till, "dispute", charge_id=charge["charge_id"], amount_minor=400, fee_minor=0)
    assert act(till, "lose", dispute_id=dispute["dispute_id"])["status"] == "lost"
    assert moved(till) == [CHARGE, (RowKind.DISPUTE, "pay_1", -400, 0)]
    path = f"/charges/{charge['charge_id']}/refunds"
    assert till.ask("POST", path, {"reference": "ref_1", "amount_minor": 601})[0] == 409
    assert till.ask("POST", path, {"reference": "ref_1", "amount_minor": 600})[0] == 201


def test_who_does_not_answer_is_reminded_and_loses(till: Till) -> None:
    """Fails when the time for evidence has no meaning, or the reminder comes too late to act."""
    till.charge("pay_1", 1_000)
    dispute = act(till, "dispute", reference="pay_1")
    till.handle.advance(till.bank, days=8)
    lost = till.ask("GET", f"/disputes/{dispute['dispute_id']}")[1]
    assert (lost["status"], lost["closed_at_ms"]) == ("lost", dispute["evidence_due_at_ms"])
    _, _, reminder, end = till.handle.events(till.bank)
    assert (reminder["type"], reminder["data"]["status"]) == ("dispute.evidence_due", "needs_response")
    assert reminder["created_at_ms"] == dispute["evidence_due_at_ms"] - DAY_MS
    assert end["type"] == "dispute.lost"


def test_who_answers_in_time_is_not_reminded(till: Till) -> None:
    """Fails when evidence does not stop the clock."""
    till.charge("pay_1", 1_000)
    dispute = act(till, "dispute", reference="pay_1")
    act(till, "evidence", dispute_id=dispute["dispute_id"], text="signed for")
    till.handle.advance(till.bank, days=30)
    assert till.ask("GET", f"/disputes/{dispute['dispute_id']}")[1]["status"] == "under_review"
    assert till.types() == ["payment.succeeded", "dispute.opened"]


def test_the_files_of_a_dispute_add_up(till: Till) -> None:
    """Fails when a dispute is in the report and not in what is paid out."""
    till.charge("pay_1", 10_000)
    dispute = act(till, "dispute", reference="pay_1", amount_minor=4_000)
    act(till, "win", dispute_id=dispute["dispute_id"])
    (payout,) = till.settle()
    assert payout["amount_minor"] == 10_000 - 165 - 1_500
    assert [line.amount_minor for each in till.statements() for line in each.lines] == [payout["amount_minor"]]


def test_a_refund_and_a_capture_made_elsewhere(till: Till) -> None:
    """Fails when what the dashboard did is not money, or has no reference of its own to be found by."""
    held = till.charge("pay_1", 1_000, capture="manual")
    capture = act(till, "capture", reference="pay_1", amount_minor=700)
    refund = act(till, "refund", reference="pay_1")
    assert refund["reference"].startswith("elsewhere-")
    assert [(row.reference, row.amount_minor) for row in till.report()] == [
        (capture["reference"], 700),
        (refund["reference"], -700),
    ]
    told = [(event["type"], event["data"]["payment_reference"]) for event in till.handle.events(till.bank)[1:]]
    assert told == [("capture.succeeded", "pay_1"), ("refund.succeeded", "pay_1")]
    charge = till.handle.charge(till.bank, held["charge_id"])
    assert (charge["captured_minor"], charge["refunded_minor"]) == (700, 700)
    assert till.operation(refund["reference"])["charge_id"] == held["charge_id"]


def test_a_cancellation_made_elsewhere(till: Till) -> None:
    """Fails when what waits or is authorised can't be ended in the dashboard."""
    till.pay("tok_3ds")
    assert act(till, "cancel", reference="pay_1")["kind"] == "cancellation"
    assert till.status() == ("canceled", None)
    held = till.charge("pay_2", 1_000, capture="manual")
    assert act(till, "cancel", reference="pay_2")["kind"] == "void"
    assert till.handle.charge(till.bank, held["charge_id"])["voided"] == 1
    assert till.types()[-1] == "payment.canceled"


def test_the_payers_answer_without_the_page(till: Till) -> None:
    """Fails when a test has to speak HTML."""
    till.pay("tok_3ds")
    assert act(till, "answer", reference="pay_1", answer="approve")["status"] == "succeeded"


def test_a_reversal_by_the_payers_bank(till: Till) -> None:
    """Fails when more is reversed than is left, or a part is taken for the whole."""
    started = till.pay("tok_debit")
    till.handle.advance(till.bank, days=2)
    act(till, "reverse", reference="pay_1", amount_minor=300)
    with pytest.raises(HTTPError, match="409"):
        act(till, "reverse", reference="pay_1", amount_minor=701)
    act(till, "reverse", reference="pay_1")
    assert till.handle.charge(till.bank, started["charge_id"])["reversed_minor"] == 1_000
    amounts = [event["data"]["amount_minor"] for event in till.handle.events(till.bank)[2:]]
    assert amounts == [300, 700]


@pytest.mark.parametrize(
    ("status", "action", "values"),
    [
        (400, "explode", {}),
        (400, "refund", {"reference": "pay_1", "colour": "red"}),
        (400, "win", {}),
        (404, "refund", {"reference": "nothing"}),
        (404, "win", {"dispute_id": "dp_00"}),
        (409, "refund", {"reference": "held_1"}),
        (409, "answer", {"reference": "pay_1", "answer": "approve"}),
        (409, "dispute", {"reference": "pay_1", "amount_minor": 1_001}),
        (409, "dispute", {"reference": "held_1"}),
        (409, "reverse", {"reference": "held_1"}),
        (409, "cancel", {"reference": "pay_1"}),
    ],
)
def test_an_action_that_makes_no_sense_is_refused_and_changes_nothing(
    till: Till, status: int, action: str, values: dict[str, Any]
) -> None:
    """Fails when a mistake in a test or a demo passes for something that was done."""
    till.charge("pay_1", 1_000)
    till.charge("held_1", 1_000, capture="manual")
    before = (till.report(), till.types())
    with pytest.raises(HTTPError, match=str(status)):
        act(till, action, **values)
    assert (till.report(), till.types()) == before


@pytest.mark.parametrize("action", ["evidence", "win", "lose"])
def test_a_closed_dispute_is_not_opened_again(till: Till, action: str) -> None:
    """Fails when a dispute can be decided twice, and its money comes back twice."""
    till.charge("pay_1", 1_000)
    dispute = act(till, "dispute", reference="pay_1")
    act(till, "lose", dispute_id=dispute["dispute_id"])
    values = {"text": "late"} if action == "evidence" else {}
    with pytest.raises(HTTPError, match="409"):
        act(till, action, dispute_id=dispute["dispute_id"], **values)
