"""``payonce --stack``: a deployed stack says itself what the commands need."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from payonce.cli import main as cli
from payonce.cli.stack import _OF_OUTPUT, _OF_PARAMETER, environment_of_stack
from payonce.domain.errors import MisconfiguredError
from tests.support.aws import REGION, load_template


def cloudformation(outputs: dict[str, str], parameters: dict[str, str]) -> Any:
    client = boto3.client("cloudformation", region_name=REGION)
    stubber = Stubber(client)
    stack = {
        "StackName": "shop",
        "CreationTime": "2026-11-28T00:00:00Z",
        "StackStatus": "UPDATE_COMPLETE",
        "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()],
        "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    }
    stubber.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "shop"})
    stubber.activate()
    return client


def test_outputs_and_parameters_become_variables() -> None:
    """Fails when a name is not known, or what the caller has set is overwritten."""
    client = cloudformation({"PaymentsTableName": "p-1", "ApiUrl": "x"}, {"RoutingMode": "on", "LogRetentionDays": "1"})
    found = environment_of_stack("shop", {"PAYONCE_ROUTING_MODE": "off", "HOME": "/"}, client)
    expected = {"PAYONCE_PAYMENTS_TABLE": "p-1", "PAYONCE_ROUTING_MODE": "off", "PAYONCE_API_URL": "x", "HOME": "/"}
    assert found == expected


def test_the_template_has_each_of_them() -> None:
    """Fails when the template renames an output or a parameter, or the commands miss a variable of the functions."""
    template = load_template()
    assert _OF_OUTPUT.keys() <= template["Outputs"].keys()
    assert _OF_PARAMETER.keys() <= template["Parameters"].keys()
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    known = {*_OF_OUTPUT.values(), *_OF_PARAMETER.values(), "PAYONCE_ENDPOINT_URL"}
    assert {name for name in variables if name.startswith("PAYONCE_")} <= known


def test_a_stack_that_can_not_be_read_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Fails when an unknown stack or missing credentials are a traceback."""
    client = boto3.client("cloudformation", region_name=REGION)
    stubber = Stubber(client)
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id shop does not exist")
    stubber.activate()
    with pytest.raises(MisconfiguredError, match="does not exist"):
        environment_of_stack("shop", {}, client)
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_REGION")
    assert cli.main(["--stack", "shop", "routing", "show"]) == 3
    assert "AWS_REGION" in capsys.readouterr().err


def test_the_stack_may_be_named_once_for_all_commands(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Fails when the pages' command lines, which leave the stack out, do not run after one export."""
    asked: list[str] = []

    def found(name: str, environment: dict[str, str]) -> dict[str, str]:
        asked.append(name)
        return environment

    monkeypatch.setattr("payonce.cli.stack.environment_of_stack", found)
    monkeypatch.setenv("PAYONCE_STACK", "shop")
    assert cli.main(["routing", "show"]) == 2
    assert cli.main(["--stack", "other", "routing", "show"]) == 2
    assert "--stack or PAYONCE_STACK" in capsys.readouterr().err
    # What works on files asks nobody.
    assert cli.main(["reconcile", "no-such-file.csv", "--ledger", "none.csv"]) == 2
    assert cli.main(["verify-manifests", "no-such-folder"]) == 2
    assert asked == ["shop", "other"]
