"""What people do about a break in the console: who may, what it changes, and that a form sent twice acts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.console.operators import Role
from payonce.corrections.record import CorrectionStatus
from payonce.corrections.workflow import Identity
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.cases.match_store import MatchStore
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.breaks import TOKEN, evidence_of, store_break, store_proposal
from tests.support.console import Browser, operator_key
from tests.support.events import call

if TYPE_CHECKING:
    from payonce.corrections.record import Correction
    from payonce.reconciliation.cases.case import Case
    from payonce.wiring.application import Application
    from tests.support.console import Seen

ID, OTHER_ID, GROUP_ID = "brk_" + "b7" * 32, "brk_" + "c8" * 32, "brk_" + "d9" * 32
PAYMENT_ID, OTHER_PAYMENT_ID = "pay_00000000000000000000000001", "pay_00000000000000000000000002"
PAGE = f"/breaks/{ID}"


class Desk:
    """Two approvers, an operator and a viewer of the platform, and a merchant with a break."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.merchant_id = application.merchants.create_merchant("Acme")
        self.people: dict[str, Browser] = {}

    def person(self, name: str, role: Role = Role.APPROVER, *, bound: bool = False) -> Browser:
        if name not in self.people:
            browser = Browser(self.application)
            key = operator_key(self.application, name, role, self.merchant_id if bound else None)
            assert browser.sign_in(key).status == 303
            self.people[name] = browser
        return self.people[name]

    def break_(self, break_id: str = ID, payment_id: str = PAYMENT_ID, **values: Any) -> Case:
        now_ms = self.application.clock.now_ms()
        return store_break(self.application.database, self.merchant_id, break_id, now_ms, payment_id, **values)

    def proposal(self, **values: Any) -> Correction:
        return store_proposal(self.application.database, self.break_(), **values)

    def correction(self) -> Correction:
        return self.application.corrections.load(Identity(self.merchant_id, PAYMENT_ID, ID))

    def send(self, browser: Browser, what: str, fields: dict[str, str] | None = None, *, path: str = PAGE) -> Seen:
        """Open the break's page, and send a form from there."""
        page = browser.get(path)
        form = {"csrf": page.hidden("csrf"), "key": page.hidden("key"), **(fields or {})}
        if what == "assign" and "/assign" in page.text:  # its form is the page's first with a version
            form.setdefault("version", page.hidden("version"))
        return browser.post(f"{path}/{what}", form)


@pytest.fixture
def desk(application: Application) -> Desk:
    return Desk(application)


def test_a_correction_is_approved_by_a_second_person_and_not_by_the_first(desk: Desk) -> None:
    """Fails when who proposes may approve."""
    desk.proposal()
    ann, bob = desk.person("ann"), desk.person("bob")
    assert desk.send(ann, "propose", {"amount": "5.00", "version": "1"}).status == 303
    refused = desk.send(ann, "approve", {"version": "2"})
    assert (refused.status, "Somebody else has to approve" in refused.text) == (403, True)
    assert desk.correction().status is CorrectionStatus.AWAITING_APPROVAL
    assert desk.send(bob, "approve", {"version": "2"}).status == 303
    correction = desk.correction()
    assert (correction.status, correction.amount_minor) == (CorrectionStatus.APPROVED, 500)
    assert (correction.proposed_by, correction.decided_by) == ("operator:ann", "operator:bob")
    assert desk.application.workflows.woken == [TOKEN]  # type: ignore[attr-defined]


@pytest.mark.parametrize("proposer", ["operator:ann", "key_1/ann", "key_1/Ann", "key_1"])
def test_a_person_is_one_at_the_command_with_a_key_and_in_the_console(desk: Desk, proposer: str) -> None:
    """Fails when the console's people are others than the command's and the API's."""
    desk.proposal(proposed_by=proposer)
    for what in ("approve", "reject"):
        assert desk.send(desk.person("ann"), what, {"version": "1"}).status == 403
    answer = desk.send(desk.person("bob"), "approve", {"version": "1"})
    assert answer.status == (403 if proposer == "key_1" else 303)


