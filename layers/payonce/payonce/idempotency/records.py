"""The idempotency record: claim, lease, fence and stored response."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.domain.errors import PayonceError, WriteConflict
    from payonce.ports import Deadline, Write


class RecordStatus(StrEnum):
    """The states of a claim: those of Powertools' records, and IN_DOUBT."""

    IN_PROGRESS = "INPROGRESS"
    IN_DOUBT = "IN_DOUBT"
    COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response as bytes. A replay sends these bytes and renders nothing anew.

    ``lines`` are all header lines in order, for responses whose names may repeat (such as Set-Cookie); ``headers`` is
    then empty.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    lines: tuple[tuple[str, str], ...] = ()

    def header_lines(self) -> tuple[tuple[str, str], ...]:
        """Return every header line as (name, value)."""
        return self.lines or tuple(self.headers.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """One key's record, as stored. Times are epoch milliseconds.

    ``claim_id`` names the claim for its whole life, and ``fence`` is the fencing token that counts its owners: every
    later write requires both. The fence alone would not suffice: after a release the next claim starts at 1 again, and
    a stale first owner would match.
    ``owner``: a name unique to each takeover, "" for the first owner. After a lost answer it tells this takeover from
    another with the same fence.
    ``submit_horizon_ms``: no owner before the present one can have sent anything after this moment.
    ``lease_expires_at_ms``: nobody else may take over before then; for a record in doubt, when to ask again.
    ``purge_at_seconds``: when a completed record is deleted, epoch seconds; 0 while it is open.
    ``ended_at_ms``: when the last owner to conclude it, or to leave it in doubt, began to write that; 0 before. While
    ``fence`` is 1 it is read from the same clock as ``created_at_ms``: the difference is how long the work took.
    ``plan`` is what a new owner needs to continue: the identity that survives a takeover. Dropped at completion.
    ``expires_at_ms``: when the window ends if it is concluded at once; see ``replayed_until_ms``.
    ``lane``: what an open claim's outcome has to be asked from, such as a gateway; "" where the claim does not say.
    """

    record_id: str
    status: RecordStatus
    claim_id: str
    fence: int
    fingerprint: str
    created_at_ms: int
    expires_at_ms: int
    lease_expires_at_ms: int
    submit_horizon_ms: int = 0
    resource: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    response: StoredResponse | None = None
    purge_at_seconds: int = 0
    ended_at_ms: int = 0
    owner: str = ""
    lane: str = ""

    @property
    def replayed_until_ms(self) -> int:
        """The end of the key's replay window, which counts from the conclusion: a doubt may last for days.

        An open claim shows when nothing is sent for it any more, the earliest end that its window can have.
        """
        if self.status is not RecordStatus.COMPLETED:
            return self.expires_at_ms
        return max(self.expires_at_ms, self.ended_at_ms + self.expires_at_ms - self.created_at_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedRequest:
    """A request with an idempotency key, as the engine sees it.

    ``scope`` is the merchant (or any tenant). ``deadline`` is the hard end of the request, such as its function's.
    ``work_ms`` is how long an execution may take from its claim on; without it, it may take until ``deadline``.
    """

    scope: str
    operation: str
    key: str
    fingerprint: str
    deadline: Deadline
    wait_seconds: float = 0
    work_ms: int | None = None

    def end_of_work(self, now_ms: int) -> Deadline:
        """Return when an execution that is claimed now has to be over."""
        return self.deadline if self.work_ms is None else self.deadline.earlier(now_ms + self.work_ms)


@dataclass(frozen=True, slots=True)
class KeyedResponse:
    """A response to a keyed request. ``replayed``: an earlier execution stored it."""

    response: StoredResponse
    replayed: bool
    expires_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a claim stores before any effect.

    ``writes`` are business conditions (such as a reserved amount) in the claim's transaction; ``on_conflict`` returns
    the error for a refused one. ``lane``: see ``IdempotencyRecord``.
    """

    claim_id: str
    resource: str
    data: Mapping[str, Any]
    writes: Sequence[Write] = ()
    on_conflict: Callable[[WriteConflict], PayonceError] | None = None
    lane: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """An owned record: this execution may act until ``deadline``, and write while nobody has a higher fence.

    ``contested``: see ``Owned``. Such a claim's release does not prove that nothing will be executed.
    ``due_at_ms``: since when recovery could have taken it over, epoch milliseconds; 0 for a request's own claim.
    """

    record: IdempotencyRecord
    deadline: Deadline
    contested: bool = False
    due_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A response together with the business writes that must become true with it."""

    response: StoredResponse
    writes: Sequence[Write]


@dataclass(frozen=True, slots=True)
class Released:
    """Certainly nothing happened: the claim is released together with ``writes``, and ``error`` is the answer."""

    error: PayonceError
    writes: Sequence[Write] = ()


@dataclass(frozen=True, slots=True)
class Completed:
    """The work is done for good. ``draft`` is called again when a business condition has changed since the last draft.

    When all the work is in the writes, nothing has happened before they are written. ``draft`` may then find that the
    request must be refused by now, and return a ``Released``.
    """

    draft: Callable[[], Draft | Released]


@dataclass(frozen=True, slots=True)
class InDoubt:
    """An effect may have happened. The response is provisional, and ``retry_at_ms`` is when to ask again.

    ``submitted``: whether this owner has sent anything, which moves the submit horizon.
    ``plan`` is the next owner's plan; ``None`` keeps the stored one.
    ``goes_on_until_ms``: until when what this owner has started may still send; 0 when all of it has ended.
    """

    draft: Callable[[], Draft]
    retry_at_ms: int
    submitted: bool
    plan: Mapping[str, Any] | None = None
    goes_on_until_ms: int = 0


type Conclusion = Completed | InDoubt | Released
