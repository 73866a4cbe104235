"""A Redis server whose settings are changed while it is used, or that is exchanged or emptied under us.

Redis takes new settings while connections stay open (https://redis.io/docs/latest/operate/oss_and_stack/management/
config/), evicts by them with the next command (https://redis.io/docs/latest/develop/reference/eviction/), and tells
none of its clients. What is looked at once, at the start, therefore says nothing an hour later.
"""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from local.redis_servers import running_redis
from payonce.domain.errors import LeaseLost, MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.idempotency.attempt import WasExecuted
from payonce.idempotency.audit import ReleasedBy
from payonce.idempotency.operation import current_attempt, idempotent_operation
from payonce.idempotency.record_items import shard_of
from payonce.idempotency.record_store import ClaimTaken
from payonce.idempotency.records import RecordStatus
from payonce.stores import redis_calls
from payonce.stores.redis_audit import RedisAuditTrail
from payonce.stores.redis_calls import check_redis
from payonce.stores.redis_checks import Durability
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from tests.support.conformance import fresh
from tests.support.http import call
from tests.support.proxy import TENANT, configuration
from tests.support.redis_faults import RedisProxy, client_of
from tests.support.stores import ENDED_AT_MS, PURGE_AT_SECONDS, RESPONSE, FileEffects, FileWork, execute, new_record
from tests.support.tcp_faults import serving
from tests.support.upstreams.running import running_counter, running_sidecar
from tests.support.world import RealClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from redis import Redis

    from local.redis_servers import RedisServer
    from payonce.idempotency.records import IdempotencyRecord

pytestmark = pytest.mark.usefixtures("each_way_to_call_redis")
AT_ONCE = [  # seen by the claim itself
    ({"maxmemory-policy": "allkeys-lru"}, "Set maxmemory-policy noeviction"),
    ({"maxmemory-policy": "volatile-ttl"}, "Set maxmemory-policy noeviction"),
]
SOON = [  # seen within SETTINGS_AGE_SECONDS
    ({"appendonly": "no"}, "Set appendonly yes"),
    ({"appendonly": "no", "save": "1 1"}, "Set appendonly yes"),
    ({"appendfsync": "everysec"}, "durability is EVERY_SECOND, ALWAYS is asked for"),
    ({"appendfsync": "no"}, "appendfsync always"),
    ({"no-appendfsync-on-rewrite": "yes"}, "no-appendfsync-on-rewrite no"),
]
MENDED = {
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "appendfsync": "always",
    "appendonly": "yes",
    "no-appendfsync-on-rewrite": "no",
    "save": "",
    "replica-read-only": "yes",
}
LONG_SECONDS = 3600.0
PATIENCE_SECONDS = 20


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A server of the test's own, to be changed."""
    with running_redis() as [server]:
        yield server


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    """A client of the test's own server."""
    with client_of(server.url) as client:
        yield client


@pytest.fixture
def store(client: Redis) -> RedisIdempotencyStore:
    """A store that has used its connection already."""
    store = RedisIdempotencyStore(client, clock=RealClock())
    store.release(store.claim(new_record(record_id="warm")))
    return store


def set_all(client: Redis, settings: dict[str, str]) -> None:
    for name, value in settings.items():
        client.config_set(name, value)


def refused_within(seconds: float, store: RedisIdempotencyStore, match: str) -> None:
    """Claim anew until it is refused, at the latest after ``seconds``."""
    give_up, number = time.monotonic() + seconds, 0
    while time.monotonic() < give_up:
        try:
            store.claim(new_record(record_id=f"before-{number}"))
        except StoreUnavailable as refused:
            if match in refused.detail:
                return
        except OutcomeUnknown:
            pass  # the connection was cut under it
        number += 1
    raise AssertionError(f"no claim was refused with {match!r}")


def claimed_within(seconds: float, store: RedisIdempotencyStore) -> None:
    """Claim anew until one is made, at the latest after ``seconds``: a connection may be cut under the first ones."""
    give_up, number = time.monotonic() + seconds, 0
    while time.monotonic() < give_up:
        with suppress(StoreUnavailable, OutcomeUnknown):
            assert store.claim(new_record(record_id=f"after-{number}")).fence == 1
            return
        number += 1
    raise AssertionError("no claim was made")


