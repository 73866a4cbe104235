"""The merchants' routes of corrections: two persons, one decision, and the same answer however often it is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.domain.errors import StoreUnavailable
from payonce.payments.corrective_plan import correction_key
from payonce.ports import Adjust, Table
from tests.support.breaks import TOKEN, store_break, store_proposal
from tests.support.events import call
from tests.support.recovery import recover

if TYPE_CHECKING:
    from payonce.corrections.record import Correction
    from payonce.wiring.application import Application

ID = "brk_" + "b7" * 32
PAYMENT_ID = "pay_00000000000000000000000001"
SEEN = {"proposal_version": 1}
HALF = {**SEEN, "amount_minor": 500}
ANN, BEN = "key_1/ann", "key_2/ben"
KEYS = iter(f"one-more-key-{number:04d}" for number in range(10_000))


def document(answer: dict[str, Any]) -> Any:
    return json.loads(answer["body"])


def a_proposal(application: Application, **values: Any) -> Correction:
    case = store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID)
    return store_proposal(application.database, case, **values)


def ask(application: Application, what: str, body: Any = SEEN, by: str = "key_1", **options: Any) -> dict[str, Any]:
    """Ask under a new key, unless one is given."""
    key = options.pop("key", None) or next(KEYS)
    return call(application, f"{what}_correction", body, path={"break_id": ID}, key_id=by, key=key, **options)


def stored(application: Application) -> Correction:
    found = application.corrections.find(Identity("mer_1", PAYMENT_ID, ID))
    assert found is not None
    return found


def test_a_correction_is_shown_without_what_only_programs_need(application: Application) -> None:
    a_proposal(application)
    answer = ask(application, "get", None)
    view = document(answer)
    assert (view["status"], view["amount_minor"], view["proposal_version"]) == ("awaiting_approval", 1050, 1)
    assert (view["proposed_by"], view["decided_by"]) == ("reconciliation", None)
    shown = call(application, "get_break", None, path={"break_id": ID})
    assert document(shown)["correction"] == view
    for body in (answer["body"], shown["body"]):
        assert TOKEN not in body


def test_the_history_tells_the_steps_of_the_correction(application: Application) -> None:
    """Fails when a step is left out, or how it ended, which its log does not have."""
    a_proposal(application)
    application.clock.ms += 1000  # type: ignore[attr-defined]
    ask(application, "propose", HALF, by=ANN)
    application.clock.ms += 1000  # type: ignore[attr-defined]
    ask(application, "approve", {"proposal_version": 2}, by=BEN)
    ended = {"correction_status": "corrected", "outcome": "executed", "updated_at_ms": application.clock.now_ms() + 9}
    key = correction_key("mer_1", PAYMENT_ID, ID)
    application.database.write([Adjust(table=Table.PAYMENTS, key=key, set=ended)])
    history = document(call(application, "get_break_history", None, path={"break_id": ID}))["data"]
    steps = [entry for entry in history if entry["object"] == "correction_step"]
    assert [(step["status"], step["proposal_version"], step["by"], step["outcome"]) for step in steps] == [
        ("awaiting_approval", 2, ANN, None),
        ("approved", 2, BEN, None),
        ("corrected", 2, BEN, "executed"),
    ]
    assert [entry["at_ms"] for entry in history] == sorted(entry["at_ms"] for entry in history)


def test_a_break_without_a_correction_says_so(application: Application) -> None:
    store_break(application.database, "mer_1", ID, application.clock.now_ms(), PAYMENT_ID)
    for what, body in (("get", None), ("approve", SEEN), ("reject", SEEN), ("propose", HALF)):
        answer = ask(application, what, body)
        assert (answer["statusCode"], "no correction" in answer["body"]) == (404, True)


def test_a_proposal_and_its_approval_by_another_key(application: Application) -> None:
    """Fails when the actor is not the API key's id, or who proposed may approve."""
    a_proposal(application)
    proposed = ask(application, "propose", HALF, by=ANN)
    assert proposed["statusCode"] == 201
    assert proposed["headers"]["Location"] == f"/breaks/{ID}/correction"
    assert (document(proposed)["proposed_by"], document(proposed)["proposal_version"]) == (ANN, 2)
    for what in ("approve", "reject"):
        own = ask(application, what, {"proposal_version": 2}, by=ANN)
        assert (own["statusCode"], document(own)["type"]) == (403, "urn:payonce:problem:self-approval")
    old = ask(application, "approve", SEEN, by=BEN)
    assert (old["statusCode"], document(old)["type"]) == (409, "urn:payonce:problem:correction-state")
    assert "version 2" in document(old)["detail"]
    approved = ask(application, "approve", {"proposal_version": 2}, by=BEN)
    assert (approved["statusCode"], document(approved)["status"]) == (200, "approved")
    assert (document(approved)["decided_by"], document(approved)["amount_minor"]) == (BEN, 500)


