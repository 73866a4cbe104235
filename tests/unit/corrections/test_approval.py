"""What people may do with a correction, bound by bound, and what is written down of who tried it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.corrections.approval import MAX_PROPOSALS
from payonce.corrections.policy import Policy
from payonce.corrections.record import CorrectionStatus, change
from payonce.corrections.workflow import Corrections, Identity
from payonce.domain.errors import CorrectionStateConflict, NotFound, SelfApprovalRefused, WriteConflict
from payonce.domain.gateway import CaptureMethod
from payonce.idempotency.audit import AuditEntry, act_entry
from payonce.ports import Adjust, Table
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.support.corrections import deadline, duplicate_capture, identity_of
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Write

MAKER, CHECKER = "key_maker/ann", "key_checker/ben"
ANN, BEN = "operator:ann", "operator:ben"
_S = CorrectionStatus


class Desk:
    """A correction that awaits approval, and the audit entries of what people do with it."""

    def __init__(self, capture: CaptureMethod | None = None) -> None:
        self.world = World()
        self.entries: list[AuditEntry] = []
        self.notifier = MemoryWorkflows()
        self.found = found = duplicate_capture(self.world, capture)
        self.corrections = Corrections(
            services=self.world.services,
            engine=self.world.engine,
            gateway_named=lambda _name: self.world.gateway,
            policy=Policy,
            notifier=self.notifier,
            audited=self._audited,
        )
        self.corrections.advance(found, deadline(self.world))
        self.identity: Identity = identity_of(found)
        assert self.corrections.load(self.identity).status is _S.AWAITING_APPROVAL

    def _audited(self, entry: AuditEntry) -> Sequence[Write]:
        self.entries.append(entry)
        # Written with the act: an entry of an act that is refused by its condition must not stay.
        key = {"pk": "audit", "sk": f"{len(self.entries)}"}
        return [Adjust(table=Table.PAYMENTS, key=key, set={"of": entry.principal}, upsert=True)]

    def entry(self, what: str, by: str, act_id: str, reason: str, *, refused: bool = False) -> AuditEntry:
        return act_entry(
            scope=MERCHANT,
            operation=f"{what}_correction",
            resource=f"/breaks/{self.identity.break_id}/correction",
            principal=by,
            at_ms=self.world.clock.ms,
            act_id=act_id,
            reason=reason,
            refused=refused,
        )


def test_what_an_operator_does_is_in_the_audit_trail_and_what_a_key_does_in_its_claim() -> None:
    """Fails when an act is not attributed, or is attributed twice."""
    desk = Desk()
    desk.corrections.propose(desk.identity, amount_minor=900, actor=MAKER)
    assert desk.entries == []
    revision = desk.corrections.load(desk.identity).revision
    desk.corrections.propose(desk.identity, amount_minor=800, actor=ANN)
    desk.corrections.approve(desk.identity, proposal_version=3, actor=BEN)
    assert desk.entries == [
        desk.entry("propose", ANN, str(revision), "800 EUR"),
        desk.entry("approve", BEN, str(revision + 1), "version 3: 800 EUR"),
    ]
    written = [desk.world.database.get(Table.PAYMENTS, {"pk": "audit", "sk": str(number)}) for number in (1, 2)]
    assert [item and item["of"] for item in written] == [ANN, BEN]
    other = Desk()
    other.corrections.reject(other.identity, proposal_version=1, actor=BEN)
    assert [entry.record_id.split("#")[1] for entry in other.entries] == ["reject_correction"]
    assert other.corrections.load(other.identity).status is _S.REJECTED


def test_who_decides_too_late_what_is_decided_is_told_that_it_is() -> None:
    """Fails when an approved correction counts as one that nobody has decided in time."""
    desk = Desk()
    desk.corrections.approve(desk.identity, proposal_version=1, actor=BEN)
    desk.world.clock.ms += (Policy().approval_seconds + 1) * 1000
    with pytest.raises(CorrectionStateConflict, match="is approved: it is decided already"):
        desk.corrections.reject(desk.identity, proposal_version=1, actor=CHECKER)
    assert desk.corrections.load(desk.identity).status is _S.APPROVED


def test_who_was_refused_is_written_down_with_the_reason() -> None:
    """Fails when somebody may try as often as they like, and nobody learns of it."""
    desk = Desk()
    desk.corrections.propose(desk.identity, amount_minor=900, actor=ANN)
    desk.entries.clear()
    for decide, what in ((desk.corrections.approve, "approve"), (desk.corrections.reject, "reject")):
        with pytest.raises(SelfApprovalRefused) as refused:
            decide(desk.identity, proposal_version=2, actor=ANN)
        assert refused.value.detail == "You proposed this correction. Somebody else has to approve or reject it."
        with pytest.raises(CorrectionStateConflict) as stale:
            decide(desk.identity, proposal_version=1, actor=BEN)
        [first, second] = desk.corrections.trail(desk.identity)[-2:]
        for entry, by, error in ((first, ANN, refused.value), (second, BEN, stale.value)):
            assert entry == {
                "what": what,
                "by": by,
                "at_ms": desk.world.clock.ms,
                "text": error.detail,
                "refused": True,
            }
    with pytest.raises(CorrectionStateConflict):
        desk.corrections.propose(desk.identity, amount_minor=0, actor=MAKER)
    assert [(one["what"], one["by"]) for one in desk.corrections.trail(desk.identity)][-1] == ("propose", MAKER)
    trail = desk.corrections.trail(desk.identity)
    assert desk.entries == [
        desk.entry(one["what"], one["by"], f"trail-{number}", one["text"], refused=True)
        for number, one in enumerate(trail)
        if one["by"] != MAKER
    ]
    desk.corrections.begun_anew(desk.identity, actor=BEN, text="the workflow")
    assert desk.corrections.trail(desk.identity)[-1] == {
        "what": "resume",
        "by": BEN,
        "at_ms": desk.world.clock.ms,
        "text": "the workflow",
        "refused": False,
    }
    assert desk.entries[-1] == desk.entry("resume", BEN, f"trail-{len(trail)}", "the workflow")


def test_a_key_that_names_no_holder_decides_nothing_that_another_key_proposed() -> None:
    """Fails when one person with two keys is taken for two."""
    desk = Desk()
    desk.corrections.propose(desk.identity, amount_minor=900, actor="key_1")
    for actor in ("key_2", "key_2/ben", ANN):
        with pytest.raises(SelfApprovalRefused, match="payonce keys create MERCHANT --holder NAME"):
            desk.corrections.approve(desk.identity, proposal_version=2, actor=actor)


def test_a_refund_is_proposed_of_a_part_and_a_void_of_all() -> None:
    """Fails when nothing, or more than the surplus, can be proposed, or a part of a void."""
    desk = Desk()
    for amount_minor in (0, -1, 1001):
        with pytest.raises(CorrectionStateConflict, match="must be 1 to 1000"):
            desk.corrections.propose(desk.identity, amount_minor=amount_minor, actor=MAKER)
    for version, amount_minor in enumerate((1, 1000), 2):
        proposed = desk.corrections.propose(desk.identity, amount_minor=amount_minor, actor=MAKER)
        assert (proposed.amount_minor, proposed.proposed_by, proposed.proposal_version) == (
            amount_minor,
            MAKER,
            version,
        )
    void = Desk(CaptureMethod.MANUAL)
    assert void.corrections.load(void.identity).kind == "void"
    with pytest.raises(CorrectionStateConflict, match="must be 1000 to 1000"):
        void.corrections.propose(void.identity, amount_minor=999, actor=MAKER)
    assert void.corrections.propose(void.identity, amount_minor=1000, actor=MAKER).proposal_version == 2


def test_a_proposal_starts_from_the_one_that_was_seen() -> None:
    """Fails when two people change the amount and neither learns of the other."""
    desk = Desk()
    with pytest.raises(CorrectionStateConflict, match="at version 1 by now"):
        desk.corrections.propose(desk.identity, amount_minor=900, actor=MAKER, proposal_version=2)
    assert (
        desk.corrections.propose(desk.identity, amount_minor=900, actor=MAKER, proposal_version=1).amount_minor == 900
    )


def test_twenty_proposals_are_the_most() -> None:
    """They are stored with the correction. Fails when it outgrows its item, or when the limit counts other attempts."""
    desk = Desk()
    for number in range(MAX_PROPOSALS - 1):
        desk.corrections.propose(desk.identity, amount_minor=1 + number, actor=MAKER)
    with pytest.raises(CorrectionStateConflict, match="There were 20 proposals"):
        desk.corrections.propose(desk.identity, amount_minor=500, actor=MAKER)
    correction = desk.corrections.load(desk.identity)
    assert sum(each["status"] == "awaiting_approval" for each in correction.log) == MAX_PROPOSALS
    desk.corrections.reject(desk.identity, proposal_version=correction.proposal_version, actor=CHECKER)
    desk.corrections.advance(desk.found, deadline(desk.world), attempt=2)
    assert desk.corrections.propose(desk.identity, amount_minor=500, actor=MAKER).amount_minor == 500


def test_what_is_decided_is_neither_proposed_nor_decided_anew() -> None:
    """Fails when another person's decision is overwritten, or repeated as one's own."""
    for decided, status in ((Corrections.approve, _S.APPROVED), (Corrections.reject, _S.REJECTED)):
        desk = Desk()
        first = decided(desk.corrections, desk.identity, proposal_version=1, actor=CHECKER)
        assert (first.status, first.decided_by) == (status, CHECKER)
        assert decided(desk.corrections, desk.identity, proposal_version=1, actor=CHECKER) == first  # a repetition
        for again in (Corrections.approve, Corrections.reject):
            with pytest.raises(CorrectionStateConflict, match="decided already"):
                again(desk.corrections, desk.identity, proposal_version=1, actor="key_other/cy")
        other = Corrections.reject if decided is Corrections.approve else Corrections.approve
        with pytest.raises(CorrectionStateConflict, match="decided already"):
            other(desk.corrections, desk.identity, proposal_version=1, actor=CHECKER)
        with pytest.raises(CorrectionStateConflict, match="nothing can be proposed now"):
            desk.corrections.propose(desk.identity, amount_minor=1, actor=MAKER)
        assert desk.corrections.load(desk.identity) == first


def test_the_last_millisecond_is_in_time_and_the_next_one_is_not() -> None:
    """Fails when a decision comes late and counts, or what is late does not end as such."""
    for late_ms, status in ((0, _S.APPROVED), (1, _S.EXPIRED)):
        desk = Desk()
        desk.world.clock.ms = desk.corrections.load(desk.identity).expires_at_ms + late_ms
        if late_ms:
            with pytest.raises(CorrectionStateConflict, match="the decision came too late"):
                desk.corrections.approve(desk.identity, proposal_version=1, actor=CHECKER)
        else:
            desk.corrections.approve(desk.identity, proposal_version=1, actor=CHECKER)
        after = desk.corrections.load(desk.identity)
        assert (after.status, after.updated_at_ms) == (status, desk.world.clock.ms)
        assert after.outcome == ("not_decided_in_time" if late_ms else "")
    late = Desk()
    late.world.clock.ms = late.corrections.load(late.identity).expires_at_ms + 1
    with pytest.raises(CorrectionStateConflict, match="the proposal came too late"):
        late.corrections.propose(late.identity, amount_minor=1, actor=MAKER)


@pytest.mark.parametrize("conflicts", [1, 2, 3])
def test_a_decision_meets_another_writer_twice_and_then_says_so(
    conflicts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the workflow that waits anew costs the approver the decision, or it is tried for ever."""
    desk, left, tried = Desk(), [conflicts], list[int]()

    def racing(*given: object, **named: object) -> object:
        if named.get("status") is _S.APPROVED:
            tried.append(left[0])
            left[0] -= 1
            if left[0] >= 0:
                raise CorrectionStateConflict("changed meanwhile") from WriteConflict("x", index=0, current=None)
        return change(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("payonce.corrections.approval.change", racing)
    if conflicts == 3:
        with pytest.raises(CorrectionStateConflict, match="changed meanwhile"):
            desk.corrections.approve(desk.identity, proposal_version=1, actor=CHECKER)
    else:
        approved = desk.corrections.approve(desk.identity, proposal_version=1, actor=CHECKER)
        assert approved.status is _S.APPROVED
    assert len(tried) == min(conflicts + 1, 3)


def test_a_conflict_of_the_correction_itself_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when each refusal is noted three times."""
    desk = Desk()
    loads = list[object]()
    load = desk.corrections.load
    monkeypatch.setattr(desk.corrections, "load", lambda identity: loads.append(identity) or load(identity))  # type: ignore[func-returns-value]
    with pytest.raises(CorrectionStateConflict):
        desk.corrections.approve(desk.identity, proposal_version=9, actor=CHECKER)
    assert len(loads) == 1


def test_what_was_never_started_is_not_there() -> None:
    desk = Desk()
    nobody = Identity(MERCHANT, desk.identity.payment_id, "brk_of_nobody")
    assert desk.corrections.find(nobody) is None
    assert desk.corrections.find(desk.identity) == desk.corrections.load(desk.identity)
    with pytest.raises(NotFound):
        desk.corrections.approve(nobody, proposal_version=1, actor=CHECKER)
