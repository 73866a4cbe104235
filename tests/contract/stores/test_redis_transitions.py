"""What an owner meets whose record is missing, parked or another's: by record and audit trail, on one Redis server."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import LeaseLost
from payonce.idempotency.record_items import DROPPED_AT_COMPLETION
from payonce.idempotency.records import RecordStatus
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from payonce.stores.redis_keys import RedisKeys
from tests.support.redis_faults import client_of
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, RESPONSE, new_record
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from local.redis_servers import RedisServer
    from payonce.idempotency.records import IdempotencyRecord

HISTORY_ENTRIES = 100  # as many as one read of a record's history returns
_prefixes = (f"transitions-{number}-" for number in itertools.count())


class Shelf:
    """A store under a prefix of its own, and its server's side of it."""

    def __init__(self, client: Redis) -> None:
        prefix = next(_prefixes)
        self.store = RedisIdempotencyStore(client, prefix=prefix, clock=RealClock())
        self._client, self._keys = client, RedisKeys(prefix)

    def finish(self, owned: IdempotencyRecord) -> IdempotencyRecord:
        """Complete the claim."""
        return self.store.complete(
            owned, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=()
        )

    def lose(self, record: IdempotencyRecord) -> None:
        """Take the record away, as an eviction does: the audit trail stays."""
        assert self._client.delete(self._keys.record(record.record_id)) == 1

    def fields(self, record: IdempotencyRecord) -> set[str]:
        """Return the names of what is stored of the record."""
        found: dict[bytes, bytes] = self._client.hgetall(self._keys.record(record.record_id))  # type: ignore[assignment]
        return {name.decode() for name in found}


@pytest.fixture
def shelf(redis_server: RedisServer) -> Iterator[Shelf]:
    """A store of the test's own on the session's server."""
    with client_of(redis_server.url) as client:
        yield Shelf(client)


def lost(caplog: pytest.LogCaptureFixture) -> list[object]:
    """Return which claims the log says to be lost, as record and claim."""
    return [
        (vars(record).get("record_id"), vars(record).get("claim_id"))
        for record in caplog.records
        if "has lost an open claim" in record.message
    ]


def test_who_has_parked_a_claim_owns_it_no_more(shelf: Shelf) -> None:
    """Fails when an owner that left a doubt can end it: recovery, which looks into it, and the owner would both."""
    owned = shelf.store.claim(new_record())
    parked = shelf.store.park(owned, RESPONSE, submit_horizon_ms=7, retry_at_ms=9, ended_at_ms=ENDED_AT_MS, writes=())
    with pytest.raises(LeaseLost):
        shelf.finish(parked)
    assert shelf.store.get(owned.record_id) == parked


def test_an_evicted_claim_is_recorded_as_any_other_is(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """The claim before it was released, which is none of its business. Fails when the owner's outcome is given up,
    when what only an open claim needs is kept, or when the log does not say which claim was lost.
    """
    shelf.store.release(shelf.store.claim(new_record("c1")))
    owned = shelf.store.claim(new_record("c2"))
    shelf.lose(owned)
    shelf.finish(owned)
    found = shelf.store.get(owned.record_id)
    assert found is not None
    assert (found.claim_id, found.status, found.response) == ("c2", RecordStatus.COMPLETED, RESPONSE)
    assert lost(caplog) == [("m#op#k", "c2")]
    kept = shelf.store.claim(new_record("c3", record_id="m#op#another"))
    shelf.finish(kept)
    assert shelf.fields(owned) == shelf.fields(kept)
    assert not shelf.fields(owned) & set(DROPPED_AT_COMPLETION)


def test_a_claim_that_was_taken_over_is_no_lost_one(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """Fails when a stale owner raises the alarm over a server that has lost nothing."""
    owned = shelf.store.claim(new_record())
    shelf.store.take_over(owned, lease_expires_at_ms=5_000)
    with pytest.raises(LeaseLost):
        shelf.finish(owned)
    assert lost(caplog) == []


def test_a_release_is_found_after_a_long_history(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """Fails when the first entries of a history are read instead of the last: what was given back comes back."""
    owned = shelf.store.claim(new_record())
    for turn in range(HISTORY_ENTRIES):
        owned = shelf.store.take_over(owned, lease_expires_at_ms=5_000 + turn)
    shelf.store.release(owned)
    with pytest.raises(LeaseLost):
        shelf.finish(owned)
    assert shelf.store.get(owned.record_id) is None
    assert lost(caplog) == []
