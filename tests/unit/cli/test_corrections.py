"""The operator's commands for corrections: two names, one decision, and what comes next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import corrections
from payonce.cli import main as cli
from payonce.corrections.policy import POLICY_FILE
from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.payments.corrective_plan import correction_key
from payonce.ports import Adjust, Table
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.support.breaks import store_break, store_proposal

if TYPE_CHECKING:
    from payonce.corrections.record import Correction
    from payonce.wiring.application import Application

ID = "brk_" + "b7" * 32
PAYMENT_ID = "pay_00000000000000000000000001"


@pytest.fixture
def run(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command on the application in memory; return (exit code, standard output, standard error)."""
    monkeypatch.setattr(corrections, "application_of", lambda *_: application)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["corrections", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def a_proposal(application: Application, **values: Any) -> Correction:
    case = store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID)
    return store_proposal(application.database, case, **values)


def stored(application: Application) -> Correction:
    return application.corrections.load(Identity("mer_1", PAYMENT_ID, ID))


def started(application: Application) -> list[tuple[str, int]]:
    assert isinstance(application.workflows, MemoryWorkflows)
    return application.workflows.started


def test_what_awaits_approval_is_listed_and_shown_with_what_comes_next(application: Application, run: Any) -> None:
    a_proposal(application)
    code, out, _ = run("list")
    assert (code, out.count(ID), "1050 EUR" in out, "next: payonce corrections show" in out) == (0, 1, True, True)
    code, out, _ = run("show", ID)
    assert f"payonce corrections approve {ID} --version 1 --operator NAME" in out
    assert "somebody else than reconciliation" in out
    assert run("list", "--status", "approved")[1] == "no correction is approved\n"


def test_who_proposed_can_not_approve_under_the_same_name(application: Application, run: Any) -> None:
    """Fails when the actor is the program or the process, and not the person that --operator names."""
    a_proposal(application)
    code, out, _ = run("propose", ID, "--amount", "500", "--version", "1", "--operator", "ann")
    assert (code, "version 2" in out, "somebody else than operator:ann" in out) == (0, True, True)
    code, _, err = run("approve", ID, "--version", "2", "--operator", " ann ")
    assert (code, "Somebody else" in err) == (2, True)
    assert stored(application).status is CorrectionStatus.AWAITING_APPROVAL
    code, _, err = run("approve", ID, "--version", "1", "--operator", "bob")
    assert (code, "version 2 by now" in err) == (2, True)
    for _ in range(2):
        code, out, _ = run("approve", ID, "--version", "2", "--operator", "bob")
        assert (code, "approved" in out, "workflow goes on" in out) == (0, True, True)
    assert stored(application).decided_by == "operator:bob"
    code, out, _ = run("approve", ID, "--version", "2", "--operator", "bob", "--json")
    assert json.loads(out)["decided_by"] == "operator:bob"
    assert isinstance(application.workflows, MemoryWorkflows)
    assert application.workflows.woken == ["token-of-the-workflow"] * 3


def test_nobody_is_no_operator(application: Application, run: Any) -> None:
    a_proposal(application)
    code, _, err = run("approve", ID, "--version", "1", "--operator", " ")
    assert (code, "name who you are" in err) == (2, True)


def test_what_was_rejected_is_begun_anew_by_people_alone(application: Application, run: Any) -> None:
    a_proposal(application)
    code, out, _ = run("reject", ID, "--version", "1", "--operator", "bob", "--json")
    rejected = json.loads(out)
    assert (code, rejected["status"], "resume" in rejected["next"]) == (0, "rejected", True)
    code, out, _ = run("resume", ID, "--json")
    assert (code, started(application)) == (0, [(ID, 2)])
    assert json.loads(out) == {"break_id": ID, "attempt": 2, "started": True}


def test_a_workflow_that_failed_is_started_again_under_another_name(application: Application, run: Any) -> None:
    """Fails when it is started under the attempt's own name, which Step Functions refuses for 90 days."""
    a_proposal(application)
    assert run("resume", ID)[0] == 0
    ((_, number),) = started(application)
    assert number == application.clock.now_ms() // 1000


@pytest.mark.parametrize("status", [CorrectionStatus.CORRECTED, CorrectionStatus.MANUAL])
def test_what_has_ended_is_not_resumed(application: Application, run: Any, status: CorrectionStatus) -> None:
    a_proposal(application, status=status)
    code, _, err = run("resume", ID)
    assert (code, status.value in err, started(application)) == (2, True, [])


def test_a_break_without_a_correction_says_so(application: Application, run: Any) -> None:
    store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID)
    code, _, err = run("show", ID)
    assert (code, "no correction" in err) == (2, True)
    assert run("show", "brk_unknown")[0] == 2