def test_who_proposes_in_the_console_can_not_approve_with_a_key(desk: Desk) -> None:
    desk.proposal()
    assert desk.send(desk.person("ann"), "propose", {"amount": "5.00", "version": "1"}).status == 303
    for by, status in (("key_1/ann", 403), ("key_1", 403), ("key_2/bob", 200)):
        answer = call(
            desk.application,
            "approve_correction",
            {"proposal_version": 2},
            path={"break_id": ID},
            key_id=by,
            key=f"an-approval-of-{by}",
            merchant_id=desk.merchant_id,
        )
        assert answer["statusCode"] == status, by


def test_an_operator_who_is_no_approver_proposes_and_decides_nothing(desk: Desk) -> None:
    desk.proposal()
    ina, vic = desk.person("ina", Role.OPERATOR), desk.person("vic", Role.VIEWER)
    page = ina.get(PAGE).text
    assert "/approve" not in page
    assert "/propose" in page
    assert "<form" not in vic.get(PAGE).text.partition("<main")[2]
    for browser, words in ((ina, ("approve", "reject")), (vic, ("assign", "comment", "propose", "approve", "dismiss"))):
        for what in words:
            assert desk.send(browser, what, {"version": "1"}).status == 403, what
    assert desk.correction().status is CorrectionStatus.AWAITING_APPROVAL


def test_a_decision_is_about_what_was_seen(desk: Desk) -> None:
    desk.proposal()
    ann, bob = desk.person("ann"), desk.person("bob")
    desk.send(ann, "propose", {"amount": "5.00", "version": "1"})
    stale = desk.send(bob, "approve", {"version": "1"})
    assert (stale.status, "version 2" in stale.text) == (409, True)
    assert desk.send(bob, "approve", {}).status == 400
    stale = desk.send(bob, "propose", {"amount": "4.00", "version": "1"})
    assert (stale.status, "5.00 EUR is proposed now" in stale.text, stale.hidden("version")) == (409, True, "2")
    assert 'value="4.00"' in stale.text
    assert desk.send(bob, "propose", {"amount": "5.001", "version": "2"}).status == 400
    assert desk.send(bob, "propose", {"amount": "99999", "version": "2"}).status == 409


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ("assign", {"assignee": "ann", "version": "1"}),
        ("comment", {"text": "seen"}),
        ("propose", {"amount": "5.00", "version": "1"}),
        ("approve", {"version": "1"}),
        ("reject", {"version": "1"}),
    ],
)
def test_a_form_that_is_sent_twice_acts_once(desk: Desk, what: str, fields: dict[str, str]) -> None:
    """Fails when a reload after a lost answer comments, assigns, proposes or decides again, or is an error."""
    desk.proposal()
    browser = desk.person("ann")
    page = browser.get(PAGE)
    form = {"csrf": page.hidden("csrf"), "key": page.hidden("key"), **fields}
    first = browser.post(f"{PAGE}/{what}", form)
    before = (desk.correction().revision, CaseStore(desk.application.database).history(ID))
    second = browser.post(f"{PAGE}/{what}", form)
    assert (first.status, second.status) == (303, 303)
    assert (desk.correction().revision, CaseStore(desk.application.database).history(ID)) == before
    assert len(CaseStore(desk.application.database).comments(ID)) == (1 if what == "comment" else 0)


def test_two_comments_of_two_forms_are_two(desk: Desk) -> None:
    desk.break_()
    for _ in range(2):
        assert desk.send(desk.person("ann"), "comment", {"text": "the same"}).status == 303
    assert [one["text"] for one in CaseStore(desk.application.database).comments(ID)] == ["the same"] * 2


