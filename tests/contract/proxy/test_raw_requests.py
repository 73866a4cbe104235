"""The octets of requests, well formed and not, to the sidecar and to nginx in front of the same service.

What nginx refuses the sidecar refuses too, and what reaches the service reaches it once, unless the case says why not
(``tests.support.raw_requests``). The kinds are those of RFC 9112, 11.2 (request smuggling), of
https://portswigger.net/web-security/request-smuggling, and of https://nathandavison.com/blog/abusing-http-hop-by-hop-
request-headers.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from local.nginx_server import running_nginx
from tests.support.conformance import fresh
from tests.support.http import call
from tests.support.proxy import TENANT, configuration
from tests.support.raw_requests import CASES, SILENCE_SECONDS, Case, Made, exchange
from tests.support.upstreams.running import running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNKED_HEAD = b"Transfer-Encoding: chunked\r\n\r\n"
PART = b"x" * 10_000
ENDLESS_BYTES = 500_000  # several times what a head may have


@pytest.fixture(scope="module")
def sidecar_url(counter: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    config = {**configuration(counter), "store": {"kind": "memory"}, "server": {"body_timeout_seconds": 0.5}}
    with running_sidecar(config, tmp_path_factory.mktemp("raw")) as running:
        yield running.url


@pytest.fixture(scope="module")
def nginx_url(counter: str) -> Iterator[str]:
    with running_nginx(counter) as nginx:
        yield nginx.url


def sent(url: str, counter: str, case: Case) -> Made:
    reference = fresh()
    statuses = exchange(url, case.octets(reference, fresh()))
    return Made(statuses, len(seen(counter, reference)))


def seen(counter: str, reference: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call(counter, "GET", "/seen").json()
    return [one for one in found if reference in one["path"]]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_sidecar_takes_what_has_one_meaning(case: Case, sidecar_url: str, counter: str) -> None:
    """Fails when a request that two servers could read in two ways reaches the service, or a plain one does not."""
    assert sent(sidecar_url, counter, case) == case.ours


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nginx_says_the_same_unless_the_case_says_why_not(case: Case, nginx_url: str, counter: str) -> None:
    """The table is true. Statuses of refusals differ between nginx's versions: what reaches the service does not."""
    assert sent(nginx_url, counter, case).reached == case.nginx.reached
    assert (case.nginx.reached != case.ours.reached) == bool(case.why)


@pytest.mark.parametrize(
    "name", ["X-Tenant", "Idempotency-Key", "Authorization", "Content-Type", "Cookie", "X-Forwarded-For"]
)
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_connection_takes_nothing_away_that_says_whose_request_it_is(
    name: str, method: str, sidecar_url: str, counter: str
) -> None:
    """RFC 9110, 7.6.1. Fails (executed without its tenant) when the field is read here and then taken away.

    A field that nobody knows is of the connection, and ends here.
    """
    reference = fresh()
    own = {TENANT: "shop", "X-Hop": "1", name: "shop", "Idempotency-Key": fresh()}
    body = b"12345" if method == "POST" else None
    answer = call(sidecar_url, method, f"/orders?{reference}", body, {**own, "Connection": f"close, {name.swapcase()}"})
    assert (answer.status, answer.json()["type"]) == (400, "urn:payonce:problem:invalid-request")
    assert seen(counter, reference) == []
    answer = call(sidecar_url, method, f"/orders?{reference}", body, {**own, "Connection": "close, X-Hop"})
    assert answer.status in {200, 201}
    [received] = seen(counter, reference)
    names = {line[0].lower() for line in received["headers"]}
    assert {"x-tenant"} <= names
    assert "x-hop" not in names


def test_a_trailer_does_not_become_a_field(sidecar_url: str, counter: str) -> None:
    """RFC 9110, 6.5.1. Fails when what stands behind the body is merged into what was checked before it."""
    reference = fresh()
    lines = (b"Transfer-Encoding: chunked",)
    rest = b"5\r\n12345\r\n0\r\nX-Behind: 1\r\n\r\n"
    case = Case(name="", nginx=Made((), 0), ours=Made((), 0), lines=lines, rest=rest)
    assert exchange(sidecar_url, case.octets(reference, fresh())) == (201,)
    [received] = seen(counter, reference)
    assert "x-behind" not in {line[0].lower() for line in received["headers"]}


@pytest.fixture(scope="module")
def patient_url(counter: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sidecar, with deadlines that no test here waits for."""
    config = {**configuration(counter), "store": {"kind": "memory"}, "server": {"body_timeout_seconds": 60}}
    with running_sidecar(config, tmp_path_factory.mktemp("patient")) as running:
        yield running.url


@pytest.mark.parametrize("began", [b"X-A: ", CHUNKED_HEAD + b"0\r\nX-A: ", CHUNKED_HEAD + b"5;a="])
def test_what_has_no_end_is_refused_before_it_fills_the_memory(began: bytes, patient_url: str) -> None:
    """A field, a trailer and a chunk's extension (CVE-2024-22019). Fails when the line is kept until its deadline."""
    target = urlsplit(patient_url)
    with socket.create_connection((str(target.hostname), int(target.port or 80)), timeout=SILENCE_SECONDS) as sock:
        key = fresh().encode()
        sock.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nX-Tenant: shop\r\nIdempotency-Key: " + key + b"\r\n" + began)
        with suppress(ConnectionError):
            for _ in range(ENDLESS_BYTES // len(PART)):
                sock.sendall(PART)
            assert sock.recv(100)[:12] in {b"", b"HTTP/1.1 400"}
