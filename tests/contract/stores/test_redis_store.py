"""What only the Redis store promises: its errors, purging, index and audit in one script, and what a server loses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.crc import key_slot

from local.redis_servers import running_redis
from payonce.domain.errors import LeaseLost, MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.audit import ReleasedBy, released_entry
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS, shard_of
from payonce.idempotency.record_store import ClaimTaken
from payonce.idempotency.records import RecordStatus
from payonce.ports import Insert, Table
from payonce.stores import redis_audit, redis_calls, redis_transitions
from payonce.stores.redis_audit import RedisAuditTrail
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from payonce.stores.redis_keys import RedisKeys
from payonce.stores.redis_scripts import CHANGE, CLAIM, RELEASE, RESTORE, TAKE_OVER
from tests.support.redis_faults import client_of, redis_proxy
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, RESPONSE, FileEffects, FileWork, execute, new_record
from tests.support.tcp_faults import Fault
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from local.redis_servers import RedisServer
    from payonce.idempotency.audit import AuditEntry
    from payonce.idempotency.records import IdempotencyRecord

pytestmark = pytest.mark.usefixtures("each_way_to_call_redis")
IN_FIBERS = False  # which way, set by the fixture
PATIENCE_SECONDS = 60
RECORD = new_record()
SHARD = shard_of(RECORD.record_id)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to be broken. It knows the scripts, so that what breaks is never a NOSCRIPT."""
    with running_redis() as [server]:
        with client_of(server.url) as client:
            for script in (CLAIM, TAKE_OVER, CHANGE, RELEASE, RESTORE):
                assert client.script_load(script.source) == script.sha1
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    """A client of the test's own server."""
    with client_of(server.url) as client:
        yield client


@pytest.fixture
def redis_store(client: Redis) -> RedisIdempotencyStore:
    """A store on the test's own server."""
    return RedisIdempotencyStore(client, clock=RealClock())


def complete(store: RedisIdempotencyStore, owned: IdempotencyRecord = RECORD) -> IdempotencyRecord:
    return store.complete(owned, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=())


def park(store: RedisIdempotencyStore, owned: IdempotencyRecord = RECORD) -> IdempotencyRecord:
    return store.park(owned, RESPONSE, submit_horizon_ms=7, retry_at_ms=9, ended_at_ms=ENDED_AT_MS, writes=())


def take_over(store: RedisIdempotencyStore, owned: IdempotencyRecord = RECORD) -> IdempotencyRecord:
    return store.take_over(owned, lease_expires_at_ms=5_000)


TRANSITIONS: dict[str, Callable[[RedisIdempotencyStore], Any]] = {
    "complete": complete,
    "park": park,
    "take_over": take_over,
    "release": lambda store: store.release(RECORD),
}


def everything(client: Redis) -> dict[bytes, Any]:
    """Return all that is stored, for comparing before and after."""
    readers: dict[bytes, Callable[[bytes], Any]] = {
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": client.xrange,
    }
    return {key: readers[client.type(key)](key) for key in client.scan_iter()}


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_a_transition_whose_answer_is_lost_is_unknown(
    server: RedisServer, client: Redis, redis_store: RedisIdempotencyStore, transition: str
) -> None:
    """Done once and reported as unknown. Fails (lease lost) when the client library sends it again by itself."""
    redis_store.claim(RECORD)
    with redis_proxy(server.url) as proxy, client_of(proxy.url) as through:
        store = RedisIdempotencyStore(through, clock=RealClock())
        assert store.get(RECORD.record_id) == RECORD
        client.config_resetstat()
        proxy.fault = Fault.DROP_ANSWER
        with pytest.raises(OutcomeUnknown):
            TRANSITIONS[transition](store)
        assert proxy.lost == 1
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
    assert redis_store.get(RECORD.record_id) != RECORD
    assert len(RedisAuditTrail(client).history(RECORD.record_id)) == 2


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_a_transition_that_never_arrived_is_unknown(
    server: RedisServer, client: Redis, redis_store: RedisIdempotencyStore, transition: str
) -> None:
    """From here it looks the same as a lost answer. Fails when a broken connection is taken for "not done"."""
    redis_store.claim(RECORD)
    before = everything(client)
    with redis_proxy(server.url) as proxy, client_of(proxy.url) as through:
        store = RedisIdempotencyStore(through, clock=RealClock())
        proxy.fault = Fault.DROP_REQUEST
        with pytest.raises(OutcomeUnknown):
            TRANSITIONS[transition](store)
    assert everything(client) == before


