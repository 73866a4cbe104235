"""A conclusion is written again after a conflict, a failed read and a lost answer, and so is a claim's release.

How often, how long, and what its owner may then say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import (
    LeaseLost,
    NotStarted,
    OutcomeUnknown,
    PayonceError,
    StoreUnavailable,
    WriteConflict,
)
from payonce.idempotency.conclude import MAX_COMMIT_ATTEMPTS, Concluder
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import (
    Claim,
    Completed,
    Draft,
    IdempotencyRecord,
    InDoubt,
    RecordStatus,
    Released,
    StoredResponse,
)
from payonce.idempotency.window import LEASE_MARGIN_MS, IdempotencySettings
from payonce.ports import Deadline
from payonce.stores.memory import MemoryDatabase
from tests.support.world import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_MS = 30_000
REFUSED = NotStarted("refused")
CONFLICT = WriteConflict("changed", index=0, current=None)


class Scripted(DatabaseIdempotencyStore):
    """Each commit and release first takes an error from ``before``, and after it took place one from ``after``."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase())
        self.before: deque[PayonceError | None] = deque()
        self.after: deque[PayonceError | None] = deque()
        self.reads = 0

    def get(self, record_id: str) -> IdempotencyRecord | None:
        """See ``IdempotencyStore``."""
        self.reads += 1
        return super().get(record_id)

    def complete(self, *arguments: Any, **named: Any) -> IdempotencyRecord:
        """See ``IdempotencyStore``."""
        return self._scripted(lambda: super(Scripted, self).complete(*arguments, **named))

    def release(self, *arguments: Any, **named: Any) -> None:
        """See ``IdempotencyStore``."""
        self._scripted(lambda: super(Scripted, self).release(*arguments, **named))

    def _scripted[T](self, write: Callable[[], T]) -> T:
        before = self.before.popleft() if self.before else None
        if before is not None:
            raise before
        result = write()
        after = self.after.popleft() if self.after else None
        if after is not None:
            raise after
        return result


class Owner:
    """An owner of a claim, whose clock and store are in the test's hand."""

    def __init__(self) -> None:
        self.clock, self.store = ManualClock(), Scripted()
        self.concluder = Concluder(
            store=self.store, settings=IdempotencySettings(), clock=self.clock, sleep=self.clock.sleep
        )
        record = IdempotencyRecord(
            record_id="m#op#k",
            status=RecordStatus.IN_PROGRESS,
            claim_id="c1",
            fence=1,
            fingerprint="f",
            created_at_ms=self.clock.ms,
            expires_at_ms=self.clock.ms + 1,
            lease_expires_at_ms=self.clock.ms,
        )
        self.claim = Claim(self.store.claim(record), Deadline(self.clock.ms + DEADLINE_MS))
        self.drafts: deque[Draft | Released | Exception] = deque()
        self.drafted = 0

    def draft(self) -> Draft | Released:
        """Take the next draft; the last one stays."""
        self.drafted += 1
        draft = self.drafts.popleft() if len(self.drafts) > 1 else self.drafts[0]
        if isinstance(draft, Exception):
            raise draft
        return draft

    def write(self, *drafts: Draft | Released | Exception) -> bytes:
        """Conclude the claim and return the body of the response."""
        self.drafts.extend(drafts)
        written = self.concluder.write(self.claim, Completed(self.draft))
        assert not written.replayed
        return written.response.body

    def take_over(self) -> IdempotencyRecord:
        """Have another owner take the claim over."""
        return self.store.take_over(self.claim.record, lease_expires_at_ms=self.clock.ms, owner="another")


@pytest.fixture
def owner() -> Owner:
    """The first owner of a key."""
    return Owner()


def known(body: bytes = b"known") -> Draft:
    return Draft(StoredResponse(201, {}, body), ())


def test_a_conclusion_costs_no_read_where_nothing_fails(owner: Owner) -> None:
    assert owner.write(known()) == b"known"
    assert owner.store.reads == 0


def test_what_was_committed_is_not_drafted_again(owner: Owner) -> None:
    """The answer to the commit is lost. A second draft would find the first one's effect, and refuse the request."""
    owner.store.after.append(OutcomeUnknown("no answer"))
    assert owner.write(known(), Released(REFUSED)) == b"known"
    assert owner.drafted == 1


def test_what_conflicts_is_drafted_anew_as_often_as_it_may(owner: Owner) -> None:
    owner.store.before.extend([CONFLICT] * (MAX_COMMIT_ATTEMPTS - 1))
    assert owner.write(known()) == b"known"
    assert owner.drafted == MAX_COMMIT_ATTEMPTS


def test_what_conflicts_more_often_is_left_to_recovery(owner: Owner) -> None:
    owner.store.before.extend([CONFLICT] * MAX_COMMIT_ATTEMPTS)
    with pytest.raises(OutcomeUnknown):
        owner.write(known())
    assert owner.drafted == MAX_COMMIT_ATTEMPTS


