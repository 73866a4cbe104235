"""Every store of idempotency records, nameable across processes, and a small work to do under its claims."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import uuid
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from payonce.idempotency.engine import IdempotencyEngine
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.idempotency.records import (
    Completed,
    Draft,
    IdempotencyRecord,
    KeyedRequest,
    KeyedResponse,
    Plan,
    RecordStatus,
    StoredResponse,
)
from payonce.idempotency.window import IdempotencySettings
from payonce.ports import Deadline, Table
from payonce.stores.memory import MemoryDatabase
from payonce.stores.redis_calls import redis_client
from payonce.stores.redis_idempotency import RedisIdempotencyStore
from payonce.stores.redis_pipeline import FiberRedisCalls
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.fiber_loop import FiberLoop
from tests.support.world import RealClock

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from payonce.idempotency.record_store import IdempotencyStore
    from payonce.idempotency.records import Claim, Conclusion
    from payonce.idempotency.work import Work
    from payonce.ports import Clock
    from payonce.stores.redis_checks import ServerCheck

RESPONSE = StoredResponse(201, {"content-type": "application/json"}, b'{"a":1}')
PURGE_AT_SECONDS = 4_000_000_000  # the year 2096: a Redis server purges by its own clock, which no test owns
ENDED_AT_MS = 1_500
OWNER_MS = 25_000  # how long an owner may run
_prefixes = itertools.count()
_clients: dict[str, Redis] = {}


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where a store is, so that other processes can open it too. ``kind``: memory, moto, dynamodb_local or redis."""

    kind: str
    url: str = ""
    prefix: str = ""

    def open(self) -> IdempotencyStore:
        """Return the store. A memory or moto store is a new one each time."""
        if self.kind == "memory":
            return DatabaseIdempotencyStore(MemoryDatabase())
        if self.kind == "redis":
            return RedisIdempotencyStore(shared_client(self.url), prefix=self.prefix, clock=RealClock())
        if self.kind == "redis_fibers":
            return fiber_store(self.url, prefix=self.prefix)
        client = dynamodb_client(self.url or None)
        return DatabaseIdempotencyStore(
            dynamo_database(client, {table: f"{self.prefix}{table.value}" for table in Table})
        )


def fiber_store(url: str, client: Redis | None = None, **given: Any) -> IdempotencyStore:
    """Return the sidecar's store, whose calls are made in fibers of this process's loop. ``given``: as to the store.

    It closes its connection with ``client``.
    """
    client, loop, made = client or shared_client(url), _fiber_loop(), []

    def calls(client: Redis, check: ServerCheck) -> FiberRedisCalls:
        made.append(FiberRedisCalls(url, client, check))
        return made[0]

    store = RedisIdempotencyStore(client, **{"clock": RealClock(), **given}, calls=calls)
    closing = client.close

    def close() -> None:
        loop.loop.call_soon_threadsafe(made[0].close)  # without waiting: redis-py's finalizer may call this anywhere
        closing()

    client.close = close  # type: ignore[method-assign]
    return loop.port(store)


@cache
def _fiber_loop() -> FiberLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return FiberLoop(loop)


def shared_client(url: str) -> Redis:
    """Return this process's client of a Redis server."""
    if url not in _clients:
        _clients[url] = redis_client(url)
    return _clients[url]


def close_client(url: str) -> None:
    """Close this process's client of a Redis server: an open socket is a warning, and so an error."""
    if url in _clients:
        _clients.pop(url).close()


def new_address(kind: str, url: str = "") -> StoreAddress:
    """Return the address of an empty store, its tables made."""
    address = StoreAddress(kind, url, f"t{os.getpid()}-{next(_prefixes)}-")
    if kind in {"moto", "dynamodb_local"}:
        create_tables(dynamodb_client(url or None), address.prefix)
    return address


def new_record(claim_id: str = "c1", **changes: Any) -> IdempotencyRecord:
    """Return a record to claim."""
    record = IdempotencyRecord(
        record_id="m#op#k",
        status=RecordStatus.IN_PROGRESS,
        claim_id=claim_id,
        fence=1,
        fingerprint="f",
        created_at_ms=1_000,
        expires_at_ms=2_000,
        lease_expires_at_ms=1_500,
        resource="/payments/p",
        plan={"amount_minor": 5, "metadata": {}},
    )
    return replace(record, **changes)


@dataclass(slots=True)
class FileEffects:
    """A world outside: effects as lines of a file, appended by any process. It knows no keys and refuses nothing."""

    path: Path

    def act(self, effect_id: str) -> None:
        """Do it."""
        with self.path.open("a") as file:
            file.write(f"{effect_id}\n")

    def all(self) -> list[str]:
        """Return what was done, in order."""
        return self.path.read_text().split() if self.path.exists() else []


@dataclass(slots=True)
class FileWork:
    """Does one effect, and asks for it before it does it again. ``step`` is called at each point in between."""

    effects: FileEffects
    effect_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    step: Any = lambda _name: None

    def plan(self) -> Plan:
        """See ``Work``."""
        return Plan(claim_id=uuid.uuid4().hex, resource=f"/effects/{self.effect_id}", data={"effect": self.effect_id})

    def largest_response(self) -> StoredResponse:
        """See ``Work``."""
        return self._response()

    def start(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        self.step("claimed")
        self.effects.act(self.effect_id)
        self.step("acted")
        return Completed(lambda: Draft(self._response(), ()))

    def adopt(self, record: IdempotencyRecord) -> Work:
        """See ``Work``."""
        return FileWork(self.effects, record.plan["effect"], self.step)

    def resume(self, claim: Claim) -> Conclusion:
        """See ``Work``."""
        if self.effect_id in self.effects.all():
            return Completed(lambda: Draft(self._response(), ()))
        return self.start(claim)

    def _response(self) -> StoredResponse:
        return StoredResponse(201, {"location": f"/effects/{self.effect_id}"}, f'{{"id":"{self.effect_id}"}}'.encode())


def execute(
    store: IdempotencyStore, work: FileWork, clock: Clock, key: str = "key-of-16-characters", sleep: Any = None
) -> KeyedResponse:
    """Run a keyed request on ``store``, as an owner that may run for ``OWNER_MS``."""
    engine = IdempotencyEngine(
        store=store, settings=IdempotencySettings(), clock=clock, sleep=sleep or (lambda _seconds: None)
    )
    request = KeyedRequest(
        scope="m", operation="op", key=key, fingerprint="f", deadline=Deadline(clock.now_ms() + OWNER_MS)
    )
    return engine.execute(request, work)
