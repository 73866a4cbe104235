"""What the store of records says of its own state."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable
from payonce.idempotency.audit import ReleasedBy
from payonce.idempotency.audit_items import DatabaseAuditTrail
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.stores.memory import MemoryDatabase
from tests.support.faulty_database import FaultyDatabase

CLAIM = IdempotencyRecord(
    record_id="m#op#k",
    status=RecordStatus.IN_PROGRESS,
    claim_id="c1",
    fence=1,
    fingerprint="f",
    created_at_ms=1_000,
    expires_at_ms=9_000,
    lease_expires_at_ms=1_500,
)


class Away(MemoryDatabase):
    """A database that does not answer."""

    def get(self, *_: Any, **__: Any) -> Any:
        """See ``Database``."""
        raise StoreUnavailable("away")


def test_a_store_that_can_not_be_read_is_not_ready() -> None:
    DatabaseIdempotencyStore(MemoryDatabase()).check()
    with pytest.raises(StoreUnavailable):
        DatabaseIdempotencyStore(Away()).check()


@pytest.mark.parametrize("answer", ["applied", "lost"])
def test_a_takeover_whose_answer_was_lost_is_looked_for_at_once(answer: str) -> None:
    """Fails when its owner learns only from a refused second try that it has the claim, or that it has not."""
    database = FaultyDatabase()
    store = DatabaseIdempotencyStore(database)
    observed = store.claim(CLAIM)
    database.script = [answer]
    if answer == "applied":
        assert store.take_over(observed, lease_expires_at_ms=5_000, owner="me").fence == 2
    else:
        with pytest.raises(OutcomeUnknown):
            store.take_over(observed, lease_expires_at_ms=5_000, owner="me")
    assert database.writes == 2


def test_a_release_is_among_the_entries_of_its_month_where_nothing_else_happened() -> None:
    """The claim is of an earlier month. Fails when the scope is not listed: an export would leave the release out."""
    database = MemoryDatabase()
    store = DatabaseIdempotencyStore(database)
    at_ms = 40 * 86_400_000
    store.release(store.claim(CLAIM), by=ReleasedBy(operator="ada", reason="ticket 7", at_ms=at_ms))
    entries = DatabaseAuditTrail(database, 1).entries(from_ms=at_ms, until_ms=at_ms + 1)
    assert "released" in [entry.transition for entry in entries]
