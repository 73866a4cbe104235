"""The configuration: an error names the file, the place in it, and what is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import MisconfiguredError
from payonce.proxy.config_load import load_file, parse
from payonce.proxy.patterns import status_in

if TYPE_CHECKING:
    from pathlib import Path

ROUTE = {"name": "orders", "path": "/orders", "upstream": "shop", "scope": {"header": "X-Tenant"}}
CONFIG: dict[str, Any] = {"upstreams": {"shop": {"url": "http://127.0.0.1:9000"}}, "routes": [ROUTE]}


def with_route(**changes: Any) -> dict[str, Any]:
    return {**CONFIG, "routes": [{**ROUTE, **changes}]}


def test_defaults_are_the_contract_of_payonce() -> None:
    route = parse(json.dumps(CONFIG), {}, source="x").routes[0]
    assert route.key_headers == ("x-idempotency-key", "idempotency-key")
    assert (route.window_seconds, route.wait_seconds, route.max_wait_seconds) == (86_400, 5, 20)
    assert route.unknown.policy == "park"
    assert route.pass_methods == ("GET", "HEAD", "OPTIONS")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**CONFIG, "routs": []}, "x.json: routs: there is no such setting"),
        (with_route(scope={}), "x.json: routes.0.scope: name one source: header, claim or fixed"),
        (with_route(scope={"header": "A", "fixed": "b"}), "routes.0.scope: name one source"),
        (with_route(upstream="other"), "routes.0.upstream: there is no upstream 'other'"),
        (with_route(window_seconds=3600), "routes.0.window_seconds: Input should be greater than or equal to 86400"),
        (with_route(window_seconds=300_000), "routes.0.window_seconds: Input should be less than or equal to 259200"),
        (with_route(window_seconds=259_200, guard_seconds=86_400), "guard_seconds is shorter than window_seconds"),
        (with_route(wait_seconds=21), "wait_seconds is more than max_wait_seconds"),
        (with_route(wait_seconds="5"), "routes.0.wait_seconds: Input should be a valid integer"),
        (with_route(methods=["GET"]), "methods holds GET"),
        (with_route(pass_methods=["POST"]), "in methods and in pass_methods"),
        (with_route(path="/orders/{id"), "brace"),
        (with_route(responses={"store": ["4xx"]}), "store must hold 2xx"),
        (with_route(responses={"store": ["2xx", "429"]}), "429 is in store and in release"),
        (with_route(responses={"store": ["6xx"]}), "routes.0.responses.store.0: String should match"),
        (
            with_route(responses={"max_bytes": 900_000}),
            "routes.0.responses.max_bytes: more than max_inline_bytes needs",
        ),
        (with_route(unknown={"policy": "guess"}), "routes.0.unknown: Input tag 'guess'"),
        (with_route(unknown={"policy": "ask", "url": "/status"}), "url must hold {downstream_key}"),
        (with_route(unknown={"policy": "resubmit"}), "routes.0.unknown.resubmit.honours_seconds: Field required"),
        (with_route(keep_request={}), "keep_request needs the policy ask or resubmit"),
        ({**CONFIG, "routes": [ROUTE, ROUTE]}, "routes: the name 'orders' is given twice"),
        ({**CONFIG, "upstreams": {"shop": {"url": "ftp://x"}}}, "upstreams.shop: url must be http:// or https://"),
        ({**CONFIG, "upstreams": {"shop": {"url": "http://u:p@x"}}}, "no user name"),
        ({**CONFIG, "store": {"kind": "dynamodb"}}, "store: kind dynamodb needs table"),
        ({**CONFIG, "store": {"kind": "redis"}}, "store: kind redis needs url"),
        ({**CONFIG, "store": {"kind": "files"}}, "store.kind: Input should be 'memory', 'dynamodb' or 'redis'"),
        ({**CONFIG, "overflow": {}}, "overflow: name one place: folder or bucket"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Fails when a setting without effect, or one outside its range, is taken in silence."""
    with pytest.raises(MisconfiguredError) as error:
        parse(json.dumps(config), {}, source="x.json")
    assert message in error.value.detail
    assert error.value.detail.startswith("x.json: ")


def test_toml_and_json_are_the_same_and_a_file_is_named(tmp_path: Path) -> None:
    toml = tmp_path / "proxy.toml"
    toml.write_text(
        '[upstreams.shop]\nurl = "http://127.0.0.1:9000"\n'
        '[[routes]]\nname = "orders"\npath = "/orders"\nupstream = "shop"\nscope = { header = "X-Tenant" }\n'
    )
    assert load_file(toml, {}) == parse(json.dumps(CONFIG), {}, source="x")
    toml.write_text("[upstreams\n")
    with pytest.raises(MisconfiguredError, match=r"proxy\.toml: not TOML"):
        load_file(toml, {})
    with pytest.raises(MisconfiguredError, match=r"missing\.toml: the file can't be read"):
        load_file(tmp_path / "missing.toml", {})


def test_credentials_come_from_the_environment() -> None:
    """Fails when a missing one is sent as the text ``env:NAME``."""
    config = {**CONFIG, "upstreams": {"shop": {"url": "http://x", "headers": {"Authorization": "env:SHOP_TOKEN"}}}}
    found = parse(json.dumps(config), {"SHOP_TOKEN": "Bearer t"}, source="x")
    assert found.upstreams["shop"].headers == {"Authorization": "Bearer t"}
    with pytest.raises(MisconfiguredError, match=r"x: upstreams\.shop\.headers\.Authorization: SHOP_TOKEN is not set"):
        parse(json.dumps(config), {}, source="x")


@pytest.mark.parametrize(
    ("path", "found"),
    [("/orders", "orders"), ("/orders/1/pay", "pay"), ("/orders/1/2/pay", None), ("/files/a/b", "files"), ("/o", None)],
)
def test_paths_lead_to_routes(path: str, found: str | None) -> None:
    routes = [
        ROUTE,
        {**ROUTE, "name": "pay", "path": "/orders/{id}/pay"},
        {**ROUTE, "name": "files", "path": "/files/{rest+}"},
    ]
    config = parse(json.dumps({**CONFIG, "routes": routes}), {}, source="x")
    route, known = config.find("POST", path)
    assert (route.name if route else None) == found
    assert known == (found is not None)
    assert config.find("PUT", "/orders") == (None, True)


def test_a_longer_match_counts() -> None:
    assert [status_in(status, ["4xx", "429"]) for status in (404, 429, 500)] == [1, 2, 0]
