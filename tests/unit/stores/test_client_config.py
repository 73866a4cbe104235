"""How the clients of AWS are configured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from payonce.wiring.aws_clients import AWS_MAX_CONNECTIONS, client_config, dynamodb_config
from tests.support.aws import dynamodb_client

SENT = SimpleNamespace(status_code=200)  # instead of an HTTP response


def test_dynamodb_is_asked_without_the_sdks_check_and_else_as_all_of_aws() -> None:
    """Fails when the check costs its tenth again, or when leaving it out loses a timeout or the bound on retries."""
    ours, all_of_aws = dynamodb_config(), client_config()
    assert (ours.parameter_validation, all_of_aws.parameter_validation) == (False, True)
    for name in ("connect_timeout", "read_timeout", "retries", "max_pool_connections"):
        assert getattr(ours, name) == getattr(all_of_aws, name)
    assert dynamodb_config(AWS_MAX_CONNECTIONS + 1).max_pool_connections == AWS_MAX_CONNECTIONS + 1


def test_the_contract_suites_run_as_production_does() -> None:
    """Fails when a request that only the SDK would have refused is never tried."""
    asked: list[dict[str, Any]] = []
    client = dynamodb_client()

    def answer(params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        asked.append(params)
        return SENT, {}

    client.meta.events.register("before-call.dynamodb.GetItem", answer)
    client.get_item(TableName="t", Key={}, ConsistentRead="yes")  # type: ignore[arg-type]
    assert len(asked) == 1
