"""What runs are made of: a front, its store, what stands behind it, and how its executions are counted."""

from __future__ import annotations

import json
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

from histories import asking
from histories.history import Execution
from histories.servers import (
    ProcessServer,
    dynamodb_server,
    free_port,
    python_server,
    valkey_server,
)
from histories.worker_kinds import UPSTREAM_SECONDS
from local.redis_servers import RedisServer
from local.sandbox_bank.running import BankHandle
from payonce.ports import Table
from tests.support.proxy import TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from histories.asking import Ask

WORKERS = 2
BANK = "forgetful"  # it ignores idempotency keys, and finds a booking by its reference at once
# Each front with each store that it can have: the API and the function keep their records in the stack's own table.
WORLDS = (
    ("api", "dynamodb"),
    ("gateway", "dynamodb"),
    ("sidecar", "dynamodb"),
    ("sidecar", "valkey"),
    ("in_process", "dynamodb"),
    ("in_process", "valkey"),
    ("middleware", "dynamodb"),
    ("middleware", "valkey"),
)


@dataclass(slots=True)
class World:
    """One front with everything around it, running."""

    name: str
    store: ProcessServer | RedisServer
    behind: ProcessServer
    workers: Sequence[ProcessServer]
    ask: Ask
    executions: Callable[[], dict[str, list[Execution]]]
    has_payments: bool = False


@contextmanager
def running_world(
    front: str, store: str, folder: Path, *, before: str = "", is_durable: bool = True, workers: int = WORKERS
) -> Iterator[World]:
    """Run a world and yield it; end all of its processes at the end in any case.

    ``before`` plants a fault in the workers (``MODULE:FUNCTION``). Without ``is_durable`` the store forgets when it is
    killed, and the workers are told to put up with it.
    """
    with ExitStack() as stack:
        make_store = valkey_server if store == "valkey" else dynamodb_server
        kept: RedisServer | ProcessServer = make_store(folder, is_durable=is_durable)
        stack.callback(kept.kill)
        behind = _behind(front, folder)
        stack.callback(behind.kill)
        behind.start()
        planted = ["--before", before] if before else []
        fronts = []
        for number in range(workers):
            port = free_port()
            settings = _settings(front, kept, behind.url, folder, port, is_durable=is_durable)
            worker = python_server(
                "histories.worker", [front, str(port), settings, *planted], port, folder / f"worker-{number}.log"
            )
            stack.callback(worker.kill)
            worker.start()
            fronts.append(worker)
        yield World(
            name=f"{front} on {store}",
            store=kept,
            behind=behind,
            workers=fronts,
            ask=ASK[front],
            executions=_booked(behind.url) if front == "api" else _ordered(behind.url, once=front == "dispatcher"),
            has_payments=front == "api",
        )


ASK: dict[str, Ask] = {
    "api": asking.ask_api,
    "gateway": asking.ask_gateway,
    "sidecar": asking.ask_sidecar,
    "in_process": asking.ask_in_process,
    "middleware": asking.ask_middleware,
    "dispatcher": asking.ask_in_process,
}


def _behind(front: str, folder: Path) -> ProcessServer:
    port = free_port()
    log = folder / "behind.log"
    if front == "api":
        arguments = ["--port", str(port), "--books", str(folder / "books.sqlite")]
        return python_server("local.sandbox_bank", arguments, port, log)
    return python_server("histories.upstream", [str(port), str(folder / "orders.jsonl")], port, log)


def _settings(
    front: str, store: ProcessServer | RedisServer, behind_url: str, folder: Path, port: int, *, is_durable: bool
) -> str:
    """Return the worker's last argument."""
    if isinstance(store, RedisServer):
        kept = {"kind": "redis", "url": store.url, "durability": "always" if is_durable else "none"}
    else:
        kept = {"kind": "dynamodb", "table": Table.IDEMPOTENCY.value, "endpoint_url": store.url}
    if front == "sidecar":
        file = folder / f"sidecar-{port}.json"
        server = {"port": port, "recovery_interval_seconds": 1}
        config = {**_routes(behind_url, {"header": TENANT}), "store": kept, "server": server}
        file.write_text(json.dumps(config))
        return str(file)
    settings: dict[str, dict[str, Any]] = {
        "api": {"endpoint_url": store.url, "bank_url": f"{behind_url}/banks/{BANK}"},
        "gateway": {
            "endpoint_url": store.url,
            "bank_url": "http://127.0.0.1:9",
            "config": _routes(behind_url, {"claim": "merchant_id"}),
        },
        "in_process": {"store": kept, "upstream_url": behind_url},
        "middleware": {"store": kept, "upstream_url": behind_url},
        "dispatcher": {"endpoint_url": store.url, "receiver_url": f"{behind_url}/orders"},
    }
    return json.dumps(settings[front])


def _routes(upstream_url: str, scope: dict[str, str]) -> dict[str, Any]:
    ask = {
        "policy": "ask",
        "url": "/orders/by-key/{downstream_key}",
        "answer_status": 201,
        "authoritative_after_seconds": 1,  # a request can wait in its socket
        "timeout_seconds": 1,
    }
    route = {
        "name": "orders",
        "path": "/orders",
        "upstream": "upstream",
        "scope": scope,
        "timeout_seconds": UPSTREAM_SECONDS,
        "unknown": ask,
    }
    return {"upstreams": {"upstream": {"url": upstream_url}}, "routes": [route]}


def _ordered(upstream_url: str, *, once: bool) -> Callable[[], dict[str, list[Execution]]]:
    """Return how executions are counted. ``once``: one downstream key's are copies, which receivers can tell."""

    def executions() -> dict[str, list[Execution]]:
        with urlopen(f"{upstream_url}/executions", timeout=60) as answer:
            rows = json.loads(answer.read())
        found: defaultdict[str, list[Execution]] = defaultdict(list)
        if once:
            rows = {(row["key"], row["body"], row["downstream_key"]): row for row in rows}.values()
        for row in rows:
            found[row["key"]].append(Execution(row["body"], row["attempt"]))
        return dict(found)

    return executions


def _booked(bank_url: str) -> Callable[[], dict[str, list[Execution]]]:
    def executions() -> dict[str, list[Execution]]:
        found: defaultdict[str, list[Execution]] = defaultdict(list)
        for row in BankHandle(bank_url).charges(bank=BANK):
            _, key, body = row["payment_method"].split(":")
            found[key].append(Execution(body))
        return dict(found)

    return executions