def test_who_comments_decides_whether_the_merchant_reads_it(desk: Desk) -> None:
    """Fails when an internal note reaches the merchant, or a merchant's own operator writes one that it can't read."""
    desk.break_()
    clock = desk.application.clock
    desk.send(desk.person("ann"), "comment", {"text": "internal"})
    clock.ms += 1  # type: ignore[attr-defined]
    desk.send(desk.person("ann"), "comment", {"text": "for you", "for_merchant": "yes"})
    clock.ms += 1  # type: ignore[attr-defined]
    mia = desk.person("mia", Role.OPERATOR, bound=True)
    desk.send(mia, "comment", {"text": "thanks"})
    assert [(one["text"], one["visibility"]) for one in CaseStore(desk.application.database).comments(ID)] == [
        ("internal", "internal"),
        ("for you", "merchant"),
        ("thanks", "merchant"),
    ]
    page = mia.get(PAGE).text
    assert ("internal" in page, "for you" in page) == (False, True)


@pytest.mark.parametrize("text", ["", "  ", "x" * 2_001, "a\u202eb", "a\x00b"])
def test_a_comment_is_text_that_can_be_read(desk: Desk, text: str) -> None:
    desk.break_()
    assert desk.send(desk.person("ann"), "comment", {"text": text}).status == 400


def test_a_break_is_taken_given_to_somebody_and_to_nobody(desk: Desk) -> None:
    desk.break_()
    store, ann = CaseStore(desk.application.database), desk.person("ann")
    desk.send(ann, "assign", {"assignee": "", "mine": "yes"})
    assert store.get(ID).assignee == "ann"
    desk.send(ann, "assign", {"assignee": " Bob "})
    assert store.get(ID).assignee == "bob"
    mia = desk.person("mia", Role.OPERATOR, bound=True)
    desk.send(mia, "assign", {"assignee": "mo"})
    assert (store.get(ID).assignee, store.get(ID).merchant_assignee) == ("bob", "mo")
    desk.send(ann, "assign", {"assignee": ""})
    assert (store.get(ID).assignee, store.get(ID).merchant_assignee) == (None, "mo")
    assert desk.send(ann, "assign", {"assignee": "a\u200bnn"}).status == 400
    assert {entry["by"] for entry in store.history(ID)[1:]} == {"operator:ann", "operator:mia"}


def test_of_two_who_assign_one_is_told_who_has_it(desk: Desk) -> None:
    """Fails when the second of two people who saw the same page takes the break from the first without a word."""
    desk.break_()
    ann, bob = desk.person("ann"), desk.person("bob")
    forms = [
        {name: page.hidden(name) for name in ("csrf", "key", "version")} for page in (ann.get(PAGE), bob.get(PAGE))
    ]
    assert ann.post(f"{PAGE}/assign", {**forms[0], "mine": "yes"}).status == 303
    refused = bob.post(f"{PAGE}/assign", {**forms[1], "mine": "yes"})
    assert (refused.status, "it is assigned to ann now" in refused.text) == (409, True)
    assert CaseStore(desk.application.database).get(ID).assignee == "ann"
    assert bob.post(f"{PAGE}/assign", {**forms[1], "assignee": "ann"}).status == 303, "it is hers: nothing changes"
    again = {**forms[1], "version": refused.hidden("version"), "key": refused.hidden("key"), "mine": "yes"}
    assert bob.post(f"{PAGE}/assign", again).status == 303
    assert CaseStore(desk.application.database).get(ID).assignee == "bob"
    assert ann.post(f"{PAGE}/assign", {"csrf": forms[0]["csrf"], "assignee": "ann"}).status == 400


def test_only_a_probable_break_is_dismissed_and_the_refusal_is_named(desk: Desk) -> None:
    desk.break_()
    desk.break_(OTHER_ID, OTHER_PAYMENT_ID, break_class=BreakClass.DOUBLE_CHARGE)
    ann, other = desk.person("ann"), f"/breaks/{OTHER_ID}"
    assert "/dismiss" not in ann.get(PAGE).text
    assert desk.send(ann, "dismiss", {"reason": "no"}).status == 409
    assert CaseStore(desk.application.database).history(ID)[-1]["change"] == "refused"
    assert desk.send(ann, "dismiss", {"reason": ""}, path=other).status == 400
    for _ in range(2):
        assert desk.send(ann, "dismiss", {"reason": "two sales"}, path=other).status == 303
    assert CaseStore(desk.application.database).get(OTHER_ID).status is CaseStatus.DISMISSED


