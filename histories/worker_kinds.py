"""What the workers serve: the API's handlers, the gateway's handler, and a program with a guarded function."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from histories.key_model import Outcome
from histories.upstream import ATTEMPT_HEADER
from payonce.clock import SystemClock
from payonce.domain.errors import (
    KeyInProgress,
    KeyReused,
    LeaseLost,
    NotExecuted,
    NotStarted,
    OutcomeUnknown,
    PayonceError,
)
from payonce.domain.exchange import Answered, NotSent
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.idempotency.attempt import NotKnown, WasExecuted, WasNotExecuted
from payonce.idempotency.claim_recovery import Sweep
from payonce.idempotency.codecs import JsonValue  # noqa: TC001 - the guard reads the annotation
from payonce.idempotency.operation import current_attempt, idempotent_operation
from payonce.ports import Deadline, Table
from payonce.proxy.config_process import Store
from payonce.wiring.proxy import make_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.domain.exchange import Exchange
    from payonce.idempotency.attempt import Attempt, Verdict
    from payonce.wiring.application import Application

    type Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

FUNCTION_SECONDS = 8  # the functions' timeout; with the margin a lease ends 13 s after its claim
CALL_SECONDS = 5  # the guarded function's; a lease ends after 10 s
WAIT_SECONDS = 1  # of a duplicate for the first
UPSTREAM_SECONDS = 2
RECOVERY_PAUSE_SECONDS = 1
MAX_ANSWER_BYTES = 64 * 1024


def application_of(settings: dict[str, Any]) -> Application:
    """Return the application on DynamoDB Local, with the bank that ignores keys as its only gateway."""
    from payonce.gateways.sandbox_bank import sandbox_bank_from_options
    from payonce.wiring.application import Application
    from payonce.wiring.settings import load_settings

    # The bank shows a booking at once. A second more, because a request can wait in its socket.
    options = {"url": settings["bank_url"], "lookup_authoritative_after_seconds": 1}
    environment = {
        **{f"PAYONCE_{table.name}_TABLE": table.value for table in Table},
        "PAYONCE_GATEWAYS": json.dumps([{"name": "bank", "kind": "sandbox_bank", **options}]),
        "PAYONCE_DEFAULT_GATEWAY": "bank",
        "PAYONCE_ENDPOINT_URL": settings["endpoint_url"],
    }
    bank = sandbox_bank_from_options("bank", options, {"sandbox_bank_api_key": "key"}, SystemClock())
    application = Application(load_settings(environment), gateways={"bank": bank})
    _ = application.store, application.engine  # made before threads ask for them
    return application


def api(settings: dict[str, Any]) -> Handler:
    """Return the payments' handlers by route: the payload has ``route`` and ``event``."""
    from payonce.entrypoints import payment_read_routes, payment_routes
    from payonce.entrypoints.http import handlers_of

    application = application_of(settings)
    serve = handlers_of({**payment_routes.ROUTES, **payment_read_routes.ROUTES}, application)
    handlers = {route: serve(route) for route in ("POST /payments", "GET /payments/{payment_id}")}
    # Without the queue: what is due is settled, one claim after the other.
    sweep = Sweep(
        store=application.store,
        clock=application.clock,
        recover=application.recovery.recover,
        report_error=lambda _id, _error: None,
    )
    _again_and_again(lambda: sweep.run(_deadline()))
    return lambda payload, context: handlers[payload["route"]](payload["event"], context)


def gateway(settings: dict[str, Any]) -> Handler:
    """Return the idempotency gateway's handler: the payload has ``event``."""
    from payonce.entrypoints.proxy import serve
    from payonce.wiring.proxy_function import CONFIG_VARIABLE, proxy_of

    proxy = proxy_of(application_of(settings), {CONFIG_VARIABLE: json.dumps(settings["config"])})
    _again_and_again(lambda: proxy.service.recover_all(lambda _id, _error: None, _deadline()))
    return lambda payload, context: serve(proxy.service, proxy.clock, payload["event"], context)


def in_process(settings: dict[str, Any]) -> Handler:
    """Return a handler that calls a guarded function: the payload has ``key``, ``body`` and ``attempt``."""
    orders = UpstreamOrders(settings["upstream_url"])

    @idempotent_operation(
        store=make_store(Store(**settings["store"])),
        operation="order",
        scope="tenant",
        key="key",
        fingerprint=lambda tenant, key, body, attempt: body,
        timeout_seconds=CALL_SECONDS,
        wait_seconds=WAIT_SECONDS,
        resolve=orders.find,
    )
    def order(tenant: str, key: str, body: str, attempt: int) -> JsonValue:
        del tenant
        return orders.create({"key": key, "body": body}, attempt)

    def handler(payload: dict[str, Any], _context: Any) -> dict[str, Any]:
        try:
            answer = order("shop", payload["key"], payload["body"], payload["attempt"])
        except KeyReused:
            return {"outcome": Outcome.REUSED.value}
        except KeyInProgress:
            return {"outcome": Outcome.BUSY.value}
        except (NotExecuted, NotStarted):
            return {"outcome": Outcome.NOT_EXECUTED.value}
        except (OutcomeUnknown, LeaseLost, TimeoutError):
            return {"outcome": Outcome.UNKNOWN.value}
        return {"outcome": Outcome.ANSWERED.value, "answer": json.dumps(answer)}

    return handler


class UpstreamOrders:
    """A program's client of the upstream, as docs/in-process.md asks for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._clock = SystemClock()
        self._exchange = DeadlineExchange(self._clock, max_answer_bytes=MAX_ANSWER_BYTES)

    def create(self, order: dict[str, str], attempt: int) -> JsonValue:
        """Return the upstream's order. Raises ``NotExecuted``, or ``TimeoutError`` where nobody knows."""
        now = current_attempt()
        headers = {"Idempotency-Key": now.reference, ATTEMPT_HEADER: str(attempt)}
        sent = self._send("POST", "/orders", now, headers, json.dumps(order).encode())
        if isinstance(sent, NotSent):
            raise NotExecuted(f"the upstream took no connection: {sent.reason}")
        if not isinstance(sent, Answered):
            raise TimeoutError("the upstream's answer was lost")
        answer: JsonValue = json.loads(sent.body)
        return answer

    def find(self, attempt: Attempt) -> Verdict:
        """See ``resolve`` of ``idempotent_operation``."""
        found = self._send("GET", f"/orders/by-key/{quote(attempt.reference)}", attempt, {}, None)
        if isinstance(found, Answered) and found.status == 200:
            return WasExecuted(json.loads(found.body))
        if isinstance(found, Answered) and found.status == 404:
            return WasNotExecuted()
        return NotKnown(ask_again_seconds=1)

    def _send(self, method: str, path: str, attempt: Attempt, headers: dict[str, str], body: bytes | None) -> Exchange:
        deadline = attempt.deadline.earlier(self._clock.now_ms() + UPSTREAM_SECONDS * 1000)
        return self._exchange.send(method, self._url + path, headers=headers, body=body, deadline=deadline)


KINDS: dict[str, Callable[[dict[str, Any]], Handler]] = {"api": api, "gateway": gateway, "in_process": in_process}


def _deadline() -> Deadline:
    return Deadline(SystemClock().now_ms() + 60_000)


def _again_and_again(recover: Callable[[], object]) -> None:
    """Recover open claims while the process lives, as the schedule does."""

    def forever() -> None:
        while True:
            time.sleep(RECOVERY_PAUSE_SECONDS)
            try:
                recover()
            except PayonceError:
                continue  # the store is down: the next run finds the same claims

    threading.Thread(target=forever, daemon=True).start()