def test_a_workflow_that_failed_before_anything_was_stored_is_started_under_another_name(
    application: Application, run: Any
) -> None:
    """Fails when it is started as attempt 1: that name is taken by the one that failed, and nothing would start."""
    store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID)
    assert run("resume", ID)[0] == 0
    assert started(application) == [(ID, application.clock.now_ms() // 1000)]


def test_what_somebody_gave_back_by_hand_is_not_said_to_close_by_itself(application: Application, run: Any) -> None:
    """Fails when every correction is said to be proved by a run: the books lack this charge and its refund for ever."""
    a_proposal(application, status=CorrectionStatus.CORRECTED, outcome="already_given_back")
    assert "the break stays open" in run("show", ID)[1]


def test_what_failed_and_the_rest_of_what_was_given_back_in_part_are_resumed(
    application: Application, run: Any
) -> None:
    """Fails when a part is taken for the whole: nobody could give back the rest."""
    a_proposal(application, status=CorrectionStatus.CORRECTED, outcome="executed", amount_minor=700, surplus_minor=2011)
    _, out, _ = run("show", ID)
    assert "given back 700 of 2011, 1311 left" in out
    assert "700 of 2011 EUR are given back, and 1311 are not: the break stays open. The next run begins it anew" in out
    assert (run("resume", ID)[0], started(application)) == (0, [(ID, 2)])


def test_what_the_gateway_declined_is_resumed_by_people(application: Application, run: Any) -> None:
    a_proposal(application, status=CorrectionStatus.FAILED, outcome="declined")
    assert f"payonce corrections resume {ID} begins attempt 2" in run("show", ID)[1]
    assert (run("resume", ID)[0], started(application)) == (0, [(ID, 2)])


HELD = "The kill switch is set: nothing is executed until the policy says enabled = true."


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (CorrectionStatus.APPROVED, "It is approved: the workflow goes on by itself and executes it."),
        (CorrectionStatus.AWAITING_APPROVAL, "Somebody else than who proposed it approves or rejects it."),
        (CorrectionStatus.OPEN, "The workflow reads the gateway, and then the policy or a person decides."),
    ],
)
def test_show_says_what_does_not_happen_under_the_kill_switch(
    application: Application, run: Any, status: CorrectionStatus, text: str
) -> None:
    """Fails when what is approved is said to go on by itself, whatever the policy says."""
    a_proposal(application, status=status)
    assert f"next: {text}" in run("show", ID)[1]
    assert HELD not in run("show", ID)[1]
    set_policy(application, b"enabled = false")
    assert f"next: {text} {HELD}" in run("show", ID)[1]
    set_policy(application, b"enabled = perhaps")
    assert f"next: {text} The policy can't be read: nothing is decided or executed" in run("show", ID)[1]


def test_show_says_that_what_was_claimed_before_the_kill_switch_may_have_moved_money(
    application: Application, run: Any
) -> None:
    """Fails when the switch is said to stop what is at the gateway already."""
    correction = a_proposal(application, status=CorrectionStatus.APPROVED)
    key = correction_key(correction.merchant_id, correction.payment_id, ID)
    application.database.write([Adjust(table=Table.PAYMENTS, key=key, set={"claimed_attempt": 1})])
    set_policy(application, b"enabled = false")
    assert "next: Its money may have moved: the gateway is asked, and what it says is booked." in run("show", ID)[1]


def test_show_says_that_it_has_not_looked_at_the_kill_switch(
    application: Application, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a switch that can't be read passes for one that is not set. Then what the worker noted is said."""
    correction = a_proposal(application, status=CorrectionStatus.APPROVED)
    monkeypatch.delitem(application.__dict__, "files")
    assert "The kill switch was not looked at: name the bucket, PAYONCE_RECONCILIATION_BUCKET" in run("show", ID)[1]
    key = correction_key(correction.merchant_id, correction.payment_id, ID)
    application.database.write([Adjust(table=Table.PAYMENTS, key=key, set={"held_since_ms": 1})])
    assert HELD in run("show", ID)[1]


def test_show_says_that_what_nobody_decided_in_time_is_over(application: Application, run: Any) -> None:
    """Fails when a proposal that can't be approved any more is said to wait for somebody."""
    a_proposal(application, expires_at_ms=application.clock.now_ms() - 1)
    out = run("show", ID)[1]
    assert ("Nobody decided in time" in out, "corrections approve" in out) == (True, False)


def set_policy(application: Application, document: bytes) -> None:
    application.files.write(POLICY_FILE, document)
    application.__dict__.pop("_correction_policy", None)  # what another process reads anew, and this one within 15 s
