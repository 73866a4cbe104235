"""Retries without end, connections that drop on either side, and a sidecar that is killed: one execution per key."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from local.redis_servers import running_redis
from payonce.ports import Table
from payonce.proxy.config_process import Store
from payonce.wiring.proxy import make_store
from tests.support.aws import create_tables, dynamodb_client
from tests.support.conformance import fresh
from tests.support.http import Answer, call, until
from tests.support.proxy import TENANT, configuration, function_call, route, service_of
from tests.support.tcp_faults import Fault, FaultyProxy, serving
from tests.support.upstreams.running import COUNTERS, STOP_SECONDS, running_counter, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEYS, RETRIES, CLIENTS = 100, 10, 16
FAULTS = [Fault.NONE, Fault.NONE, Fault.DROP_REQUEST, Fault.DROP_ANSWER, Fault.CUT_ANSWER]
SEED = 20_240_607
SETTLE_SECONDS = 180
ASK = {"policy": "ask", "url": "/by-key/{downstream_key}", "answer_status": 201, "authoritative_after_seconds": 1}


def headers(key: str, **more: str) -> dict[str, str]:
    return {"Idempotency-Key": key, TENANT: "shop", "Content-Type": "application/json", **more}


def order(reference: str) -> bytes:
    return json.dumps({"reference": reference}).encode()


def dropping(target_url: str, generator: random.Random, faults: list[Fault]) -> Callable[[Any], None]:
    """Return what carries a connection to ``target_url``, with one of ``faults`` by lot."""
    target = urlsplit(target_url)
    address = (str(target.hostname), int(target.port or 80))
    return lambda client: FaultyProxy("", fault=generator.choice(faults)).relay(client, address)


def storm(send: Callable[[str, str], Answer]) -> tuple[list[tuple[str, str]], dict[str, list[Answer]]]:
    """Send every key ``RETRIES`` times, in random order and at once; return the keys and the answers that came."""
    generator = random.Random(SEED)
    keys = [(f"{fresh()}", f"{fresh()}") for _ in range(KEYS)]
    tries = keys * RETRIES
    generator.shuffle(tries)
    answers: dict[str, list[Answer]] = {key: [] for key, _ in keys}

    def attempt(pair: tuple[str, str]) -> None:
        with suppress(OSError, HTTPException):  # the connection dropped, as it should
            answers[pair[0]].append(send(*pair))

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(attempt, tries))
    return keys, answers


@pytest.mark.parametrize("language", COUNTERS)
def test_a_thousand_retries_with_dropped_connections_execute_once_per_key(language: str, tmp_path: Path) -> None:
    """Fails when the sidecar forwards a retry: the service counts what it executes."""
    with (
        running_counter(language) as upstream_url,
        running_sidecar({**configuration(upstream_url), "store": {"kind": "memory"}}, tmp_path) as sidecar,
        serving(dropping(sidecar.url, random.Random(SEED), FAULTS)) as port,
    ):

        def send(key: str, reference: str, url: str = f"http://127.0.0.1:{port}") -> Answer:
            return call(url, "POST", "/orders", order(reference), headers(key))

        keys, answers = storm(send)
        received = sum(len(came) for came in answers.values())
        assert 0 < received < KEYS * RETRIES  # some came through, and some were dropped
        for key, reference in keys:
            last = send(key, reference, sidecar.url)
            assert last.status == 201
            # One that was cut within its headers has no length: http.client takes it for a whole one.
            whole = {answer.same() for answer in answers[key] if answer.header("content-length")}
            assert whole <= {last.same()}
        executed = call(upstream_url, "GET", "/executions").json()
        assert executed == {reference: 1 for _, reference in keys}


def test_a_thousand_retries_with_dropped_upstream_connections_execute_once_per_key(counter: str) -> None:
    """The proxy asks the status URL what became of a request. Fails when an upstream's silence is a failure to it."""
    faults = list(FAULTS)
    with serving(dropping(counter, random.Random(SEED), faults)) as port:
        service = service_of(configuration(f"http://127.0.0.1:{port}", route_changes={"unknown": ASK}))
        ask = function_call(service)

        def send(key: str, reference: str) -> Answer:
            return ask("POST", "/orders", order(reference), headers(key, Prefer="wait=1"))

        keys, answers = storm(send)
        unknown = sum(answer.status == 409 for came in answers.values() for answer in came)
        assert unknown > 0  # silence happened
        faults[:] = [Fault.NONE]  # the network is well again
        give_up = time.monotonic() + SETTLE_SECONDS
        missing = dict(keys)
        while missing:
            assert time.monotonic() < give_up, f"{len(missing)} keys did not settle"
            for key, reference in list(missing.items()):
                if send(key, reference).status == 201:
                    del missing[key]
            time.sleep(0.5)
    executed = call(counter, "GET", "/executions").json()
    assert {reference: executed.get(reference) for _, reference in keys} == {reference: 1 for _, reference in keys}


