"""One client suite against every way in: sidecar and proxy function before services in Python and Node, the middlewares
in services of each framework, and payments.

Fails when any of them stops keeping what the HTTP contract says.
"""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from payonce.entrypoints.http import serve
from payonce.entrypoints.routes import ROUTES
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_cipher import MemoryCipher
from payonce.stores.memory_queue import MemoryQueue
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.conformance import SLOW_MS, Subject, checks_of
from tests.support.events import ALL_SCOPES, Context, event
from tests.support.http import Answer, call
from tests.support.middlewares.running import service_subject
from tests.support.middlewares.server import KINDS
from tests.support.proxy import (
    COUNTER_PATHS,
    configuration,
    counter_subject,
    function_answer,
    function_call,
    service_of,
)
from tests.support.upstreams.running import COUNTERS, running_counter, running_sidecar
from tests.support.world import RealClock, ScriptedGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PAYMENT_PATHS = {"create": "/payments", "slow": "/payments/slow", "read": "/payments", "tenant_header": "X-Merchant"}
PROXIES = [f"{way} before {language}" for way in ("sidecar", "function") for language in COUNTERS]
CASES = [
    *((name, check) for name in (*PROXIES, *KINDS) for check in checks_of(set(COUNTER_PATHS))),
    *(("payments API", check) for check in checks_of(set(PAYMENT_PATHS))),
]


@contextmanager
def proxy_subject(name: str, folder: Path) -> Iterator[Subject]:
    """Run the service, and the proxy before it."""
    way, language = name.split(" before ")
    with running_counter(language) as upstream_url:
        config = configuration(upstream_url)
        if way == "function":
            yield counter_subject(name, upstream_url, function_call(service_of(config)))
            return
        with running_sidecar({**config, "store": {"kind": "memory"}}, folder) as sidecar:

            def calling(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
                return call(sidecar.url, method, path, body, headers)

            yield counter_subject(name, upstream_url, calling)


def payments_subject() -> Subject:
    """Return the payments API in memory. What a payment is counted by is its amount's reference in the metadata."""
    bank = SlowBank(RealClock())
    application = Application(
        load_settings({}),
        clock=RealClock(),
        database=MemoryDatabase(),
        gateways={"bank": bank},
        cipher=MemoryCipher(RealClock(), os.urandom),
        delivery_queue=MemoryQueue(),
    )

    def calling(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        spelled = dict(headers)
        merchant_id = spelled.pop("X-Merchant", "mer_1")
        bank.slow = path.endswith("/slow")
        name = "create_payment" if method == "POST" else "list_payments"
        proxied = event(
            None if body is None else body.decode(),
            key=None,
            headers=spelled,
            merchant_id=merchant_id,
            scopes=ALL_SCOPES,
        )
        answer = function_answer(serve(ROUTES[name], application, proxied, Context()))
        return Answer(answer.status, answer.lines, b"") if method == "HEAD" else answer  # as API Gateway does

    return Subject(
        name="payments API",
        call=calling,
        body=lambda reference: json.dumps(
            {"amount_minor": 1050, "currency": "EUR", "payment_method": f"pm_{reference.replace('-', '')}"}
        ).encode(),
        executions=lambda reference: bank.charged(f"pm_{reference.replace('-', '')}"),
        paths=PAYMENT_PATHS,
    )


class SlowBank(ScriptedGateway):
    """Takes its time when it is asked to."""

    slow = False
    lock = threading.RLock()

    def submit(self, instruction: object, deadline: object) -> object:  # type: ignore[override]
        """See ``Gateway``."""
        outcome = super().submit(instruction, deadline)  # type: ignore[arg-type]
        if self.slow:
            time.sleep(SLOW_MS / 1000)
        return outcome

    def charged(self, payment_method: str) -> int:
        """Return how often this payment method was charged."""
        return sum(booking.instruction.payment_method == payment_method for booking in self.succeeded())


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Subject]]:
    """Every subject, made when it is first asked for, and stopped at the end."""
    running: dict[str, tuple[object, Subject]] = {}

    def named(name: str) -> Subject:
        if name not in running:
            if name == "payments API":
                running[name] = (None, payments_subject())
            else:
                folder = tmp_path_factory.mktemp("sidecar")
                manager = service_subject(name) if name in KINDS else proxy_subject(name, folder)
                running[name] = (manager, manager.__enter__())
        return running[name][1]

    yield named
    for manager, _ in running.values():
        if manager is not None:
            manager.__exit__(None, None, None)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "check"), CASES, ids=[f"{name}: {check.__name__.removeprefix('check_')}" for name, check in CASES]
)
def test_conformance(name: str, check: Callable[[Subject], None], subjects: Callable[[str], Subject]) -> None:
    """See the module."""
    check(subjects(name))
