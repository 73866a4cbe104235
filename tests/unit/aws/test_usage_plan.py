"""Each merchant has a bucket of requests of its own in API Gateway's usage plan, and works without one, too.

What counts is the key that the authorizer names, not one that a client sends:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-api-key-source.html
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber

from payonce.aws.usage_plan import UsagePlan
from payonce.cli import main as cli
from payonce.cli import merchants
from payonce.domain.errors import NotFound, StoreUnavailable
from payonce.entrypoints.authorizer import authorize
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.merchants.api_keys import Merchants
    from payonce.wiring.application import Application

PLAN = "plan-1"
ARN = "arn:aws:execute-api:eu-west-1:123456789012:api/production/GET/payments"


@pytest.fixture
def gateway() -> Any:
    """A client of API Gateway that answers what is added to ``client.stubber``, and nothing else."""
    client: Any = boto3.client("apigateway", region_name=REGION, aws_access_key_id="a", aws_secret_access_key="b")
    client.stubber = Stubber(client)
    client.stubber.activate()
    return client


def key_made(client: Any, merchant_id: str, *, value: str) -> None:
    asked = {"name": merchant_id, "value": value, "enabled": True}
    client.stubber.add_response("create_api_key", {"id": "id-1", "name": merchant_id}, asked)


def key_added(client: Any) -> None:
    asked = {"usagePlanId": PLAN, "keyId": "id-1", "keyType": "API_KEY"}
    client.stubber.add_response("create_usage_plan_key", {"id": "id-1"}, asked)


def authorized(merchants: Merchants, api_key: str, shared: str = "shared0123456789abcdef0123456789") -> dict[str, Any]:
    event = {"authorizationToken": f"Bearer {api_key}", "methodArn": ARN}
    return authorize(merchants, event, shared_usage_key=shared)


def test_a_merchants_key_is_made_and_added(gateway: Any) -> None:
    """Fails when the value is not one that API Gateway takes: 20 to 128 letters and digits."""
    merchant_id = "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"
    key_made(gateway, merchant_id, value="mer01JD0Z2VJ6K0Q5M8YB3W7T9XRA")
    key_added(gateway)
    value = UsagePlan(gateway, PLAN).add(merchant_id)
    assert (value.isalnum(), 20 <= len(value) <= 128) == (True, True)
    gateway.stubber.assert_no_pending_responses()


def test_what_was_done_half_is_finished(gateway: Any) -> None:
    """A run that died between the key and the plan, or after both. Fails when the second run gives up."""
    gateway.stubber.add_client_error("create_api_key", "ConflictException", http_status_code=409)
    items = [{"id": "id-9", "name": "mer_1x"}, {"id": "id-1", "name": "mer_1"}]  # the query is for a beginning
    gateway.stubber.add_response("get_api_keys", {"items": items}, {"nameQuery": "mer_1"})
    key_added(gateway)
    assert UsagePlan(gateway, PLAN).add("mer_1") == "mer1"
    gateway.stubber.add_client_error("create_api_key", "ConflictException", http_status_code=409)
    gateway.stubber.add_response("get_api_keys", {"items": items}, {"nameQuery": "mer_1"})
    gateway.stubber.add_client_error("create_usage_plan_key", "ConflictException", http_status_code=409)
    assert UsagePlan(gateway, PLAN).add("mer_1") == "mer1"


@pytest.mark.parametrize("code", ["LimitExceededException", "NotFoundException", "AccessDeniedException"])
def test_a_refusal_is_said_in_our_words(gateway: Any, code: str) -> None:
    """10,000 keys in account and region, a plan that is gone, an operator who may not. Fails as a traceback."""
    key_made(gateway, "mer_1", value="mer1")
    gateway.stubber.add_client_error("create_usage_plan_key", code, "no")
    with pytest.raises(StoreUnavailable, match=f"mer_1.*{code}"):
        UsagePlan(gateway, PLAN).add("mer_1")


def test_the_authorizer_names_the_merchants_bucket_or_the_shared_one(application: Application) -> None:
    """Fails when a merchant without a key of its own names none: API Gateway would refuse all its requests."""
    merchants = application.merchants
    first, second = merchants.create_merchant("First"), merchants.create_merchant("Second")
    _, before = merchants.create_api_key(first)
    merchants.set_usage_key(first, "first")
    _, after = merchants.create_api_key(first)
    _, other = merchants.create_api_key(second)
    named = [authorized(merchants, key)["usageIdentifierKey"] for key in (before, after, other)]
    shared = "shared0123456789abcdef0123456789"
    assert named == [shared, "first", shared]
    assert "usageIdentifierKey" not in authorized(merchants, other, shared="")
    assert [merchants.usage_key(merchant) for merchant in (first, second)] == ["first", ""]
    with pytest.raises(NotFound):
        merchants.usage_key("mer_none")


@pytest.fixture
def command(
    application: Application, gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, str]]:
    """Run the operator's command with the stack's usage plan, and return what it wrote."""
    monkeypatch.setitem(os.environ, "PAYONCE_USAGE_PLAN_ID", PLAN)
    monkeypatch.setitem(os.environ, "PAYONCE_MERCHANTS_TABLE", "m")
    monkeypatch.setattr(merchants, "application_of", lambda *_: application)
    monkeypatch.setattr(boto3, "client", lambda name, **_: {"apigateway": gateway}[name])

    def run(*arguments: str) -> dict[str, str]:
        assert cli.main(arguments) == 0
        said = capsys.readouterr()
        return {"error": said.err, **dict(line.split() for line in said.out.splitlines())}

    return run


def test_who_creates_a_merchant_gives_it_its_bucket_once(
    command: Callable[..., dict[str, str]], application: Application, gateway: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when the first API key is made before the bucket, or when a further key asks API Gateway again."""
    number = iter("ABCDEF")
    known = {"mer": "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA"}
    monkeypatch.setattr(application.ids, "new", lambda prefix: known.get(prefix) or f"{prefix}_{next(number)}")
    key_made(gateway, "mer_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", value="mer01JD0Z2VJ6K0Q5M8YB3W7T9XRA")
    key_added(gateway)
    made = command("create-merchant", "Acme")
    further = command("create-key", made["merchant_id"])
    assert "share" not in made["error"] + further["error"]
    for api_key in (made["api_key"], further["api_key"]):
        assert authorized(application.merchants, api_key)["usageIdentifierKey"] == "mer01JD0Z2VJ6K0Q5M8YB3W7T9XRA"


def test_a_merchant_is_made_although_the_plan_is_not_to_be_had(
    command: Callable[..., dict[str, str]], application: Application, gateway: Any
) -> None:
    """Fails when a full account stops new merchants, or when nobody is told; a further key tries again."""
    gateway.stubber.add_client_error("create_api_key", "LimitExceededException", "10000")
    made = command("create-merchant", "Acme")
    assert "LimitExceededException" in made["error"]
    assert "such merchants share" in made["error"]
    assert authorized(application.merchants, made["api_key"])["usageIdentifierKey"].startswith("shared")
    merchant_id = made["merchant_id"]
    key_made(gateway, merchant_id, value=merchant_id.replace("_", ""))
    key_added(gateway)
    further = command("create-key", merchant_id)
    assert authorized(application.merchants, further["api_key"])["usageIdentifierKey"] == merchant_id.replace("_", "")
