"""What the load's stores are filled with: records as the stores' own transitions leave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histories.kept_keys import KINDS, guarded_by, measured
from histories.servers import dynamodb_server, valkey_server
from histories.stored import RESPONSE, fill, item_of
from payonce.domain.errors import LeaseLost
from payonce.idempotency.records import RecordStatus
from payonce.ports import Table
from payonce.proxy.config_process import Store
from payonce.stores.redis_calls import redis_client
from payonce.wiring.proxy import make_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from histories.servers import ProcessServer
    from local.redis_servers import RedisServer

COUNT = 1_003  # of no batch a multiple


@pytest.fixture(params=["valkey", "dynamodb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer | ProcessServer]:
    make = valkey_server if request.param == "valkey" else dynamodb_server
    made = make(tmp_path, is_durable=request.param == "valkey")
    yield made
    made.kill()


def test_every_key_is_kept_completed_and_answers(
    store: RedisServer | ProcessServer, request: pytest.FixtureRequest
) -> None:
    """Fails when a record lacks what a replay needs, or a batch's last keys are left out."""
    fill(store, 3)
    fill(store, COUNT, already=3)
    if "valkey" in request.node.name:
        kept = make_store(Store(kind="redis", url=store.url, durability="always"))
        client = redis_client(store.url)
        assert client.dbsize() == COUNT
        assert 0 < client.ttl(next(client.scan_iter())) <= 30 * 86_400
        client.close()
    else:
        kept = make_store(Store(kind="dynamodb", table=Table.IDEMPOTENCY.value, endpoint_url=store.url))
    for number in (0, 2, 3, COUNT - 1):
        found = kept.get(item_of(number)["id"])
        assert found is not None
        assert (found.status, found.response) == (RecordStatus.COMPLETED, RESPONSE)
        assert (found.claim_id, found.fingerprint) == (item_of(number)["claim_id"], item_of(number)["fingerprint"])
        with pytest.raises(LeaseLost):
            kept.release(found)


def test_fresh_keys_replays_and_conflicts_are_what_is_measured(store: RedisServer | ProcessServer) -> None:
    found = measured(guarded_by(store), "a-key-of-its-own", 3)
    assert {kind: len(latencies) for kind, latencies in found.items()} == dict.fromkeys(KINDS, 3)


def test_what_is_answered_otherwise_is_no_measurement() -> None:
    """Fails when a store that forgets would show the fastest replays."""
    answers = iter(range(3))
    with pytest.raises(RuntimeError, match="was answered"):
        measured(lambda _key, _body: next(answers), "a-key-of-its-own", 1)
