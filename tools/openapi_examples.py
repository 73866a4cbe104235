"""The examples of openapi.json: what the routes' own handlers answer to the events of events/, all in memory.

The clock stands still and nothing is random, so that the same code gives the same bytes.
"""

from __future__ import annotations

import itertools
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.domain.ids import UlidSource
from payonce.domain.problems import TYPE_PREFIX
from payonce.entrypoints.http import KeyedRoute, serve
from payonce.entrypoints.openapi import PROBLEM_EXAMPLES
from payonce.entrypoints.routes import ROUTES
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_queue import MemoryQueue
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.webhooks.keys import KeyMaker
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.functional.test_handlers import store_what_is_named
from tests.support.events import Context
from tests.support.world import ManualClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.entrypoints.openapi import Examples

EVENTS = Path(__file__).resolve().parents[1] / "events"
FIRST_REFUSAL = 300  # of HTTP's statuses
SETTINGS = {
    "PAYONCE_GATEWAYS": '[{"name":"bank","kind":"sandbox_bank","url":"http://127.0.0.1:9"}]',
    "PAYONCE_DEFAULT_GATEWAY": "bank",
}
# How the gateway answers, where it does not simply succeed.
SCRIPTS = {"create_payment/declined": "decline", "refund_payment/rest": "lost"}


def examples() -> Examples:
    """Return the examples, as ``build_openapi`` takes them: of each route, and of each type of problem one."""
    logging.disable()  # what is refused here is meant to be
    found: dict[str, dict[str, dict[str, Any]]] = {PROBLEM_EXAMPLES: {}}
    for path in sorted(EVENTS.glob("*/*.json")):
        route = ROUTES.get(path.parent.name)
        if route is None:
            continue
        event = json.loads(path.read_text())
        application = _application(SCRIPTS.get(f"{route.operation}/{path.stem}"))
        store_what_is_named(application, route.operation, event)
        answer = serve(route, application, event, Context())
        document = json.loads(answer["body"])
        if answer["statusCode"] >= FIRST_REFUSAL:
            found[PROBLEM_EXAMPLES].setdefault(document["type"].removeprefix(TYPE_PREFIX), document)
            continue
        own = found.setdefault(route.operation, {})
        own["path"] = event["pathParameters"] or {}
        own.setdefault(str(answer["statusCode"]), {})[path.stem] = document
        if isinstance(route, KeyedRoute):
            own.setdefault("request", {})[path.stem] = json.loads(event["body"] or "{}")
    return found


def _application(word: str | None) -> Application:
    clock = ManualClock()
    draw = _drawn()
    application = Application(
        load_settings(SETTINGS),
        clock=clock,
        database=MemoryDatabase(),
        gateways={"bank": ScriptedGateway(clock, script=[word] if word else [])},
        cipher=MemoryCipher(clock, draw),
        delivery_queue=MemoryQueue(),
        workflows=MemoryWorkflows(),
        files=MemoryFiles(),
    )
    application.ids = UlidSource(clock.now_ms, draw)
    application.key_maker = KeyMaker(application.cipher, draw)
    return application


def _drawn() -> Callable[[int], bytes]:
    """Return a source of bytes that counts."""
    numbers = itertools.count(1)
    return lambda length: next(numbers).to_bytes(length, "big")
