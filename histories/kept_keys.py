"""What a key costs beside a thousand to a million kept ones: ``python -m histories.kept_keys --stored 1000 1000000``.

The in-process engine guards a function that does nothing; fresh keys, replays and keys with another body come in turn,
from one thread, so that what is measured is the store and the engine and no queue.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from histories.report import write_part
from histories.servers import dynamodb_server, valkey_server
from histories.stored import fill
from histories.traffic import percentile
from local.redis_servers import RedisServer
from payonce.domain.errors import KeyReused
from payonce.idempotency.codecs import JsonValue  # noqa: TC001 - the guard reads the annotation
from payonce.idempotency.operation import idempotent_operation
from payonce.ports import Table
from payonce.proxy.config_process import Store
from payonce.wiring.proxy import make_store
from tests.support.aws import FAKE_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histories.servers import ProcessServer

    type Guarded = Callable[[str, str], JsonValue]

PAGE = Path("docs/histories.md")
STORED = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS = 400  # of a fresh key, its replay and a conflict each: the p99 is that of the fifth slowest
WARM_ROUNDS = 50
KINDS = ("fresh", "replay", "conflict")


def guarded_by(store: RedisServer | ProcessServer) -> Guarded:
    """Return a function that does nothing, guarded on the store."""
    if isinstance(store, RedisServer):
        settings = Store(kind="redis", url=store.url, durability="always")
    else:
        settings = Store(kind="dynamodb", table=Table.IDEMPOTENCY.value, endpoint_url=store.url)

    @idempotent_operation(
        store=make_store(settings),
        operation="order",
        scope="tenant",
        key="key",
        fingerprint=lambda tenant, key, body: body,
        timeout_seconds=30,
    )
    def order(tenant: str, key: str, body: str) -> JsonValue:
        return {"tenant": tenant, "key": key, "body": body}

    return lambda key, body: order("shop", key, body)


def measured(call: Guarded, prefix: str, rounds: int) -> dict[str, list[float]]:
    """Return the latencies in seconds by kind. Raises ``RuntimeError`` if a replay or a conflict was none."""
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        key = f"{prefix}-{number:012}"
        answers = []
        for kind, body in zip(KINDS, "aab", strict=True):
            began = time.perf_counter()
            try:
                answers.append(call(key, body))
            except KeyReused:
                answers.append(KeyReused.__name__)
            found[kind].append(time.perf_counter() - began)
        if answers[0] != answers[1] or answers[2] != KeyReused.__name__:
            raise RuntimeError(f"{key} was answered {answers}")
    return found


def rows_of(name: str, store: RedisServer | ProcessServer, stored: Sequence[int]) -> list[str]:
    """Fill the store step by step, measure at each, and return the table's rows."""
    call, slug = guarded_by(store), name.lower().replace(" ", "-")
    measured(call, f"warm-up-on-{slug}", WARM_ROUNDS)
    rows = []
    for already, count in itertools.pairwise([0, *stored]):
        began = time.monotonic()
        fill(store, count, already=already)
        seconds = time.monotonic() - began
        found = measured(call, f"beside-{count:09}-on-{slug}", ROUNDS)
        cells = [f"{1000 * percentile(found[kind], share):,.1f}" for kind in KINDS for share in (0.5, 0.99)]
        rows.append(f"| {name} | {count:,} | {seconds:,.0f} | " + " | ".join(cells) + " |")
        print(rows[-1], flush=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0: the figures are for people to compare."""
    parser = argparse.ArgumentParser(prog="python -m histories.kept_keys", description=__doc__)
    parser.add_argument("--stored", type=int, nargs="*", default=STORED, help="keys that a store has already, rising")
    parser.add_argument("--most-dynamodb", type=int, default=max(STORED), help="the most of them in DynamoDB Local")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE}")
    chosen = parser.parse_args(arguments)
    os.environ.update(FAKE_CREDENTIALS)
    rows = [
        "| store | kept keys | filled in s | fresh p50 ms | p99 | replay p50 | p99 | conflict p50 | p99 |",
        "|---|" + "---:|" * 8,
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="payonce-kept-")))
        valkey = valkey_server(folder)
        stack.callback(valkey.kill)
        rows += rows_of("Valkey", valkey, chosen.stored)
        valkey.kill()
        # In memory: with its file it takes minutes for each thousand of items.
        dynamodb = dynamodb_server(folder, is_durable=False)
        stack.callback(dynamodb.kill)
        rows += rows_of("DynamoDB Local", dynamodb, [count for count in chosen.stored if count <= chosen.most_dynamodb])
    if chosen.write:
        write_part(PAGE, "kept-keys", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
