"""Routing on the request path: what a decision takes when the document is at hand, and what a payment's calls become.

The decision is that of a busy deployment: as many gateways and merchants as a document may have, an override beside it.
The calls are a fresh payment's, by the function's own route, on DynamoDB Local. The times are this machine's.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
import warnings
from contextlib import suppress
from itertools import count

from rich.table import Table as TextTable

from benchmarks.meter import Meter, Row, console
from local.dynamodb_local import running_dynamodb_local
from payonce.domain.errors import Throttled
from payonce.routing.control.admission import Priority
from payonce.routing.control.control_cache import REFRESH_MS, ControlCache
from payonce.routing.control.control_store import Control, document_write
from payonce.routing.control.document import MAX_MERCHANTS, Admission, ControlDocument
from payonce.routing.control.override import Override
from payonce.routing.control.router import Router
from payonce.routing.control.routing_settings import MAX_GATEWAYS, Mode, RoutingSettings
from payonce.stores.dynamodb import DynamoDatabase
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.aws import FAKE_CREDENTIALS, create_tables, dynamodb_client, http_client
from tests.support.events import ALL_SCOPES, PAYMENT, call
from tests.support.world import RealClock, ScriptedGateway

DECISIONS = 50_000
METHODS = ("card", "wallet", "bank_debit", "bank_transfer", "pay_later", "voucher")
NAMES = [f"gateway_{number:02}" for number in range(MAX_GATEWAYS)]
EVEN = dict.fromkeys(NAMES, 1 / MAX_GATEWAYS)
PROMISED_P99_MS = 0.1


class AtHand:
    """A reader that has the item already: what is timed is the decision, not a store."""

    def __init__(self, control: Control) -> None:
        self._control: Control | None = control

    def begin(self) -> bool:
        """See ``Reader``."""
        return True

    def take(self) -> Control | None:
        """See ``Reader``."""
        came, self._control = self._control, None
        return came


def document(now_ms: int, weights: dict[str, float], admission: Admission) -> ControlDocument:
    """Return a document that is in force for five minutes."""
    return ControlDocument(
        mode=Mode.ON,
        epoch=1,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 300_000,
        reason="measured",
        weights=dict.fromkeys(METHODS, weights),
        limits={},
        admission=admission,
    )


def decision_samples_ms(mode: Mode) -> list[float]:
    """Return the time of each decision: the gateway, and whether the payment is taken."""
    clock, rng = RealClock(), random.Random(1)
    now_ms = clock.now_ms()
    merchants = {f"mer_{number:026}": (0.5, 0.1) for number in range(MAX_MERCHANTS)}
    override = Override(
        version=1,
        shares={NAMES[0]: 0.1},
        operator="bench",
        reason="measured",
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 300_000,
    )
    told = document(now_ms, EVEN, Admission(0.9, 0.5, merchants))
    reader = AtHand(Control(document=told.to_bytes(), override=override.to_bytes()))
    cache = ControlCache(reader, frozenset(NAMES), draw=rng.random, report=lambda error: sys.exit(repr(error)))
    router = Router(RoutingSettings(neutral=EVEN, mode=mode), cache, now_ms=clock.now_ms, draw=rng.random)
    assert router.route("pay_first", "card") in NAMES
    assert mode is Mode.OFF or cache.current(now_ms).document == told
    samples = []
    for number in range(DECISIONS):
        payment_id, merchant_id = f"pay_{number:026}", f"mer_{number % 200:026}"
        method, priority = METHODS[number % len(METHODS)], (Priority.AUTHORIZATION, Priority.BATCH)[number % 2]
        began = time.perf_counter()
        router.route(payment_id, method)
        with suppress(Throttled):
            router.admit(payment_id, merchant_id, priority)
        samples.append((time.perf_counter() - began) * 1000)
    return samples


def payments(endpoint_url: str) -> list[Row]:
    """Return the rows of a fresh payment: routing off, in shadow, on; and on with a read for every payment."""
    meter = Meter()
    client = http_client(endpoint_url)
    database = DynamoDatabase(client, create_tables(dynamodb_client(endpoint_url)))
    meter.watch_own(client)
    clock, keys = RealClock(), count()
    bank = json.dumps([{"name": "bank", "kind": "sandbox_bank", "url": "http://127.0.0.1:9"}])

    def application(mode: Mode) -> Application:
        environment = {"PAYONCE_GATEWAYS": bank, "PAYONCE_DEFAULT_GATEWAY": "bank", "PAYONCE_ROUTING_TABLE": "routing"}
        settings = load_settings({**environment, "PAYONCE_ROUTING_MODE": mode.value})
        return Application(settings, clock=clock, database=database, gateways={"bank": ScriptedGateway(clock)})

    def pay(app: Application, *, again: bool = False) -> None:
        if again:
            vars(app).pop("router", None)
        sent = {"key": f"payonce-bench-key-{next(keys):09d}", "scopes": ALL_SCOPES, "gateway": ""}
        assert call(app, "create_payment", PAYMENT, **sent)["statusCode"] == 201

    def told() -> None:
        database.write([document_write(document(clock.now_ms(), {"bank": 1.0}, Admission(1.0, 1.0, {})))])

    rows = []
    for mode in (Mode.OFF, Mode.SHADOW, Mode.ON):
        told()
        app = application(mode)
        rows.append(meter.measure(lambda _, app=app: pay(app), f"routing {mode.value}"))  # type: ignore[misc]
    told()
    app = application(Mode.ON)
    rows.append(meter.measure(lambda _: pay(app, again=True), "routing on, the item read for every payment"))
    return rows


def main() -> int:
    """Print both tables. The exit code says whether a decision is as quick as promised."""
    os.environ.update(FAKE_CREDENTIALS, POWERTOOLS_LOG_LEVEL="ERROR")
    warnings.simplefilter("ignore")
    decisions = TextTable("decision, at hand", "p50 ms", "p99 ms", "p99 / promised")
    slowest = 0.0
    for mode in (Mode.OFF, Mode.ON):
        quantiles = statistics.quantiles(decision_samples_ms(mode), n=100)
        slowest = max(slowest, quantiles[98])
        decisions.add_row(
            mode.value, f"{quantiles[49]:.4f}", f"{quantiles[98]:.4f}", f"{quantiles[98] / PROMISED_P99_MS:.2f}"
        )
    console.print(decisions)
    with running_dynamodb_local() as endpoint_url:
        rows = payments(endpoint_url)
    table = TextTable("fresh payment", "round trips", "write units")
    for row in rows:
        table.add_row(row.label, f"{row.round_trips:.3f}", f"{row.write_units:.3f}")
    console.print(table)
    console.print(
        f"An environment reads at most once in {REFRESH_MS / 1000:g} s on average, and only when it is asked."
    )
    return 0 if slowest <= PROMISED_P99_MS else 1


if __name__ == "__main__":
    sys.exit(main())