def test_rows_are_matched_by_hand_and_taken_back(desk: Desk) -> None:
    ours, theirs = evidence_of(PAYMENT_ID)
    desk.break_(break_class=BreakClass.MISSING_IN_GATEWAY, subject=("bank", "x"), evidence=(ours,))
    desk.break_(
        OTHER_ID, OTHER_PAYMENT_ID, break_class=BreakClass.MISSING_IN_LEDGER, subject=("bank", "y"), evidence=(theirs,)
    )
    ann = desk.person("ann")
    form = {"others": f"{OTHER_ID}\n", "reason": "one sale"}
    for _ in range(2):
        assert desk.send(ann, "match", form).status == 303
    (match,) = MatchStore(desk.application.database).in_force()
    assert (match.by, match.reason, len(match.rows)) == ("operator:ann", "one sale", 2)
    refused = desk.send(desk.person("bob"), "match", {"others": OTHER_ID, "reason": "another"})
    assert (refused.status, "already" in refused.text) == (409, True)
    page = ann.get(PAGE).text
    assert "one sale" in page
    assert "in force" in page
    assert desk.send(ann, "unmatch", {"match_id": "mat_x", "reason": "wrong"}).status == 400
    assert desk.send(ann, "unmatch", {"match_id": match.match_id, "reason": "wrong"}).status == 303
    assert MatchStore(desk.application.database).in_force() == ()
    assert "taken back" in ann.get(PAGE).text


def test_an_operator_of_a_merchant_acts_on_its_own_breaks_alone(desk: Desk) -> None:
    """Fails when a form reaches another merchant's break, or what only the platform decides."""
    desk.proposal()
    foreign = store_break(desk.application.database, "mer_9", OTHER_ID, desk.application.clock.now_ms())
    store_proposal(desk.application.database, foreign)
    # It is under the merchant, and may hold rows of others: only the platform sees it.
    group = desk.break_(GROUP_ID, OTHER_PAYMENT_ID, break_class=BreakClass.AMBIGUOUS)
    store_proposal(desk.application.database, group)
    mia = desk.person("mia", bound=True)
    csrf = mia.get(PAGE).hidden("csrf")
    for what in ("assign", "comment", "propose", "approve", "reject"):
        form = {"csrf": csrf, "key": "form_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "version": "1", "amount": "1", "text": "x"}
        for break_id in (OTHER_ID, GROUP_ID):
            assert mia.post(f"/breaks/{break_id}/{what}", form).status == 404, what
    for what in ("dismiss", "match", "unmatch"):
        assert mia.post(f"{PAGE}/{what}", {"csrf": csrf, "reason": "x"}).status == 404, what
    assert desk.send(mia, "approve", {"version": "1"}).status == 303


def test_every_act_is_in_the_audit_trail_with_its_person(desk: Desk) -> None:
    desk.proposal()
    desk.send(desk.person("ann"), "assign", {"assignee": "bob"})
    desk.send(desk.person("ann"), "comment", {"text": "seen"})
    desk.send(desk.person("bob"), "approve", {"version": "1"})
    now_ms = desk.application.clock.now_ms()
    entries = desk.application.audit_trail.entries(from_ms=0, until_ms=now_ms + 1, scope=desk.merchant_id)
    acts = {(entry.record_id.split("#")[1], entry.principal) for entry in entries}
    assert {
        ("assign_break", "operator:ann"),
        ("comment_break", "operator:ann"),
        ("approve_correction", "operator:bob"),
    } <= acts
