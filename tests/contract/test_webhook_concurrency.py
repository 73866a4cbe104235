"""Changes of endpoints at the same time, on every database: none is lost, and each has its event."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from payonce.ports import Table
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_queue import MemoryQueue
from payonce.webhooks import quota
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.events import call
from tests.support.webhook_api import URL, document, new_endpoint
from tests.support.world import RealClock

if TYPE_CHECKING:
    from payonce.ports import Database

CREATIONS = 10


@pytest.fixture
def application(database: Database) -> Application:
    clock = RealClock()
    return Application(
        load_settings({}),
        clock=clock,
        database=database,
        cipher=MemoryCipher(clock, os.urandom),
        delivery_queue=MemoryQueue(),
    )


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> int:
    """moto's transactions are not isolated from each other, so there one thread has to do."""
    return 1 if request.node.callspec.params["database"] == "moto" else 5


def test_the_limit_of_endpoints_holds(application: Application, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when endpoints are counted and then written."""
    monkeypatch.setattr(quota, "MAX_ENDPOINTS_PER_MERCHANT", 3)

    def create(number: int) -> int:
        answer = call(application, "create_webhook_endpoint", {"url": URL}, key=f"create-{number:010d}")
        status: int = answer["statusCode"]
        return status

    with ThreadPoolExecutor(threads) as pool:
        statuses = list(pool.map(create, range(CREATIONS)))
    assert sorted(statuses) == [201] * 3 + [409] * (CREATIONS - 3)
    assert len(document(call(application, "list_webhook_endpoints", None))["data"]) == 3


def test_no_change_is_lost_and_no_sequence_has_a_gap(application: Application, threads: int) -> None:
    """Fails when a change is written over what another has changed in between."""
    endpoint_id = new_endpoint(application)["id"]
    path = {"endpoint_id": endpoint_id}
    changes: list[tuple[str, Any]] = [
        ("update_webhook_endpoint", {"url": "https://new.example.com/"}),
        ("update_webhook_endpoint", {"description": "new"}),
        ("update_webhook_endpoint", {"event_types": ["payment.*"]}),
        ("rotate_webhook_secret", {}),
        ("test_webhook_endpoint", None),
    ]

    def change(number: int) -> int:
        operation, body = changes[number]
        status: int = call(application, operation, body, key=f"change-{number:010d}", path=path)["statusCode"]
        return status

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(change, range(len(changes)))) == [200, 200, 200, 201, 201]
    view = document(call(application, "get_webhook_endpoint", None, path=path))
    assert (view["url"], view["description"], view["event_types"]) == ("https://new.example.com/", "new", ["payment.*"])
    assert (view["version"], len(view["keys"])) == (6, 2)
    page = application.database.query(Table.OUTBOX, partition=("pk", endpoint_id), limit=100)
    assert [int(item["sk"]) for item in page.items] == [1, 2, 3, 4, 5, 6]
