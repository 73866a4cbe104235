"""Who proposed, approved, rejected, resumed, dismissed, commented or overrode, and who tried: in the audit export.

What an application records of people follows OWASP's list (when, who, what, on what, with what result):
https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html#event-attributes
"""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import audit, breaks, corrections
from payonce.cli import main as cli
from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.domain.errors import BodyMalformed
from payonce.entrypoints.authorizer import authorize
from payonce.entrypoints.claim_stream import serve_audit
from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_queue import MemoryQueue
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.breaks import store_break, store_proposal
from tests.support.events import Context, call
from tests.support.events import event as event_of
from tests.support.stream import StreamingDatabase
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from payonce.corrections.record import Correction

ID = "brk_" + "b7" * 32
PAYMENT_ID = "pay_00000000000000000000000001"
IDENTITY = Identity("mer_1", PAYMENT_ID, ID)
ANN, BOB = "key_ann/ann", "key_bob/bob"
KEYS = iter(f"one-more-key-{number:04d}" for number in range(10_000))


@pytest.fixture
def application() -> Application:
    """The wired application in memory, whose idempotency table has a stream."""
    clock = ManualClock()
    return Application(
        load_settings({}),
        clock=clock,
        database=StreamingDatabase(clock),
        gateways={"bank": ScriptedGateway(clock)},
        cipher=MemoryCipher(clock, os.urandom),
        delivery_queue=MemoryQueue(),
        workflows=MemoryWorkflows(),
        files=MemoryFiles(),
    )