def test_a_claim_whose_answer_is_lost_is_found_by_reading(server: RedisServer) -> None:
    """Fails when the claim is not read back: nobody would act under it, and the key would be blocked for its lease."""
    with redis_proxy(server.url) as proxy, client_of(proxy.url) as through:
        store = RedisIdempotencyStore(through, clock=RealClock())
        proxy.fault = Fault.DROP_ANSWER
        assert store.claim(RECORD) == RECORD
        proxy.fault = Fault.DROP_ANSWER
        with pytest.raises(ClaimTaken):
            store.claim(new_record("c2"))
        assert proxy.lost == 2


def test_a_claim_that_never_arrived_is_unknown_and_may_be_put_again(server: RedisServer) -> None:
    """From here it may still be on its way. Fails when what is not there now is taken for what never will be."""
    with redis_proxy(server.url) as proxy, client_of(proxy.url) as through:
        store = RedisIdempotencyStore(through, clock=RealClock())
        proxy.fault = Fault.DROP_REQUEST
        with pytest.raises(OutcomeUnknown):
            store.claim(RECORD)
        assert store.get(RECORD.record_id) is None
        assert store.claim(RECORD) == RECORD


@pytest.mark.parametrize("fault", [Fault.DROP_REQUEST, Fault.DROP_ANSWER])
def test_a_request_whose_completion_is_lost_is_answered_by_its_retry(
    server: RedisServer, tmp_path: Path, fault: Fault
) -> None:
    """The whole engine, over a connection that breaks at the completion. Fails (two effects) without the fence."""
    effects, clock = FileEffects(tmp_path / "effects"), RealClock()
    with redis_proxy(server.url) as proxy, client_of(proxy.url) as through:
        store = RedisIdempotencyStore(through, clock=clock)

        def step(name: str) -> None:
            if name == "acted":
                proxy.fault = fault

        # Not written, or written without an answer: it is looked at, and tried again under the fence.
        assert not execute(store, FileWork(effects, step=step), clock).replayed
        assert execute(store, FileWork(effects), clock).replayed
        assert len(effects.all()) == proxy.lost == 1


def test_a_server_that_is_gone_has_done_nothing(server: RedisServer, redis_store: RedisIdempotencyStore) -> None:
    """Fails (unknown, so that no commit is tried again) when a refused connection is not told apart."""
    redis_store.claim(RECORD)
    server.kill()
    with pytest.raises(StoreUnavailable):
        redis_store.claim(new_record(record_id="other"))
    for transition in TRANSITIONS.values():
        with pytest.raises(StoreUnavailable):
            transition(redis_store)
    with pytest.raises(StoreUnavailable):
        redis_store.get(RECORD.record_id)
    server.start()
    complete(redis_store)


