"""The operator's commands on a sidecar's own records, in Redis; and its store behind Redlock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.redis_servers import running_redis
from payonce.cli import main as cli
from payonce.clock import SystemClock
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.proxy.config_process import Store
from payonce.stores.redlock import RedlockIdempotencyStore
from payonce.wiring.proxy import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.redis_servers import RedisServer

KEY = "order-4711-attempt"
SCOPE, OPERATION = "shop", "proxy:orders"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with running_redis() as servers:
        yield servers[0]


@pytest.fixture
def config(server: RedisServer, tmp_path: Path) -> Path:
    """A sidecar's configuration, with a store of its own in the server."""
    document = {
        "store": {"kind": "redis", "url": server.url, "prefix": tmp_path.name},
        "upstreams": {"shop": {"url": "http://127.0.0.1:9"}},
        "routes": [{"name": "orders", "path": "/orders", "upstream": "shop", "scope": {"fixed": SCOPE}}],
    }
    file = tmp_path / "sidecar.json"
    file.write_text(json.dumps(document))
    return file


def new_record(now_ms: int) -> IdempotencyRecord:
    return IdempotencyRecord(
        record_id=record_id(SCOPE, OPERATION, KEY),
        status=RecordStatus.IN_PROGRESS,
        claim_id="req_1",
        fence=1,
        fingerprint="f" * 64,
        created_at_ms=now_ms - 60_000,
        expires_at_ms=now_ms + 86_400_000,
        lease_expires_at_ms=now_ms - 30_000,
        plan={"kind": "forward"},
    )


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    code = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_claim_is_shown_released_and_exported(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when a claim of unknown outcome is released although nobody has looked at the upstream."""
    clock = SystemClock()
    settings = Store.model_validate(json.loads(config.read_text())["store"])
    store = make_store(settings, clock=clock)
    store.claim(new_record(clock.now_ms()))
    place = ("--config", config, "--merchant", SCOPE)
    code, shown, _ = run(capsys, "key", "show", KEY, *place)
    assert code == 0
    assert OPERATION in shown
    assert "fence          1" in shown
    order = ("key", "release", KEY, *place, "--operation", OPERATION, "--claim-id", "req_1", "--fence", "1")
    who = ("--operator", "ann", "--reason", "the shop's server was lost")
    code, _, refused = run(capsys, *order, *who)
    assert (code, "--checked-at-gateway" in refused) == (2, True)
    assert store.get(record_id(SCOPE, OPERATION, KEY)) is not None
    code, _, _ = run(capsys, *order, *who, "--checked-at-gateway", "no such order")
    assert code == 0
    assert store.get(record_id(SCOPE, OPERATION, KEY)) is None
    day = ("--from", "2026-01-01", "--to", "2100-01-01")
    code, exported, _ = run(capsys, "audit", "export", "--config", config, *day)
    entries = [json.loads(line) for line in exported.splitlines()]
    assert [entry["transition"] for entry in entries] == ["claimed", "released"]
    assert entries[1]["reason"] == "the shop's server was lost"


def test_records_in_memory_can_not_be_looked_at(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(config.read_text())
    config.write_text(json.dumps({**document, "store": {"kind": "memory"}}))
    code, _, error = run(capsys, "key", "show", KEY, "--config", config, "--merchant", SCOPE)
    assert (code, "memory" in error) == (2, True)


def test_lock_nodes_put_redlock_around_the_store(server: RedisServer) -> None:
    """Fails when the setting is taken and nothing is locked."""
    with running_redis(3) as nodes:
        urls = tuple(node.url for node in nodes)
        store = make_store(Store(kind="redis", url=server.url, prefix="locked", lock_nodes=urls))
        assert isinstance(store, RedlockIdempotencyStore)
        now_ms = SystemClock().now_ms()
        from dataclasses import replace

        store.claim(replace(new_record(now_ms), lease_expires_at_ms=now_ms + 30_000))
        from payonce.stores.redlock import lock_node

        # pottery returns once most of the nodes hold the lock; the last may hold it a moment later, or not at all.
        assert sum(lock_node(url).dbsize() for url in urls) > len(urls) // 2
