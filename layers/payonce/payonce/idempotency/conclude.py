"""Writing the conclusion of a claim: under its fence, in one transaction with the business writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from payonce.domain.errors import LeaseLost, OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.idempotency.records import Completed, InDoubt, KeyedResponse, RecordStatus, Released

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.idempotency.records import Claim, Conclusion, IdempotencyRecord
    from payonce.idempotency.settings import IdempotencySettings
    from payonce.idempotency.store import IdempotencyStore
    from payonce.ports import Clock

# A business condition changes under a commit when another operation on the same payment commits first; each attempt
# reads it anew, so more in a row than this is a defect or an outage and not contention.
MAX_COMMIT_ATTEMPTS = 8
# While the database does not answer, what is known of the effect is in this process alone: it is worth trying for as
# long as the claim lasts. The number only bounds a clock that stands still.
MAX_STORE_ATTEMPTS = 100
COMMIT_PAUSE_SECONDS = 0.05  # between attempts while the database is busy, then twice as long each time
MAX_COMMIT_PAUSE_SECONDS = 1.0


class Concluder:
    """Writes conclusions. After an effect it tries until the claim's deadline, and never reports "not executed"."""

    def __init__(
        self,
        *,
        store: IdempotencyStore,
        settings: IdempotencySettings,
        clock: Clock,
        sleep: Callable[[float], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._sleep = sleep

    def write(self, claim: Claim, conclusion: Conclusion) -> KeyedResponse:
        """Record the conclusion and return its response.

        Raises the error of a ``Released`` conclusion once it is released, ``LeaseLost`` when a newer owner exists, and
        ``OutcomeUnknown`` when it could not be recorded: the claim stays open and recovery will ask the gateway.
        """
        if isinstance(conclusion, Released):
            self._release(claim.record, conclusion)
        # Once: however often the write is tried, the effect took no longer than until now.
        ended_at_ms = self._clock.now_ms()
        conflicts, pause_seconds = 0, COMMIT_PAUSE_SECONDS
        for _ in range(MAX_STORE_ATTEMPTS):
            # The first attempt is made even after the deadline: the fence alone decides whether it may be written.
            try:
                return self._attempt(claim.record, conclusion, ended_at_ms)
            except WriteConflict:
                conflicts += 1
            except StoreUnavailable:
                self._sleep(pause_seconds)
                pause_seconds = min(2 * pause_seconds, MAX_COMMIT_PAUSE_SECONDS)
            if conflicts >= MAX_COMMIT_ATTEMPTS or self._clock.now_ms() >= claim.deadline.at_ms:
                break
        raise OutcomeUnknown(
            "The result could not be recorded yet. Retry with the same key: nothing will be executed twice."
        )

    def _attempt(self, owned: IdempotencyRecord, conclusion: Completed | InDoubt, ended_at_ms: int) -> KeyedResponse:
        draft = conclusion.draft()
        if isinstance(draft, Released):
            self._release(owned, draft)
        try:
            if isinstance(conclusion, InDoubt):
                stored = self._store.park(
                    owned,
                    draft.response,
                    submit_horizon_ms=self._clock.now_ms() if conclusion.submitted else owned.submit_horizon_ms,
                    retry_at_ms=conclusion.retry_at_ms,
                    ended_at_ms=ended_at_ms,
                    writes=draft.writes,
                )
            else:
                stored = self._store.complete(
                    owned,
                    draft.response,
                    purge_at_seconds=self._purge_at_seconds(owned),
                    ended_at_ms=ended_at_ms,
                    writes=draft.writes,
                )
        except (LeaseLost, OutcomeUnknown) as error:
            stored = self._own_conclusion(owned, error)
        response = stored.response or draft.response
        return KeyedResponse(response, replayed=False, expires_at_ms=stored.expires_at_ms)

    def _purge_at_seconds(self, owned: IdempotencyRecord) -> int:
        """Return when the record may be forgotten: after the guard, and not before the client has had its window.

        A doubt can outlast the guard; concluded after it, the record would be gone before any retry could see it.
        """
        guarded = owned.created_at_ms // 1000 + self._settings.guard_seconds
        return max(guarded, self._clock.now_ms() // 1000 + self._settings.window_seconds)

    def _release(self, owned: IdempotencyRecord, released: Released) -> NoReturn:
        self._store.release(owned, released.writes)
        raise released.error

    def _own_conclusion(self, owned: IdempotencyRecord, error: LeaseLost | OutcomeUnknown) -> IdempotencyRecord:
        """Return what this same owner has stored after all, when only the answer to its write was lost."""
        stored = self._store.get(owned.record_id)
        if (
            stored is not None
            and stored.claim_id == owned.claim_id
            and stored.fence == owned.fence
            and stored.status is not RecordStatus.IN_PROGRESS
        ):
            return stored
        if (
            isinstance(error, OutcomeUnknown)
            and stored is not None
            and (stored.claim_id, stored.fence) == (owned.claim_id, owned.fence)
        ):
            # Not written, or not yet: the fence makes it safe to try again, and the first of the two counts.
            raise StoreUnavailable("The conclusion is not recorded yet.") from error
        raise error
