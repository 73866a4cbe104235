"""The octets of requests, well formed and not, to the sidecar and to nginx in front of the same service.

What nginx refuses the sidecar refuses too, and what reaches the service reaches it once, unless the case says why not
(``tests.support.raw_requests``). The kinds are those of RFC 9112, 11.2 (request smuggling), of
https://portswigger.net/web-security/request-smuggling, and of https://nathandavison.com/blog/abusing-http-hop-by-hop-
request-headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.nginx_server import running_nginx
from tests.support.conformance import fresh
from tests.support.http import call
from tests.support.proxy import TENANT, configuration
from tests.support.raw_requests import CASES, Case, Made, exchange
from tests.support.upstreams.running import running_sidecar

if TYPE_CHECKING:
    from collections.abc import Iterator


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