def test_a_frozen_servers_late_answer_is_nobody_elses(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server executes after we gave up. Fails when the connection is used again: its answer comes to the next."""
    monkeypatch.setattr(redis_calls, "READ_TIMEOUT_SECONDS", 1.0)
    with client_of(server.url) as client:
        store = RedisIdempotencyStore(client, clock=RealClock())
        store.claim(RECORD)
        server.pause()
        with pytest.raises(OutcomeUnknown):
            complete(store)
        with pytest.raises(StoreUnavailable):
            store.claim(new_record(record_id="other"))
        server.resume()
        give_up = time.monotonic() + PATIENCE_SECONDS
        while (stored := store.get(RECORD.record_id)) is None or stored.response is None:
            assert time.monotonic() < give_up
        assert stored.response == RESPONSE
        assert store.claim(new_record("c9", record_id="third")).claim_id == "c9"


def test_answers_that_were_not_read_are_nobody_elses(
    server: RedisServer, client: Redis, redis_store: RedisIdempotencyStore
) -> None:
    """One of many reads fails. Fails when the answers after it are left on a connection that is used again."""
    redis_store.claim(RECORD)
    client.set(RedisKeys("payonce").record("broken"), "no hash")
    connection = client.client_id()
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        redis_store.get_many([RECORD.record_id, "broken", RECORD.record_id])
    with client_of(server.url) as other:  # given up at once, and not when it is next used: answers may be on their way
        give_up = time.monotonic() + PATIENCE_SECONDS
        # Fibers read them all, and keep the connection.
        while not IN_FIBERS and str(connection) in {str(found["id"]) for found in other.client_list()}:
            assert time.monotonic() < give_up
    assert redis_store.get("none") is None
    assert redis_store.get_many([]) == []


def test_acknowledged_claims_survive_a_killed_server(server: RedisServer, redis_store: RedisIdempotencyStore) -> None:
    """Fails when the server is run without appendonly yes."""
    for number in range(50):
        redis_store.claim(new_record(record_id=f"r{number}"))
    server.restart()
    for number in range(50):
        assert redis_store.get(f"r{number}") == new_record(record_id=f"r{number}")


def test_a_server_that_forgot_the_scripts_is_taught_again(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """A restart, a failover or SCRIPT FLUSH. Fails when NOSCRIPT is an error."""
    for step in (lambda store: store.claim(RECORD), take_over):
        client.script_flush()
        step(redis_store)
    client.script_flush()
    redis_store.release(new_record(fence=2))
    assert redis_store.get(RECORD.record_id) is None


def test_a_demoted_primary_does_nothing(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """READONLY after a failover. Fails (unknown) when the refusal is not recognised, or when we don't connect anew."""
    redis_store.claim(RECORD)
    client.replicaof("127.0.0.1", 1)
    before, connections = everything(client), client.info("stats")["total_connections_received"]
    with pytest.raises(StoreUnavailable, match="is a slave"):
        redis_store.claim(new_record(record_id="other"))
    assert redis_store.get(RECORD.record_id) == RECORD
    assert client.info("stats")["total_connections_received"] > connections
    for name, transition in TRANSITIONS.items():
        with pytest.raises(StoreUnavailable, match="is a slave" if name == "take_over" else "ReadOnlyError"):
            transition(redis_store)
    assert everything(client) == before
    client.replicaof("NO", "ONE")
    complete(redis_store)


def test_a_full_server_refuses_whole_transitions_and_lets_go(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """Fails (half a transition) when a script's first write is one that a full server takes, and a later one is not."""
    redis_store.claim(RECORD)
    client.config_set("maxmemory", 1)
    before = everything(client)
    with pytest.raises(StoreUnavailable, match="OutOfMemory"):
        redis_store.claim(new_record(record_id="other"))
    for name in ("complete", "park", "take_over"):
        with pytest.raises(StoreUnavailable, match="OutOfMemory"):
            TRANSITIONS[name](redis_store)
    assert everything(client) == before
    redis_store.release(RECORD)
    assert redis_store.get(RECORD.record_id) is None
    assert redis_store.open_claims(SHARD, lease_expired_at_ms=9_999, limit=9) == []
    assert transitions(RedisAuditTrail(client).history(RECORD.record_id)) == [("claimed", 1), ("released", 1)]


def test_too_few_replicas_or_a_full_disk_are_refusals(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """NOREPLICAS stands for the codes that the client library has no class for. Fails (unknown) without them."""
    redis_store.claim(RECORD)
    client.config_set("min-replicas-to-write", 1)
    before = everything(client)
    for transition in TRANSITIONS.values():
        with pytest.raises(StoreUnavailable, match="NOREPLICAS"):
            transition(redis_store)
    assert everything(client) == before


def test_an_error_in_the_middle_of_a_script_is_unknown(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """Something else is stored under our name. Fails when every error of a server is taken for a refusal."""
    redis_store.claim(RECORD)
    client.delete(f"payonce{{{SHARD}}}:audit")
    client.set(f"payonce{{{SHARD}}}:audit", "not a stream")
    with pytest.raises(OutcomeUnknown):
        complete(redis_store)
    stored = redis_store.get(RECORD.record_id)
    assert stored is not None
    assert stored.status is RecordStatus.COMPLETED


def test_open_claims_are_kept_and_completed_ones_purged(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """Fails when a claim expires (a charge in doubt is forgotten), or when a completed record never does."""
    key = f"payonce{{{SHARD}}}:record:{RECORD.record_id}"
    redis_store.claim(RECORD)
    assert client.pttl(key) == -1
    parked = park(redis_store)
    assert client.pttl(key) == -1
    taken = take_over(redis_store, parked)
    assert client.pttl(key) == -1
    complete(redis_store, taken)
    assert client.execute_command("PEXPIRETIME", key) == PURGE_AT_SECONDS * 1000


def test_a_purged_key_is_free_again(redis_store: RedisIdempotencyStore) -> None:
    redis_store.claim(RECORD)
    redis_store.complete(RECORD, RESPONSE, purge_at_seconds=int(time.time()) + 1, ended_at_ms=ENDED_AT_MS, writes=())
    give_up = time.monotonic() + PATIENCE_SECONDS
    while redis_store.get(RECORD.record_id) is not None:
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert redis_store.claim(new_record("c2")) == new_record("c2")


def transitions(entries: list[AuditEntry]) -> list[tuple[str, int]]:
    return [(entry.transition.value, entry.fence) for entry in entries]


def test_every_transition_is_audited_and_no_refused_one(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """Fails when a script writes the record and not its entry, or an entry for a refused transition."""
    redis_store.claim(RECORD)
    for write in (lambda: redis_store.claim(new_record("c2")), lambda: complete(redis_store, new_record(fence=7))):
        with pytest.raises((ClaimTaken, LeaseLost)):
            write()
    parked = park(redis_store)
    complete(redis_store, take_over(redis_store, parked))
    trail = RedisAuditTrail(client)
    history = trail.history(RECORD.record_id)
    assert transitions(history) == [("claimed", 1), ("parked", 1), ("taken_over", 2), ("completed", 2)]
    assert [(entry.status, entry.lease_expires_at_ms, entry.response_status) for entry in history] == [
        ("INPROGRESS", 1_500, 0),
        ("IN_DOUBT", 9, 201),
        ("INPROGRESS", 5_000, 201),
        ("COMPLETED", 0, 201),
    ]
    assert {(entry.claim_id, entry.resource, entry.fingerprint) for entry in history} == {("c1", "/payments/p", "f")}
    assert trail.history(RECORD.record_id, newest_first=True, limit=3) == history[:0:-1]
    assert trail.history("m#op#another") == []


@pytest.mark.parametrize("offset_ms", [-50_000, 50_000])
def test_the_trail_is_read_by_time_and_scope(client: Redis, monkeypatch: pytest.MonkeyPatch, offset_ms: int) -> None:
    """Over all shards and page by page. Fails when an entry at a page's end is lost, repeated or out of order."""
    monkeypatch.setattr(redis_audit, "PAGE_SIZE", 3)
    clock = RealClock(offset_ms)  # against the server's: nearly as far as the start-up check lets it
    store = RedisIdempotencyStore(client, clock=clock)
    for number in range(60):
        store.claim(new_record(record_id=f"m{number % 2}#op#{number}"))
        time.sleep(0.002)  # shards have no order among them within one millisecond
    trail, now_ms = RedisAuditTrail(client), clock.now_ms()
    found = list(trail.entries(from_ms=now_ms - 40_000, until_ms=now_ms + 1))
    assert [entry.record_id for entry in found] == [f"m{number % 2}#op#{number}" for number in range(60)]
    assert list(trail.entries(from_ms=now_ms - 40_000, until_ms=now_ms + 1, scope="m1")) == found[1::2]
    assert list(trail.entries(from_ms=now_ms + 1, until_ms=now_ms + 80_000)) == []
    assert list(trail.entries(from_ms=0, until_ms=found[0].at_ms)) == []


def test_an_operators_release_is_in_the_trail_with_its_reason(
    client: Redis, redis_store: RedisIdempotencyStore
) -> None:
    """A claim in doubt too. Fails when the entry is the engine's, or when a completed record can be released."""
    parked = park(redis_store, redis_store.claim(RECORD))
    by = ReleasedBy(operator="ada", reason="ticket", finding="nothing", at_ms=5, forced=True)
    redis_store.release(parked, by=by)
    assert redis_store.get(RECORD.record_id) is None
    trail = RedisAuditTrail(client)
    assert trail.history(RECORD.record_id)[-1] == released_entry(parked, by)
    redis_store.claim(RECORD)
    complete(redis_store)
    stored = redis_store.get(RECORD.record_id)
    assert stored is not None
    before = everything(client)
    for record in (stored, RECORD, parked):
        with pytest.raises(LeaseLost):
            redis_store.release(record, by=by)
    assert everything(client) == before


def test_the_audit_is_capped(
    client: Redis, redis_store: RedisIdempotencyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails (a server that fills up, and refuses claims) when the stream grows without end."""
    monkeypatch.setattr(redis_transitions, "AUDIT_ENTRIES_PER_SHARD", 200)
    for _ in range(500):
        redis_store.claim(RECORD)
        redis_store.release(RECORD)
    assert 200 <= client.xlen(f"payonce{{{SHARD}}}:audit") < 500  # cut in whole nodes of the stream


def test_business_writes_are_refused_and_nothing_is_stored(client: Redis, redis_store: RedisIdempotencyStore) -> None:
    """Fails (a payment without its ledger entry) when writes are left out in silence."""
    writes = [Insert(Table.PAYMENTS, {"pk": "p", "sk": "s"})]
    with pytest.raises(MisconfiguredError, match="DynamoDB"):
        redis_store.claim(RECORD, writes)
    redis_store.claim(RECORD)
    before = everything(client)
    for write in (
        lambda: redis_store.complete(
            RECORD, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=writes
        ),
        lambda: redis_store.park(
            RECORD, RESPONSE, submit_horizon_ms=1, retry_at_ms=2, ended_at_ms=ENDED_AT_MS, writes=writes
        ),
        lambda: redis_store.release(RECORD, writes),
    ):
        with pytest.raises(MisconfiguredError):
            write()
    assert everything(client) == before


def test_prefixes_do_not_see_each_other(client: Redis) -> None:
    one, other = (RedisIdempotencyStore(client, prefix=prefix, clock=RealClock()) for prefix in ("one", "other"))
    one.claim(RECORD)
    assert other.get(RECORD.record_id) is None
    assert other.open_claims(SHARD, lease_expired_at_ms=9_999, limit=9) == []
    assert RedisAuditTrail(client, prefix="other").history(RECORD.record_id) == []


@pytest.mark.parametrize("prefix", ["", "a{b}", "x" * 65, "with space"])
def test_prefixes_that_would_break_keys_are_refused(client: Redis, prefix: str) -> None:
    with pytest.raises(MisconfiguredError, match="prefix"):
        RedisIdempotencyStore(client, prefix=prefix, clock=RealClock())


def test_a_client_that_decodes_is_refused(server: RedisServer) -> None:
    """Fails (a binary response that can't be read) when the client's settings are not looked at."""
    with client_of(f"{server.url}?decode_responses=True") as client, pytest.raises(MisconfiguredError, match="decode"):
        RedisIdempotencyStore(client, clock=RealClock())


def test_all_keys_of_a_record_are_in_one_slot_of_a_cluster() -> None:
    """A server in cluster mode refuses scripts over several slots. Fails without the hash tag in every key."""
    keys = RedisKeys("payonce")
    for number in range(3 * OPEN_LEASE_SHARDS):
        record_id = f"m{{x}}{number}#op"
        shard = shard_of(record_id)
        assert len({slot_of(key) for key in (keys.record(record_id), keys.open(shard), keys.audit(shard))}) == 1


def slot_of(key: str) -> int:
    """Return the slot as a client of a cluster finds it."""
    return int(key_slot(key.encode()))
