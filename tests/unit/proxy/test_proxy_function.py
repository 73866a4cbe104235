"""The proxy function: events to requests and back, its configuration, and what it may do."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from payonce.aws.s3_blobs import S3Blobs
from payonce.domain.errors import MisconfiguredError, StoreUnavailable
from payonce.domain.exchange import Answered
from payonce.entrypoints.proxy import parse_event, serve
from payonce.stores.folder_blobs import FolderBlobs
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.application import Application
from payonce.wiring.proxy_function import is_configured, proxy_of
from payonce.wiring.settings import load_settings
from tests.support.aws import REGION
from tests.support.events import Context
from tests.support.proxy import configuration, function_answer, function_event
from tests.support.upstreams.counter import ALL_OCTETS
from tests.unit.proxy.world import World

CONFIG = configuration("http://up:9", route_changes={"scope": {"claim": "merchant_id"}})
HEADERS = {"Idempotency-Key": "0123456789abcdef", "Authorization": "Bearer po_secret", "Content-Type": "text/plain"}


def application() -> Application:
    return Application(load_settings({}), database=MemoryDatabase())


def environment(config: dict[str, Any] = CONFIG, **more: str) -> dict[str, str]:
    return {"PAYONCE_PROXY_CONFIG": json.dumps(config), **more}


def test_an_event_is_the_request_that_was_sent() -> None:
    """Fails when a path, a repeated query or header, or an octet is another one at the upstream."""
    event = function_event("POST", "/a%2Fb/c d?x=1&x=%26&y=", ALL_OCTETS, HEADERS)
    event["multiValueHeaders"]["X-Many"] = ["1", "2"]
    request = parse_event(event)
    assert request.target == "/a%2Fb/c%20d?x=1&x=%26&y="
    assert request.body == ALL_OCTETS
    assert request.headers()["x-many"] == ["1", "2"]
    assert (request.client, request.scheme, request.claims["merchant_id"]) == ("192.0.2.7", "https", "mer_1")
    text = parse_event({**event, "body": "ä", "isBase64Encoded": False})
    assert text.body == "ä".encode()


def test_the_apis_credential_ends_here_and_a_key_needs_the_scope() -> None:
    """Fails when an upstream sees the payonce API key, or any API key reaches the upstream."""
    world = World(scope={"claim": "merchant_id"})
    event = function_event("POST", "/orders", b"{}", HEADERS)
    assert serve(world.service, world.clock, event, Context())["statusCode"] == 201
    assert world.upstream.sent[0].header("Authorization") is None
    for claims in ({"merchant_id": "m", "scopes": "payments:write"}, {"merchant_id": "m"}, {}):
        answer = serve(world.service, world.clock, function_event("POST", "/orders", b"{}", HEADERS, claims), Context())
        assert answer["statusCode"] == 403
    anonymous = function_event("POST", "/orders", b"{}", HEADERS, {"scopes": "proxy:use"})
    assert serve(world.service, world.clock, anonymous, Context())["statusCode"] == 401
    assert len(world.upstream.sent) == 1


def test_binary_answers_and_repeated_headers_come_through_api_gateway() -> None:
    world = World()
    lines = (("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "image/png"))
    world.upstream.script = [Answered(200, {}, ALL_OCTETS, lines)]
    event = function_event("POST", "/orders", b"{}", {**HEADERS, "X-Tenant": "shop"})
    for _ in range(2):
        response = serve(world.service, world.clock, event, Context())
        assert response["isBase64Encoded"]
        answer = function_answer(response)
        assert answer.body == ALL_OCTETS
        assert answer.all("set-cookie") == ["a=1", "b=2"]
    broken = {**event, "body": "*", "isBase64Encoded": True}
    assert serve(world.service, world.clock, broken, Context())["statusCode"] == 400


def test_the_functions_own_end_bounds_the_request() -> None:
    """Fails when a request goes on after API Gateway has given up on it."""
    world = World(timeout_seconds=20)

    class Nearly:
        def get_remaining_time_in_millis(self) -> int:
            return 2_050

    event = function_event("POST", "/orders", b"{}", {**HEADERS, "X-Tenant": "shop"})
    answer = serve(world.service, world.clock, event, Nearly())
    assert answer["statusCode"] == 503
    assert world.upstream.sent == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timeout_seconds": 22}, "routes.0.timeout_seconds"),
        ({"timeout_seconds": 18, "unknown": {"policy": "ask", "url": "/{downstream_key}"}}, "routes.0.timeout_seconds"),
        ({"responses": {"max_bytes": 8_000_000}}, "routes.0.responses.max_bytes"),
        # One merchant would replay another's answer.
        ({"scope": {"header": "X-Tenant"}}, "routes.0.scope"),
        ({"scope": {"fixed": "all"}}, "routes.0.scope"),
    ],
)
def test_what_a_function_can_not_do_stops_the_start(changes: dict[str, Any], message: str) -> None:
    route = {"scope": {"claim": "merchant_id"}, **changes}
    config = {**configuration("http://up:9", route_changes=route), "overflow": {"bucket": "b"}}
    with pytest.raises(MisconfiguredError, match=message):
        proxy_of(application(), environment(config))


def test_large_answers_are_in_no_folder_of_one_execution() -> None:
    with pytest.raises(MisconfiguredError, match=r"overflow\.folder"):
        proxy_of(application(), environment({**CONFIG, "overflow": {"folder": "/tmp/answers"}}))  # noqa: S108


def test_its_records_are_in_the_stacks_table() -> None:
    with pytest.raises(MisconfiguredError, match="store"):
        proxy_of(application(), environment({**CONFIG, "store": {"kind": "memory"}}))
    with pytest.raises(MisconfiguredError, match="PAYONCE_PROXY_CONFIG"):
        proxy_of(application(), {})
    assert not is_configured({"PAYONCE_PROXY_CONFIG": "", "PAYONCE_PROXY_CONFIG_PARAMETER": ""})


def test_the_configuration_may_be_in_a_parameter_and_large_answers_in_the_stacks_bucket() -> None:
    with mock_aws():
        ssm = boto3.client("ssm", region_name=REGION)
        ssm.put_parameter(Name="/payonce/proxy", Value=json.dumps(CONFIG), Type="SecureString")
        own = {"PAYONCE_PROXY_CONFIG_PARAMETER": "/payonce/proxy", "PAYONCE_PROXY_BUCKET": "answers"}
        assert is_configured(own)
        proxy = proxy_of(application(), own)
        assert proxy.service.config.overflow is not None
        assert proxy.service.config.overflow.bucket == "answers"
        with pytest.raises(MisconfiguredError, match="/other can't be read"):
            proxy_of(application(), {"PAYONCE_PROXY_CONFIG_PARAMETER": "/other"})


def test_blobs_are_kept_in_s3_and_in_a_folder(tmp_path: Any) -> None:
    """One small contract for both places."""
    with mock_aws():
        client = boto3.client("s3", region_name=REGION)
        client.create_bucket(Bucket="answers", CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[typeddict-item]
        for blobs in (S3Blobs(client, "answers"), FolderBlobs(tmp_path / "new" / "folder")):
            assert blobs.get("fwd_1-1-abc") is None
            for _ in range(2):
                blobs.put("fwd_1-1-abc", ALL_OCTETS)
            assert blobs.get("fwd_1-1-abc") == ALL_OCTETS
        for broken in (S3Blobs(client, "nowhere"), FolderBlobs(__file__)):
            with pytest.raises(StoreUnavailable):
                broken.put("fwd_1-1-abc", b"")
        with pytest.raises(StoreUnavailable):
            FolderBlobs(tmp_path).get("../secret")