def refused_at_once(store: RedisIdempotencyStore, match: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        store.claim(new_record(record_id="fresh"))
    assert match in refused.value.detail


@pytest.mark.parametrize(("settings", "match"), AT_ONCE)
def test_the_claim_itself_sees_a_server_that_evicts(
    client: Redis, store: RedisIdempotencyStore, settings: dict[str, str], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for the next look. Fails (claimed) when the script does not ask."""
    monkeypatch.setattr(redis_calls, "SETTINGS_AGE_SECONDS", LONG_SECONDS)
    set_all(client, settings)
    refused_at_once(store, match)
    assert store.get("fresh") is None
    set_all(client, MENDED)
    assert store.claim(new_record(record_id="fresh")).fence == 1


@pytest.mark.parametrize(("settings", "match"), SOON)
def test_a_weaker_server_is_seen_soon_and_served_again_when_mended(
    client: Redis, store: RedisIdempotencyStore, settings: dict[str, str], match: str
) -> None:
    """Fails (claimed until the end) when settings are looked at only at the start."""
    set_all(client, settings)
    refused_within(3 * redis_calls.SETTINGS_AGE_SECONDS, store, match)
    refused_at_once(store, match)
    with pytest.raises(StoreUnavailable, match="Nothing was executed"):
        store.check()
    set_all(client, MENDED)
    store.check()
    assert store.claim(new_record(record_id="fresh")).fence == 1


def test_less_is_enough_where_less_is_asked_for(client: Redis) -> None:
    store = RedisIdempotencyStore(client, clock=RealClock(), at_least=Durability.NONE)
    set_all(client, {"appendonly": "no"})
    store.check()
    store.claim(new_record())
    set_all(client, {"maxmemory-policy": "allkeys-lru"})
    refused_at_once(store, "noeviction")


def test_a_primary_that_becomes_a_writable_replica_is_seen_by_the_claim(
    client: Redis, store: RedisIdempotencyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replica that takes writes throws them away at its next synchronisation. Fails when only READONLY stops us.

    https://redis.io/docs/latest/operate/oss_and_stack/management/replication/ (writable replicas)
    """
    monkeypatch.setattr(redis_calls, "SETTINGS_AGE_SECONDS", LONG_SECONDS)
    set_all(client, {"replica-read-only": "no"})
    client.replicaof("127.0.0.1", 1)
    refused_at_once(store, "is a slave")
    client.replicaof("NO", "ONE")
    assert store.claim(new_record()).fence == 1


def test_what_is_stored_is_replayed_and_finished_all_the_same(client: Redis, store: RedisIdempotencyStore) -> None:
    """Fails when a server that may not take claims does not tell what has been executed, or loses an outcome."""
    done, open_, stale = (store.claim(new_record(record_id=name)) for name in ("done", "open", "stale"))
    finish(store, done)
    set_all(client, {"maxmemory-policy": "allkeys-lfu"})
    with pytest.raises(ClaimTaken) as taken:
        store.claim(new_record("c2", record_id="done"))
    assert taken.value.record.response == RESPONSE
    with pytest.raises(StoreUnavailable, match="noeviction"):
        store.take_over(stale, lease_expires_at_ms=9_000)
    assert store.get("stale") == stale
    assert finish(store, open_).status is RecordStatus.COMPLETED


def finish(store: RedisIdempotencyStore, owned: IdempotencyRecord) -> IdempotencyRecord:
    return store.complete(owned, RESPONSE, purge_at_seconds=PURGE_AT_SECONDS, ended_at_ms=ENDED_AT_MS, writes=())


def test_a_new_connection_to_another_server_is_looked_at(
    client: Redis, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover behind one address, to a server that syncs every second. Fails when only the first one is checked."""
    monkeypatch.setattr(redis_calls, "SETTINGS_AGE_SECONDS", LONG_SECONDS)
    with (
        running_redis(settings={"appendfsync": "everysec"}) as [other],
        switching(server.url) as switch,
        client_of(switch.url) as through,
    ):
        store = RedisIdempotencyStore(through, clock=RealClock())
        store.claim(new_record(record_id="first"))
        switch.to(other.url)
        refused_within(PATIENCE_SECONDS, store, "EVERY_SECOND")
        with client_of(other.url) as theirs:
            assert not list(theirs.scan_iter())
        switch.to(server.url)
        claimed_within(PATIENCE_SECONDS, store)


class Switch:
    """One address that leads to another server from now on; ``to`` cuts what is connected."""

    def __init__(self, target_url: str) -> None:
        self._target_url = target_url
        self._connected: list[socket.socket] = []
        self.url = ""

    def to(self, target_url: str) -> None:
        """Lead to ``target_url``."""
        self._target_url = target_url
        for connected in self._connected:
            connected.shutdown(socket.SHUT_RDWR)
        self._connected.clear()

    def handle(self, client: socket.socket) -> None:
        """Carry one connection."""
        target = urlsplit(self._target_url)
        with socket.create_connection((str(target.hostname), int(target.port or 6379))) as server:
            self._connected.append(server)
            RedisProxy("").relay(client, server)
            self._connected = [other for other in self._connected if other is not server]


@contextmanager
def switching(target_url: str) -> Iterator[Switch]:
    switch = Switch(target_url)
    with serving(switch.handle) as port:
        switch.url = f"redis://127.0.0.1:{port}"
        yield switch


def test_a_server_in_cluster_mode_is_refused() -> None:
    """Its slots may move away, and other shards have other settings."""
    with running_redis(settings={"cluster-enabled": "yes"}) as [server], client_of(server.url) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        with pytest.raises(MisconfiguredError, match="cluster-enabled no"):
            check_redis(client, RealClock())
        refused_at_once(RedisIdempotencyStore(client, clock=RealClock()), "cluster-enabled no")


def test_info_is_enough_for_a_managed_server_and_necessary(client: Redis) -> None:
    """ElastiCache forbids CONFIG, and INFO tells the policy and the role. Fails when the one is taken for the other.

    https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/RestrictedCommands.html
    """
    pool = client.connection_pool.connection_kwargs
    for name, without in {"managed": "-config", "blind": "-info"}.items():
        client.acl_setuser(name, enabled=True, nopass=True, keys=["*"], commands=["+@all", without])
    with client_of(f"redis://managed:any@{pool['host']}:{pool['port']}") as managed:
        store = RedisIdempotencyStore(managed, clock=RealClock(), at_least=Durability.EVERY_SECOND)
        store.claim(new_record())
        client.config_set("maxmemory-policy", "allkeys-lru")
        refused_at_once(store, "maxmemory-policy is allkeys-lru")
    with client_of(f"redis://blind:any@{pool['host']}:{pool['port']}") as blind:
        refused_at_once(RedisIdempotencyStore(blind, clock=RealClock()), "refuses INFO")


def test_many_claims_take_few_looks(client: Redis, store: RedisIdempotencyStore) -> None:
    """Fails when every claim costs a round trip more."""
    client.config_resetstat()
    began = time.monotonic()
    for number in range(200):
        store.claim(new_record(record_id=f"r{number}"))
    looks = client.info("commandstats").get("cmdstat_config|get", {"calls": 0})["calls"]
    assert looks <= 2 + (time.monotonic() - began) / redis_calls.SETTINGS_AGE_SECONDS


def test_completed_keys_on_a_server_that_begins_to_evict_are_not_executed_again(
    client: Redis, store: RedisIdempotencyStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """150 keys, of which the server throws most away. Fails (nearly all executed twice) without the check."""
    effects, clock = FileEffects(tmp_path / "effects"), RealClock()
    keys = [f"key-of-16-characters-{number}" for number in range(150)]
    for key in keys:
        execute(store, FileWork(effects), clock, key)
    set_all(client, {"maxmemory-policy": "allkeys-lru", "maxmemory": "1mb"})
    give_up = time.monotonic() + PATIENCE_SECONDS
    while client.info("stats")["evicted_keys"] < 100:
        client.set(f"other-{time.monotonic_ns()}", "x" * 1000)
        assert time.monotonic() < give_up
    refused = 0
    for key in keys:
        try:
            execute(store, FileWork(effects), clock, key)
        except StoreUnavailable:
            refused += 1
    assert refused >= 100
    assert len(effects.all()) == len(keys)
    assert "Redis server not trusted: no claims are taken" in caplog.messages
    assert any(message.startswith("Redis server has evicted keys") for message in caplog.messages)
    set_all(client, MENDED)
    execute(store, FileWork(effects), clock, "another-key-of-this-test")
    assert "Redis server trusted again: claims are taken" in caplog.messages


def test_the_sidecar_is_not_ready_and_executes_nothing(client: Redis, server: RedisServer, tmp_path: Path) -> None:
    """Fails (200, and executed) when the settings are looked at only at its start."""
    with (
        running_counter() as upstream_url,
        running_sidecar(
            {**configuration(upstream_url), "store": {"kind": "redis", "url": server.url}}, tmp_path
        ) as sidecar,
    ):

        def order(key: str) -> Any:
            headers = {"Idempotency-Key": key, TENANT: "shop"}
            return call(sidecar.url, "POST", "/orders", f'{{"reference":"{key}"}}'.encode(), headers)

        done, refused = fresh(), fresh()
        assert order(done).status == 201
        assert call(sidecar.url, "GET", "/-/ready").status == 200
        client.config_set("maxmemory-policy", "allkeys-random")
        ready = call(sidecar.url, "GET", "/-/ready")
        assert ready.status == 503
        assert b"Set maxmemory-policy noeviction" in ready.body
        answer = order(refused)
        assert (answer.status, answer.json()["type"]) == (503, "urn:payonce:problem:store-unavailable")
        assert "Set maxmemory-policy noeviction" in answer.json()["detail"]
        assert order(done).header("idempotency-replayed") == "true"
        assert call(upstream_url, "GET", "/executions").json().get(refused) is None
        client.config_set("maxmemory-policy", "noeviction")
        assert call(sidecar.url, "GET", "/-/ready").status == 200
        assert order(refused).status == 201


def guarded(store: RedisIdempotencyStore, body: Callable[[], str], **more: Any) -> Callable[[str], str]:
    """Return a guarded function that does ``body``."""

    @idempotent_operation(store=store, operation="ship", scope=lambda _key: "m", key="key", timeout_seconds=30, **more)
    def ship(key: str) -> str:
        return body()

    return ship


def test_a_guarded_function_is_not_called(client: Redis, store: RedisIdempotencyStore) -> None:
    """The same in a program's own process."""
    calls: list[str] = []

    def body() -> str:
        calls.append("called")
        return "shipped"

    ship = guarded(store, body)
    client.config_set("maxmemory-policy", "volatile-lru")
    with pytest.raises(StoreUnavailable, match="Set maxmemory-policy noeviction"):
        ship("key-1")
    assert calls == []
    client.config_set("maxmemory-policy", "noeviction")
    assert ship("key-1") == ship("key-1") == "shipped"
    assert len(calls) == 1


# A server that is emptied under a call ------------------------------------------------------------------------------


def emptied(client: Redis, server: RedisServer, how: str) -> None:
    """Take everything away from the server."""
    if how == "FLUSHALL":
        client.flushall()
    else:
        server.kill()
        for part in sorted(server.folder.rglob("*"), reverse=True):
            if part.name != "server.log" and part.is_file():
                part.unlink()
        server.start()


@pytest.mark.parametrize("how", ["FLUSHALL", "restarted without its data"])
@pytest.mark.parametrize("outcome", ["returns", "raises"])
def test_a_call_whose_claim_is_lost_is_executed_once_and_its_outcome_recorded(
    client: Redis,
    server: RedisServer,
    store: RedisIdempotencyStore,
    how: str,
    outcome: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Fails (LeaseLost, "took longer than timeout_seconds") when a missing record is taken for another owner's."""
    references: list[str] = []

    def body() -> str:
        references.append(current_attempt().reference)
        if len(references) == 1:
            emptied(client, server, how)
        if outcome == "raises":
            raise RuntimeError("it broke, perhaps after it had shipped")
        return "shipped"

    ship = guarded(store, body, resolve=lambda _attempt: WasExecuted("shipped, as found out"))
    if outcome == "raises":
        with pytest.raises(RuntimeError, match="it broke"):
            ship("key-1")
    else:
        assert ship("key-1") == "shipped"
    assert len(references) == 1
    [lost] = [message for message in caplog.messages if "has lost an open claim" in message]
    assert "flushed" in lost
    trail = RedisAuditTrail(client)
    [stored] = trail.entries(from_ms=0, until_ms=2**43)
    assert (stored.claim_id, stored.status) == (
        references[0],
        "COMPLETED" if outcome == "returns" else "IN_DOUBT",
    )
    if outcome == "returns":
        assert ship("key-1") == "shipped"
        assert len(references) == 1


def test_a_call_that_did_nothing_may_be_repeated_after_its_claim_is_lost(
    client: Redis, store: RedisIdempotencyStore
) -> None:
    """Fails (LeaseLost, or executed twice by one call) when a lost claim can't be given back."""
    calls: list[int] = []

    class NotNow(Exception):
        pass

    def body() -> str:
        calls.append(1)
        if len(calls) == 1:
            client.flushall()
            raise NotNow
        return "shipped"

    ship = guarded(store, body, releases_on=(NotNow,))
    with pytest.raises(NotNow):
        ship("key-1")
    assert len(calls) == 1
    assert ship("key-1") == "shipped"


def test_a_lost_record_is_restored_only_where_nobody_has_claimed_it_anew(
    client: Redis, store: RedisIdempotencyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when the older owner's outcome is written over a newer claim, or when nothing tells why there are two."""
    owned = store.claim(new_record())
    client.flushall()
    newer = store.claim(new_record("c2"))
    with pytest.raises(LeaseLost):
        finish(store, owned)
    with pytest.raises(LeaseLost):
        store.release(owned)
    assert store.get(owned.record_id) == newer
    assert len([message for message in caplog.messages if "has lost an open claim" in message]) == 2


def test_a_claim_that_was_released_and_made_anew_is_no_lost_one(
    store: RedisIdempotencyStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a stale owner's late outcome raises an alarm over a server that has lost nothing."""
    owned = store.claim(new_record())
    store.release(owned)
    store.claim(new_record("c2"))
    with pytest.raises(LeaseLost):
        finish(store, owned)
    assert not [message for message in caplog.messages if "lost" in message]


@pytest.mark.parametrize("by", [None, ReleasedBy(operator="ann", reason="a ticket", at_ms=5)])
def test_a_claim_that_was_released_is_no_lost_one(
    store: RedisIdempotencyStore, by: ReleasedBy | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Fails when a stale owner brings back what an operator or a newer owner gave back."""
    owned = store.claim(new_record())
    store.release(owned, by=by)
    for late in (lambda: finish(store, owned), lambda: store.release(owned)):
        with pytest.raises(LeaseLost):
            late()
    assert store.get(owned.record_id) is None
    assert not [message for message in caplog.messages if "lost" in message]


def test_a_lost_claim_that_is_parked_or_taken_over_is_open_again(client: Redis, store: RedisIdempotencyStore) -> None:
    """Fails when what may have been executed is forgotten because its server forgot it."""
    owned = store.claim(new_record())
    client.flushall()
    parked = store.park(owned, RESPONSE, submit_horizon_ms=7, retry_at_ms=9, ended_at_ms=ENDED_AT_MS, writes=())
    assert store.get(owned.record_id) == parked
    client.flushall()
    taken = store.take_over(parked, lease_expires_at_ms=5_000)
    assert taken.fence == 2
    assert store.open_claims(shard_of(owned.record_id), lease_expired_at_ms=6_000, limit=9) == [owned.record_id]
