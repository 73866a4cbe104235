"""Processes that go on from one memory image, as functions do that Lambda restores from a snapshot (SnapStart).

A fork is such an image: both children begin with what the parent has constructed.
"Handling uniqueness": https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from payonce.network import aws_json
from payonce.stores.dynamodb import DynamoDatabase
from payonce.wiring.application import Application
from payonce.wiring.gateways import make_router
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.ports import Clock

COPIES = 3


class StoppedClock:
    """Says the same in every copy: a snapshot may be restored many times within a millisecond."""

    def now_ms(self) -> int:
        """Return it."""
        return 1_700_000_000_000


def in_copies(question: Callable[[], Any]) -> list[Any]:
    """Return the answers of processes that are copies of this one."""
    answers = []
    state = random.getstate()
    for _ in range(COPIES):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            random.setstate(state)  # Python seeds anew after a fork, and does not hear of a snapshot
            os.write(writer, json.dumps(question()).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            answers.append(json.loads(pipe.read()))
        os.waitpid(child, 0)
    return answers


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    """Everything that create_payment constructs, before the snapshot."""
    for name, value in FAKE_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    clock: Clock = StoppedClock()
    made = Application(load_settings({}), clock=clock)
    assert made.database
    assert made.engine
    assert made.services.ids.new("pay")
    return made


def test_no_two_copies_make_one_id(application: Application) -> None:
    """Fails when ids, or the tokens of transactions, come from a generator whose state is in the image."""
    ids = in_copies(lambda: [application.ids.new("pay") for _ in range(20)])
    assert len({one for copy in ids for one in copy}) == 20 * COPIES


def test_no_two_copies_draw_alike(application: Application) -> None:
    """Fails when copies choose the same gateways in the same order, or come back from a conflict at the same time."""
    router = make_router(application.settings, lambda: application.database, application.clock)
    assert isinstance(application.database, DynamoDatabase)
    database = application.database
    draws = in_copies(lambda: [router._draw(), database._jitter(), aws_json._DRAWS.random()])
    for drawn in zip(*draws, strict=True):
        assert len(set(drawn)) == COPIES


def test_no_connection_is_open_in_the_image(application: Application) -> None:
    """Fails when the start of a function opens a connection: copies would write into one, and none can read from it."""
    database: Any = application.database
    assert not database._client.service._connections._idle