@pytest.mark.parametrize(("early_ms", "drafted"), [(1, 2), (0, 1)])
def test_what_conflicts_is_drafted_anew_only_before_the_deadline(owner: Owner, early_ms: int, drafted: int) -> None:
    owner.store.before.append(CONFLICT)
    owner.clock.ms = owner.claim.deadline.at_ms - early_ms
    if drafted == 1:
        with pytest.raises(OutcomeUnknown):
            owner.write(known())
    else:
        assert owner.write(known()) == b"known"
    assert owner.drafted == drafted


def test_a_draft_that_could_not_be_read_is_made_again(owner: Owner) -> None:
    """The effect stands. Fails when a failed read of a draft is told as "nothing was executed"."""
    assert owner.write(NotStarted("no read"), StoreUnavailable("no read"), known()) == b"known"


def test_a_draft_that_refuses_gives_the_claim_back(owner: Owner) -> None:
    with pytest.raises(NotStarted, match="refused"):
        owner.write(Released(REFUSED))
    assert owner.store.get("m#op#k") is None


def test_a_draft_that_fails_on_ones_own_commit_gives_that_commits_response(owner: Owner) -> None:
    owner.write(known(b"first"))
    owner.drafts.clear()
    assert owner.write(ValueError("there already")) == b"first"


def test_a_draft_that_fails_on_an_open_claim_says_so(owner: Owner) -> None:
    with pytest.raises(ValueError, match="a defect"):
        owner.write(ValueError("a defect"))


def test_a_lost_lease_stays_lost_while_nothing_is_concluded(owner: Owner) -> None:
    """Even where the record still looks like one's own: the fence alone decides, and it has refused the write."""
    owner.store.before.append(LeaseLost("refused"))
    with pytest.raises(LeaseLost):
        owner.write(known())


def test_what_goes_on_until_now_has_the_margin_between_two_clocks(owner: Owner) -> None:
    now_ms = owner.clock.ms
    doubt = InDoubt(lambda: known(), retry_at_ms=now_ms, submitted=True, goes_on_until_ms=now_ms)
    owner.concluder.write(owner.claim, doubt)
    stored = owner.store.get("m#op#k")
    assert stored is not None
    assert stored.submit_horizon_ms == now_ms + LEASE_MARGIN_MS


def release(owner: Owner) -> None:
    owner.concluder.write(owner.claim, Released(REFUSED))


@pytest.mark.parametrize("error", [OutcomeUnknown("no answer"), StoreUnavailable("busy"), CONFLICT])
def test_a_release_that_fails_is_tried_again(owner: Owner, error: PayonceError) -> None:
    owner.store.before.append(error)
    with pytest.raises(NotStarted, match="refused"):
        release(owner)
    assert owner.store.get("m#op#k") is None


def test_a_release_whose_answer_was_lost_has_taken_place(owner: Owner) -> None:
    owner.store.after.append(OutcomeUnknown("no answer"))
    with pytest.raises(NotStarted, match="refused"):
        release(owner)


def test_a_doubted_release_stays_doubted_while_the_store_is_busy(owner: Owner) -> None:
    owner.store.after.append(OutcomeUnknown("no answer"))
    owner.store.before.extend([None, StoreUnavailable("busy")])
    with pytest.raises(NotStarted, match="refused"):
        release(owner)


def test_a_claim_that_another_owner_ended_is_not_called_never_executed(owner: Owner) -> None:
    """The other's record may be gone, too. Fails when that is taken for one's own release, which was never in doubt.

    "Not executed" would be said of what the other one executed.
    """
    owner.store.release(owner.take_over())
    with pytest.raises(LeaseLost):
        release(owner)


def test_a_claim_that_another_owner_has_is_not_called_never_executed(owner: Owner) -> None:
    """Fails when a release of one's own that was in doubt is taken for done while the other owner is at work."""
    owner.store.before.append(OutcomeUnknown("no answer"))
    owner.take_over()
    with pytest.raises(LeaseLost):
        release(owner)


def test_a_contested_claims_release_proves_nothing(owner: Owner) -> None:
    owner.claim = replace(owner.claim, contested=True)
    with pytest.raises(OutcomeUnknown):
        release(owner)


def test_a_release_that_can_not_be_looked_at_is_unknown(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_read(_record_id: str) -> None:
        raise StoreUnavailable("no read")

    owner.store.after.append(OutcomeUnknown("no answer"))
    monkeypatch.setattr(owner.store, "get", no_read)
    with pytest.raises(OutcomeUnknown):
        release(owner)


def test_a_release_is_not_tried_for_longer_than_the_claim_lasts(owner: Owner) -> None:
    owner.store.before.extend([StoreUnavailable("busy")] * 1_000)
    until_ms = owner.claim.deadline.at_ms
    with pytest.raises(OutcomeUnknown):
        release(owner)
    assert until_ms - 2_000 < owner.clock.ms <= until_ms