@pytest.fixture(params=["dynamodb", "redis"])
def durable_store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The configuration of a store that outlives a sidecar."""
    if request.param == "redis":
        with running_redis() as (server,):
            yield {"kind": "redis", "url": server.url}
    else:
        url = request.getfixturevalue("dynamodb_local")
        tables = create_tables(dynamodb_client(url), f"proxy-{fresh()[:8]}-")
        yield {"kind": "dynamodb", "table": tables[Table.IDEMPOTENCY], "endpoint_url": url}


def test_a_sidecar_that_is_killed_between_claim_and_answer_executes_nothing_twice(
    counter: str, tmp_path: Path, durable_store: dict[str, str]
) -> None:
    """SIGKILL while the service works; another sidecar on the same store takes over by the route's policy.

    ::

        first sidecar    claim ─ forward ─ ✗ killed
        the service              executes ─────── answers nobody
        second sidecar                       409 until the lease is over ─ park: 409, ask: found, resubmit: the same

    Fails when a takeover forwards the request again to a service that ignores keys.
    """
    policies = {
        "park": {"policy": "park"},
        "ask": ASK,
        "resubmit": {"policy": "resubmit", "honours_seconds": 3600},
    }
    config = {
        **configuration(counter),
        "routes": [
            route(name=name, path=f"/{path}", timeout_seconds=10, unknown=policies[name])
            for name, path in (("park", "orders"), ("ask", "orders-asked"), ("resubmit", "honoured"))
        ],
        "store": durable_store,
        "server": {"recovery_interval_seconds": 0},
    }
    paths = {"park": "/orders", "ask": "/orders-asked", "resubmit": "/honoured"}
    keys, held = {name: (fresh(), fresh()) for name in policies}, fresh()

    def send(url: str, name: str) -> Answer:
        key, reference = keys[name]
        path = f"{paths[name]}?hold={held}"
        return call(url, "POST", path, order(reference), headers(key, Prefer="wait=0"))

    def executed() -> dict[str, int]:
        counts = call(counter, "GET", "/executions").json()
        return {name: counts.get(reference, 0) for name, (_, reference) in keys.items()}

    once = dict.fromkeys(policies, 1)
    # The second is there before the first is killed: on a busy machine a start outlasts a lease.
    with running_sidecar(config, tmp_path) as second:
        with running_sidecar(config, tmp_path) as first, ThreadPoolExecutor(len(policies)) as pool:
            waiting = [pool.submit(send, first.url, name) for name in policies]
            until(lambda: executed() == once)
            first.kill()
        call(counter, "GET", f"/release/{held}")
        for attempt in waiting:
            with pytest.raises((OSError, HTTPException)):
                attempt.result()
        early = {name: send(second.url, name) for name in policies}
        assert {answer.json()["type"] for answer in early.values()} == {"urn:payonce:problem:key-in-progress"}
        settled: dict[str, Answer] = {}
        give_up = time.monotonic() + SETTLE_SECONDS
        while len(settled) < len(policies):
            assert time.monotonic() < give_up
            time.sleep(0.5)
            for name in policies:
                answer = send(second.url, name)
                if b"key-in-progress" not in answer.body:
                    settled[name] = answer
        assert {name: answer.status for name, answer in settled.items()} == {"park": 409, "ask": 201, "resubmit": 201}
        assert settled["park"].json()["type"] == "urn:payonce:problem:outcome-unknown"
        for name in ("ask", "resubmit"):
            assert settled[name].json()["reference"] == keys[name][1]
            assert send(second.url, name).header("idempotency-replayed") == "true"
    assert executed() == once


def test_a_client_that_goes_away_does_not_stop_the_execution(counter: str, tmp_path: Path) -> None:
    """The answer is there for its retry. Fails when a disconnect cancels the work or leaves the claim open."""
    with running_sidecar({**configuration(counter), "store": {"kind": "memory"}}, tmp_path) as sidecar:
        key, reference = fresh(), fresh()
        path = f"/orders?hold={reference}"
        leaving = HTTPConnection(urlsplit(sidecar.url).netloc)
        leaving.request("POST", path, order(reference), headers(key))
        until(lambda: call(counter, "GET", "/executions").json().get(reference) == 1)
        leaving.close()
        call(counter, "GET", f"/release/{reference}")
        again = call(sidecar.url, "POST", path, order(reference), headers(key))
        assert (again.status, again.header("idempotency-replayed")) == (201, "true")
        assert call(counter, "GET", "/executions").json()[reference] == 1


def test_what_is_in_flight_is_finished_when_the_sidecar_is_stopped(counter: str, tmp_path: Path) -> None:
    """Fails when a rolling update cuts requests off."""
    with running_sidecar({**configuration(counter), "store": {"kind": "memory"}}, tmp_path) as sidecar:
        came: list[Answer] = []
        reference = fresh()

        def send() -> None:
            path = f"/orders?hold={reference}"
            came.append(call(sidecar.url, "POST", path, order(reference), headers(fresh())))

        sender = threading.Thread(target=send)
        sender.start()
        until(lambda: call(counter, "GET", "/executions").json().get(reference) == 1)
        sidecar.process.terminate()
        until(lambda: not listens(sidecar.url))
        call(counter, "GET", f"/release/{reference}")
        sender.join()
        assert [answer.status for answer in came] == [201]
        assert sidecar.process.wait(STOP_SECONDS) is not None


def listens(url: str) -> bool:
    """Tell whether somebody takes connections there."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), timeout=1).close()
    except OSError:
        return False
    return True


