"""The sidecar's process on real sockets: framing, limits, what passes untouched, probes, metrics, recovery."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.conformance import fresh
from tests.support.http import call, until
from tests.support.proxy import TENANT, configuration, function_call, service_of
from tests.support.tcp_faults import read_request, serving
from tests.support.upstreams.running import RunningSidecar, free_port, running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT_BYTES = 10_000
PATIENCE_SECONDS = 60  # for the first octets of an answer


@pytest.fixture(scope="module")
def sidecar(counter: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSidecar]:
    """One sidecar for the module."""
    changes = {"max_request_bytes": LIMIT_BYTES, "responses": {"max_inline_bytes": 4096}}
    folder = tmp_path_factory.mktemp("sidecar")
    config = {
        **configuration(counter, route_changes=changes),
        "store": {"kind": "memory"},
        "overflow": {"folder": str(folder / "large")},
        "server": {"body_timeout_seconds": 1},
    }
    with running_sidecar(config, folder) as running:
        yield running


def headers(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or fresh(), TENANT: "shop"}


def raw(url: str, *parts: bytes) -> bytes:
    """Send octets as they are, and return all that comes back until the other side closes or is silent."""
    target = urlsplit(url)
    with socket.create_connection((target.hostname, target.port), timeout=PATIENCE_SECONDS) as sock:
        for part in parts:
            sock.sendall(part)
        answer = b""
        try:
            while chunk := sock.recv(65536):
                answer += chunk
                sock.settimeout(2)
        except TimeoutError:
            pass
        return answer


def seen(counter: str, reference: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = call(counter, "GET", "/seen").json()
    return [one for one in found if reference in json.dumps(one)]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
    ],
)
def test_a_request_in_two_readings_reaches_nobody(sidecar: RunningSidecar, counter: str, framing: bytes) -> None:
    """RFC 9112, 11.2. Fails when the rest of one request becomes another one at the upstream."""
    reference = fresh()
    head = f"POST /orders?{reference} HTTP/1.1\r\nHost: x\r\n{TENANT}: shop\r\nIdempotency-Key: {fresh()}\r\n".encode()
    smuggled = f"GET /{reference}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    answer = raw(sidecar.url, head + framing + b"\r\n0\r\n\r\n" + smuggled)
    assert answer.startswith(b"HTTP/1.1 400"), answer[:200]
    assert seen(counter, reference) == []


def test_a_body_in_chunks_is_one_request_with_its_length(sidecar: RunningSidecar, counter: str) -> None:
    reference = fresh()
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\n{TENANT}: shop\r\nIdempotency-Key: {fresh()}\r\nX-Ref: {reference}\r\n"
    body = json.dumps({"reference": reference}).encode()
    chunks = b"".join(b"1\r\n" + bytes([octet]) + b"\r\n" for octet in body) + b"0\r\n\r\n"
    answer = raw(sidecar.url, head.encode() + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n", chunks)
    assert answer.startswith(b"HTTP/1.1 201")
    (request,) = seen(counter, reference)
    names = [name.lower() for name, _ in request["headers"]]  # type: ignore[attr-defined]
    assert ("transfer-encoding" in names, names.count("content-length")) == (False, 1)
    assert call(counter, "GET", "/executions").json()[reference] == 1


def test_a_body_over_the_limit_is_refused_before_it_is_whole(sidecar: RunningSidecar, counter: str) -> None:
    """Fails when it is read into memory first: the client here never sends the rest."""
    reference = fresh()
    head = f"POST /orders?{reference} HTTP/1.1\r\nHost: x\r\n{TENANT}: s\r\nIdempotency-Key: {fresh()}\r\n"
    answer = raw(sidecar.url, head.encode() + b"Content-Length: 1000000\r\n\r\n" + b"x" * (LIMIT_BYTES + 1))
    assert answer.startswith(b"HTTP/1.1 413")
    assert seen(counter, reference) == []


def test_a_body_that_drips_is_given_up(sidecar: RunningSidecar) -> None:
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\n{TENANT}: s\r\nIdempotency-Key: {fresh()}\r\n"
    answer = raw(sidecar.url, head.encode() + b"Content-Length: 100\r\n\r\nx")
    assert answer.startswith(b"HTTP/1.1 400")


def test_safe_methods_pass_as_they_are(sidecar: RunningSidecar, counter: str) -> None:
    """Fails when a read is stored, replayed, or loses a header."""
    reference = fresh()
    own = {"Accept-Encoding": "br", "Idempotency-Key": "k", "X-Ref": reference, "Connection": "X-Hop", "X-Hop": "1"}
    for method in ("GET", "HEAD", "OPTIONS"):
        answer = call(sidecar.url, method, f"/things?a=1&b=%2F&a=2#{''}".rstrip("#"), None, own)
        assert (answer.status, answer.header("etag")) == (200, '"v1"')
        expected = b"" if method == "HEAD" else f"{method} /things?a=1&b=%2F&a=2".encode()
        assert answer.body == expected
        assert answer.header("content-length") == str(len(f"{method} /things?a=1&b=%2F&a=2"))
    got = [{name.lower(): value for name, value in one["headers"]} for one in seen(counter, reference)]  # type: ignore[attr-defined]
    assert [one["accept-encoding"] for one in got] == ["br"] * 3
    assert [one["idempotency-key"] for one in got] == ["k"] * 3
    assert all("x-hop" not in one for one in got)


def test_a_refused_connection_is_a_503_and_leaves_the_key_free(tmp_path: Path) -> None:
    config = {**configuration(f"http://127.0.0.1:{free_port()}"), "store": {"kind": "memory"}}
    with running_sidecar(config, tmp_path) as running:
        own = headers()
        for _ in range(2):
            answer = call(running.url, "POST", "/orders", b"{}", own)
            assert (answer.status, answer.json()["type"]) == (503, "urn:payonce:problem:upstream-unavailable")
            assert answer.header("retry-after")
        assert call(running.url, "GET", "/x").status == 503
        assert call(running.url, "GET", "/-/ready").status == 200


@pytest.mark.parametrize("path", ["/drop", "/cut", "/orders?delay_ms=2500"])
def test_an_upstreams_silence_is_an_unknown_outcome(path: str, counter: str) -> None:
    """P4. Fails when a connection that breaks, an answer that is cut, or a timeout, is a failure: it was executed."""
    ask = function_call(service_of(configuration(counter, route_changes={"timeout_seconds": 1})))
    reference, own = fresh(), headers()
    for _ in range(3):
        answer = ask("POST", path, json.dumps({"reference": reference}).encode(), own)
        assert (answer.status, answer.json()["type"]) == (409, "urn:payonce:problem:outcome-unknown")
    assert call(counter, "GET", "/executions").json()[reference] == 1


@pytest.mark.parametrize("unframed", [False, True])
def test_an_answer_without_a_length_is_taken_only_where_it_is_allowed(unframed: bool) -> None:
    """It ends where the connection ends, be it in the middle."""
    executed = []

    def old_server(client: socket.socket) -> None:
        executed.append(read_request(client))
        client.sendall(b"HTTP/1.0 200 OK\r\nX-Old: 1\r\n\r\nwhole")

    with serving(old_server) as port:
        config = configuration(f"http://127.0.0.1:{port}")
        config["upstreams"]["counter"]["unframed_answers"] = unframed
        answer = function_call(service_of(config))("POST", "/x", b"{}", headers())
    assert (answer.status, answer.body == b"whole") == ((200, True) if unframed else (409, False))
    assert len(executed) == 1


def test_a_large_answer_is_replayed_from_the_folder(sidecar: RunningSidecar, counter: str) -> None:
    reference, own = fresh(), headers()
    body = json.dumps({"reference": reference}).encode()
    first, again = (call(sidecar.url, "POST", "/large?bytes=1000000", body, own) for _ in range(2))
    assert len(first.body) == 1_000_000
    assert first.same() == again.same()
    assert again.header("idempotency-replayed") == "true"
    assert call(counter, "GET", "/executions").json()[reference] == 1


def test_metrics_tell_what_became_of_requests(sidecar: RunningSidecar, counter: str) -> None:
    """Fails when an outcome is counted as another."""
    before = _counts(sidecar)
    own, body = headers(), json.dumps({"reference": fresh()}).encode()
    call(sidecar.url, "POST", "/orders", body, own)
    call(sidecar.url, "POST", "/orders", body, own)
    call(sidecar.url, "POST", "/orders", b"{}", own)
    call(sidecar.url, "POST", "/drop", body, headers())
    call(sidecar.url, "GET", "/orders")
    slow, held = headers(), json.dumps({"reference": fresh()}).encode()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(call, sidecar.url, "POST", "/orders?hold=metrics", held, slow)
        until(lambda: "payonce_proxy_in_flight 1.0" in call(sidecar.url, "GET", "/-/metrics").body.decode())
        call(sidecar.url, "POST", "/orders?hold=metrics", held, {**slow, "Prefer": "wait=0"})
        call(counter, "GET", "/release/metrics")
        running.result()
    after = _counts(sidecar)
    gained = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
    assert gained == {"executed": 2, "replayed": 1, "reused": 1, "unknown": 1, "passed": 1, "in_progress": 1}


def _counts(sidecar: RunningSidecar) -> dict[str, float]:
    found = {}
    for line in call(sidecar.url, "GET", "/-/metrics").body.decode().splitlines():
        if line.startswith("payonce_proxy_requests_total{") and 'route="orders"' in line:
            found[line.split('outcome="')[1].split('"')[0]] = float(line.rsplit(" ", 1)[1])
    return found


def test_readiness_is_the_stores(counter: str, tmp_path: Path) -> None:
    """Fails when a sidecar without its store says that it is ready; it is alive all the same."""
    store = {"kind": "dynamodb", "table": "t", "endpoint_url": f"http://127.0.0.1:{free_port()}"}
    with running_sidecar({**configuration(counter), "store": store}, tmp_path) as running:
        assert call(running.url, "GET", "/-/health").status == 200
        assert call(running.url, "GET", "/-/ready").status == 503
        reference = fresh()
        answer = call(running.url, "POST", "/orders", json.dumps({"reference": reference}).encode(), headers())
        assert (answer.status, answer.json()["type"]) == (503, "urn:payonce:problem:store-unavailable")
        assert "payonce_proxy_store_errors_total 1.0" in call(running.url, "GET", "/-/metrics").body.decode()
        assert reference not in call(counter, "GET", "/executions").json()


def test_the_sidecar_recovers_on_its_own(counter: str, tmp_path: Path) -> None:
    """Fails when only a client's retry settles what is in doubt."""
    ask = {"policy": "ask", "url": "/by-key/{downstream_key}", "state_member": "reference", "final_states": ["later"]}
    config = {
        **configuration(counter, route_changes={"unknown": ask}),
        "store": {"kind": "memory"},
        "server": {"recovery_interval_seconds": 0.2},
    }
    with running_sidecar(config, tmp_path) as running:
        reference = "later"
        answer = call(running.url, "POST", "/drop", json.dumps({"reference": reference}).encode(), headers())
        assert answer.status == 200  # found at once: the state is final
        own = headers()
        call(running.url, "POST", "/drop", b'{"reference":"never"}', own)
        until(lambda: "payonce_proxy_open_claims 1.0" in call(running.url, "GET", "/-/metrics").body.decode())
        assert call(counter, "GET", "/executions").json()["never"] == 1