@pytest.fixture
def run(application: Application, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; return (exit code, standard output, standard error)."""
    for module in (corrections, breaks, audit):
        monkeypatch.setattr(module, "application_of", lambda *_: application)

    def command(*arguments: str) -> tuple[int, str, str]:
        application.clock.ms += 1  # type: ignore[attr-defined]
        capsys.readouterr()  # what the application has logged
        code = cli.main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def a_proposal(application: Application, **values: Any) -> Correction:
    case = store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID)
    return store_proposal(application.database, case, **values)


def ask(application: Application, what: str, body: Any, by: str, key: str | None = None) -> dict[str, Any]:
    return call(application, what, body, path={"break_id": ID}, key_id=by, key=key or next(KEYS))


def exported(application: Application, run: Any) -> list[dict[str, Any]]:
    """Read the stream, and export the day."""
    assert isinstance(application.database, StreamingDatabase)
    assert serve_audit({"Records": application.database.stream}, application.audit_trail) == {"batchItemFailures": []}
    code, out, _ = run("audit", "export", "--from", "2027-01-01", "--to", "2027-02-01")
    assert code == 0
    return [json.loads(line) for line in io.StringIO(out)]


def test_the_export_names_the_keys_that_proposed_approved_and_commented(application: Application, run: Any) -> None:
    """Fails when a claim does not say who asked: each line would name the program."""
    a_proposal(application)
    ask(application, "comment_on_break", {"text": "two orders?"}, ANN)
    ask(application, "propose_correction", {"amount_minor": 500, "proposal_version": 1}, ANN)
    refused = ask(application, "approve_correction", {"proposal_version": 2}, ANN)
    assert refused["statusCode"] == 403
    assert ask(application, "approve_correction", {"proposal_version": 2}, BOB)["statusCode"] == 200
    lines = {(row["operation"], row["transition"], row["principal"]) for row in exported(application, run)}
    assert lines == {
        ("comment_on_break", "claimed", ANN),
        ("comment_on_break", "completed", ANN),
        ("propose_correction", "claimed", ANN),
        ("propose_correction", "completed", ANN),
        ("approve_correction", "claimed", ANN),
        ("approve_correction", "released", ANN),
        ("approve_correction", "claimed", BOB),
        ("approve_correction", "completed", BOB),
    }


def test_the_export_names_the_operators_that_decided_and_those_that_were_refused(
    application: Application, run: Any
) -> None:
    """Fails when only what goes through a claim is in the trail: the operator's commands make none."""
    a_proposal(application)
    assert run("corrections", "propose", ID, "--amount", "500", "--version", "1", "--operator", "Ann")[0] == 0
    assert run("corrections", "approve", ID, "--version", "2", "--operator", "ann")[0] == 2
    assert run("corrections", "reject", ID, "--version", "1", "--operator", "bob")[0] == 2
    assert run("corrections", "approve", ID, "--version", "2", "--operator", "bob")[0] == 0
    assert run("corrections", "reject", ID, "--version", "2", "--operator", "cleo")[0] == 2
    assert run("breaks", "comment", ID, "looks right", "--operator", "cleo")[0] == 0
    assert run("breaks", "assign", ID, "bob", "--operator", "cleo")[0] == 0
    assert run("breaks", "dismiss", ID, "two sales", "--operator", "cleo")[0] == 2
    rows = exported(application, run)
    assert [(row["operation"], row["transition"], row["principal"]) for row in rows] == [
        ("propose_correction", "acted", "operator:ann"),
        ("approve_correction", "refused", "operator:ann"),
        ("reject_correction", "refused", "operator:bob"),
        ("approve_correction", "acted", "operator:bob"),
        ("reject_correction", "refused", "operator:cleo"),
        ("comment_break", "acted", "operator:cleo"),
        ("assign_break", "acted", "operator:cleo"),
        ("dismiss_break", "refused", "operator:cleo"),
    ]
    assert "looks right" not in json.dumps(rows)


def test_the_history_tells_who_tried_what_and_when(application: Application, run: Any) -> None:
    """Fails when a refused attempt leaves no trace where the correction is looked at."""
    a_proposal(application, proposed_by=ANN)
    assert ask(application, "approve_correction", {"proposal_version": 1}, ANN)["statusCode"] == 403
    assert ask(application, "reject_correction", {"proposal_version": 7}, BOB)["statusCode"] == 409
    application.clock.ms += 3_600_001  # type: ignore[attr-defined]
    late = application.clock.now_ms() + 1
    assert run("corrections", "approve", ID, "--version", "1", "--operator", "cleo")[0] == 2
    history = json.loads(call(application, "get_break_history", None, path={"break_id": ID})["body"])["data"]
    tried = [entry for entry in history if entry["object"] == "correction_attempt"]
    assert [(entry["command"], entry["refused"], entry["by"]) for entry in tried] == [
        ("approve", True, ANN),
        ("reject", True, BOB),
        ("approve", True, "operator"),
    ]
    assert tried[-1]["at_ms"] == late
    assert "came too late" in tried[-1]["text"]
    out = run("corrections", "show", ID)[1]
    assert "refused  operator:cleo  The correction is expired: the decision came too late" in out
    assert f"refused  {ANN}  You proposed this correction" in out


def test_who_resumes_is_named(application: Application, run: Any) -> None:
    a_proposal(application, status=CorrectionStatus.REJECTED)
    assert run("corrections", "resume", ID, "--operator", "ann")[0] == 0
    assert f"resume            made  operator:ann  execution {ID}-2" in run("corrections", "show", ID)[1]
    (row,) = exported(application, run)
    assert (row["operation"], row["transition"], row["principal"]) == ("resume_correction", "acted", "operator:ann")


def test_who_resumes_in_vain_is_named(application: Application, run: Any) -> None:
    a_proposal(application, status=CorrectionStatus.MANUAL)
    assert run("corrections", "resume", ID, "--operator", "ann")[0] == 2
    (row,) = exported(application, run)
    assert (row["operation"], row["transition"], row["principal"]) == ("resume_correction", "refused", "operator:ann")


def test_who_dismisses_is_named_and_so_is_who_may_not(application: Application, run: Any) -> None:
    store_break(
        application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID, break_class=BreakClass.DOUBLE_CHARGE
    )
    assert run("breaks", "dismiss", ID, "two sales", "--operator", "ann")[0] == 0
    assert run("breaks", "dismiss", ID, "again", "--operator", "bob")[0] == 2
    acted = {(row["transition"], row["principal"], row["reason"][:9]) for row in exported(application, run)}
    assert acted == {("acted", "operator:ann", "two sales"), ("refused", "operator:bob", "The break")}
    assert "refused    operator:bob dismiss: The break is dismissed" in run("breaks", "show", ID)[1]


@pytest.mark.parametrize("spelled", ["ANN", " ann ", "\uff41nn", "Ann"])
def test_a_person_is_one_however_the_name_is_written(application: Application, run: Any, spelled: str) -> None:
    """Fails when names are compared as they are typed: one person would be two, and approve its own proposal."""
    a_proposal(application)
    assert run("corrections", "propose", ID, "--amount", "500", "--version", "1", "--operator", spelled)[0] == 0
    code, _, err = run("corrections", "approve", ID, "--version", "2", "--operator", "ann")
    assert (code, "Somebody else" in err) == (2, True)


@pytest.mark.parametrize("spelled", ["ann\u200b", "\u202eann", "a\u00adnn", "ann\x00", "\u0430nn"])
def test_a_name_that_could_pass_for_another_is_refused(application: Application, run: Any, spelled: str) -> None:
    a_proposal(application, proposed_by="operator:ann")
    code, _, err = run("corrections", "approve", ID, "--version", "1", "--operator", spelled)
    assert (code, "can't be seen" in err or "look alike" in err) == (2, True)
    for command in (["comment", ID, "text"], ["assign", ID, "bob"], ["dismiss", ID, "why"]):
        assert run("breaks", *command, "--operator", spelled)[0] == 2
    assert application.corrections.load(IDENTITY).status is CorrectionStatus.AWAITING_APPROVAL


def test_names_that_came_another_way_are_compared_as_people(application: Application) -> None:
    """Fails when the comparison trusts that every name was folded where it entered."""
    from payonce.domain.errors import SelfApprovalRefused

    a_proposal(application, proposed_by="operator:ann\u200b")
    with pytest.raises(SelfApprovalRefused):
        application.corrections.approve(IDENTITY, proposal_version=1, actor="operator:Ann")


def test_two_keys_of_one_holder_are_one_person(application: Application, run: Any) -> None:
    """Fails when a key is all that is known of a person: whoever has two would approve its own proposals."""
    merchant_id = application.merchants.create_merchant("a shop")
    principals = []
    for holder in ("Ann", "\uff41nn", "bob"):
        _, api_key = application.merchants.create_api_key(merchant_id, holder=holder)
        event = {"authorizationToken": f"Bearer {api_key}", "methodArn": "arn:aws:execute-api:x:1:api/stage/GET/"}
        principals.append(authorize(application.merchants, event))
    a_proposal(application)

    def decide(number: int, what: str, body: Any) -> int:
        made = event_of(body, path={"break_id": ID}, key_id=principals[number]["principalId"], key=next(KEYS))
        made["requestContext"]["authorizer"]["holder"] = principals[number]["context"]["holder"]
        return int(serve(ROUTES[what], application, made, Context())["statusCode"])

    assert decide(0, "propose_correction", {"amount_minor": 500, "proposal_version": 1}) == 201
    assert decide(1, "approve_correction", {"proposal_version": 2}) == 403
    assert decide(2, "approve_correction", {"proposal_version": 2}) == 200
    stored = application.corrections.load(IDENTITY)
    assert (stored.proposed_by, stored.decided_by) == (
        f"{principals[0]['principalId']}/ann",
        f"{principals[2]['principalId']}/bob",
    )
    assert {row["principal"].partition("/")[2] for row in exported(application, run)} == {"ann", "bob"}


@pytest.mark.parametrize("name", ["ann\u200b", "\u202eann", "ann\x07"])
def test_no_key_and_no_merchant_has_a_name_that_can_not_be_seen(application: Application, name: str) -> None:
    merchant_id = application.merchants.create_merchant("a shop")
    with pytest.raises(BodyMalformed):
        application.merchants.create_api_key(merchant_id, holder=name)
    with pytest.raises(BodyMalformed):
        application.merchants.create_merchant(name)


def test_who_takes_a_claim_over_carries_on_what_the_first_key_asked(
    application: Application, monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    """Fails when the decision is that of whoever sends the request again: with another key it would be a second
    person's, about what the first one has approved.
    """
    a_proposal(application)
    wake = application.workflows.decided  # type: ignore[attr-defined]

    def died(_token: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(application.workflows, "decided", died)
    with pytest.raises(KeyboardInterrupt):
        ask(application, "approve_correction", {"proposal_version": 1}, "key_ann", key="the-first-key-16")
    monkeypatch.setattr(application.workflows, "decided", wake)
    application.clock.ms += 60_000  # type: ignore[attr-defined]
    again = ask(application, "approve_correction", {"proposal_version": 1}, "key_bob", key="the-first-key-16")
    assert (again["statusCode"], json.loads(again["body"])["decided_by"]) == (200, "key_ann")
    rows = exported(application, run)
    assert {(row["transition"], row["principal"]) for row in rows} == {
        ("claimed", "key_ann"),
        ("taken_over", "key_ann"),
        ("completed", "key_ann"),
    }


def test_refused_attempts_without_end_are_counted_and_not_kept(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when somebody can make the trail of a correction larger than an item may be."""
    from payonce.corrections import trail
    from payonce.domain.errors import CorrectionStateConflict

    monkeypatch.setattr(trail, "MAX_ENTRIES", 5)
    a_proposal(application)
    for _ in range(9):
        with pytest.raises(CorrectionStateConflict):
            application.corrections.approve(IDENTITY, proposal_version=9, actor="key_ann")
    assert len(application.corrections.trail(IDENTITY)) == 5