def test_what_is_more_than_it_takes_is_refused_before_any_claim(counter: str, tmp_path: Path) -> None:
    """503 with Retry-After; the same keys then execute once. Fails when the queue grows without end."""
    limits = {"max_concurrency": 2, "max_queued": 1}
    config = {**configuration(counter), "store": {"kind": "memory"}, "server": limits}
    with running_sidecar(config, tmp_path) as sidecar:
        pairs = [(fresh(), fresh()) for _ in range(8)]

        def send(pair: tuple[str, str]) -> Answer:
            return call(sidecar.url, "POST", "/orders?hold=queue", order(pair[1]), headers(pair[0]))

        with ThreadPoolExecutor(len(pairs)) as pool:
            sent = [pool.submit(send, pair) for pair in pairs]
            try:
                until(lambda: sum(each.done() for each in sent) == len(pairs) - 3)
            finally:
                call(counter, "GET", "/release/queue")
            answers = [each.result() for each in sent]
        refused = [answer for answer in answers if answer.status == 503]
        assert len(refused) == len(pairs) - 3
        assert all(answer.json()["type"] == "urn:payonce:problem:overloaded" for answer in refused)
        assert all(answer.header("retry-after") for answer in refused)
        assert call(sidecar.url, "GET", "/-/health").status == 200
        counts = call(counter, "GET", "/executions").json()
        assert sum(counts.get(reference, 0) for _, reference in pairs) == 3
        assert all(send(pair).status == 201 for pair in pairs)
        counts = call(counter, "GET", "/executions").json()
        assert all(counts[reference] == 1 for _, reference in pairs)


def test_the_configured_store_is_made() -> None:
    assert make_store(Store(kind="memory")).get("nothing") is None