@pytest.mark.parametrize(
    ("maker", "checker"), [("key_1", "key_2"), (ANN, "key_2"), ("key_1", BEN), (ANN, "key_3/Ann"), (ANN, "key_3/ann")]
)
def test_two_keys_that_may_be_one_persons_are_one_person(application: Application, maker: str, checker: str) -> None:
    """Fails when a key without a holder counts as a person: whoever has two keys would be maker and checker."""
    a_proposal(application)
    assert ask(application, "propose", HALF, by=maker)["statusCode"] == 201
    for what in ("approve", "reject"):
        answer = ask(application, what, {"proposal_version": 2}, by=checker)
        assert (answer["statusCode"], document(answer)["type"]) == (403, "urn:payonce:problem:self-approval")
    assert stored(application).status is CorrectionStatus.AWAITING_APPROVAL
    assert ask(application, "approve", {"proposal_version": 2}, by=BEN)["statusCode"] == (200 if maker == ANN else 403)


def test_a_programs_proposal_needs_one_person(application: Application) -> None:
    """Fails when a key has to name its holder where there is nobody whom it could be taken for."""
    a_proposal(application)
    assert ask(application, "approve", by="key_2")["statusCode"] == 200


@pytest.mark.parametrize("what", ["approve", "reject"])
def test_a_decision_again_is_the_same_answer(application: Application, what: str) -> None:
    """Under its key it is a replay, under another one a no-op. Fails when the second is refused or decides again."""
    a_proposal(application)
    first = ask(application, what, key="the-first-key-16")
    revision = stored(application).revision
    replay = ask(application, what, key="the-first-key-16")
    other_key = ask(application, what)
    assert [answer["statusCode"] for answer in (first, replay, other_key)] == [200] * 3
    assert first["body"] == replay["body"] == other_key["body"]
    assert (replay["headers"]["Idempotency-Replayed"], other_key["headers"]["Idempotency-Replayed"]) == (
        "true",
        "false",
    )
    assert stored(application).revision == revision
    # The workflow is woken again, since the first time may not have reached it.
    assert application.workflows.woken == [TOKEN] * 2  # type: ignore[attr-defined]
    others = "reject" if what == "approve" else "approve"
    for operation, by in ((what, "key_2"), (others, "key_1"), (others, "key_2")):
        assert ask(application, operation, by=by)["statusCode"] == 409
    assert ask(application, "propose", HALF)["statusCode"] == 409
    assert stored(application).revision == revision


def test_a_proposal_again_is_the_same_proposal(application: Application) -> None:
    """Fails when a retry under a new key, which the claim can't know, makes one version more."""
    a_proposal(application)
    first = ask(application, "propose", HALF)
    again = ask(application, "propose", HALF)
    assert (again["statusCode"], again["body"]) == (201, first["body"])
    assert ask(application, "propose", {**SEEN, "amount_minor": 400})["statusCode"] == 409
    assert ask(application, "propose", HALF, by="key_2")["statusCode"] == 409
    assert stored(application).proposal_version == 2
    too_much = ask(application, "propose", {"proposal_version": 2, "amount_minor": 501})
    assert (too_much["statusCode"], "1 to 500" in too_much["body"]) == (409, True)


def test_of_two_proposals_at_once_one_is_made(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other comes between look and change. Fails when the version is compared with what was looked at alone."""
    before = a_proposal(application)
    application.corrections.propose(Identity("mer_1", PAYMENT_ID, ID), amount_minor=400, actor="key_2")
    monkeypatch.setattr(application.corrections, "find", lambda _identity: before)
    assert ask(application, "propose", HALF)["statusCode"] == 409
    monkeypatch.undo()
    assert (stored(application).proposed_by, stored(application).amount_minor) == ("key_2", 400)


def test_too_late_is_a_conflict(application: Application) -> None:
    a_proposal(application, expires_at_ms=application.clock.now_ms() - 1)
    answer = ask(application, "approve")
    assert (answer["statusCode"], "too late" in answer["body"]) == (409, True)
    assert stored(application).status is CorrectionStatus.EXPIRED


@pytest.mark.parametrize(("what", "body"), [("approve", SEEN), ("reject", SEEN), ("propose", HALF)])
def test_a_decision_whose_answer_was_not_committed_is_answered_by_the_retry(
    application: Application, monkeypatch: pytest.MonkeyPatch, what: str, body: Any
) -> None:
    """Killed between decision and commit. Fails when recovery keeps the claim, or the retry decides anew or refuses."""
    a_proposal(application)

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(application.engine._conclude, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            ask(application, what, body, key="the-killed-key16")
    decided = stored(application)
    assert decided.revision == 2
    application.clock.ms += 120_000  # type: ignore[attr-defined]
    report = recover(application)
    assert (report.concluded, report.failed) == (1, 0)
    answer = ask(application, what, body, key="the-killed-key16")
    assert answer["statusCode"] in (200, 201), answer["body"]
    assert stored(application) == decided
    assert document(answer)["proposal_version"] == decided.proposal_version


def test_a_store_that_does_not_answer_decides_nothing(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_proposal(application)
    write = application.database.write

    def fails(writes: Any) -> None:
        if writes[0].table is Table.PAYMENTS:
            raise StoreUnavailable("The database does not answer.")
        write(writes)

    with monkeypatch.context() as patched:
        patched.setattr(application.database, "write", fails)
        assert ask(application, "approve", key="the-first-key-16")["statusCode"] == 503
    assert ask(application, "approve", key="the-first-key-16")["statusCode"] == 200
