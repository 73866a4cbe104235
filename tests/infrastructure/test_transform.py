"""What SAM makes of the template where it decides by a parameter's text, before CloudFormation looks at conditions."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from typing import Any

import pytest

from local.cloud import CLOUD_BIN
from payonce.entrypoints.gateway_events import MERCHANT_PATH, PATH
from tests.support.aws import REGION, REPOSITORY

# SAM's translator is installed where sam is, not beside the tests.
TRANSFORM = """
import json, sys
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

class NoManagedPolicies:
    def load(self):
        return {}

template = yaml_parse(open("template.yaml").read())
for resource in template["Resources"].values():
    for name in ("CodeUri", "ContentUri", "DefinitionUri"):
        if name in resource["Properties"]:
            resource["Properties"][name] = "s3://bucket/key"
for name, properties in json.loads(sys.argv[2]).items():
    template["Resources"][name]["Properties"] |= properties
parameters = {"MerchantRequestsPerSecond": sys.argv[1], "Environment": "sandbox", **json.loads(sys.argv[3])}
print(json.dumps(transform(template, parameters, NoManagedPolicies())["Resources"]))
"""


@cache
def transformed(requests_per_second: str, *, changes: str = "{}", parameters: str = "{}") -> dict[str, Any]:
    """Return the resources that SAM makes of the template, with further properties of resources and parameters."""
    answer = subprocess.run(
        [CLOUD_BIN / "python", "-c", TRANSFORM, requests_per_second, changes, parameters],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": REGION},
        capture_output=True,
        text=True,
        check=True,
    )
    resources: dict[str, Any] = json.loads(answer.stdout.splitlines()[0])
    return resources


@pytest.mark.parametrize("requests_per_second", ["100", ""])
def test_every_method_counts_its_merchants_requests_where_that_is_on(requests_per_second: str) -> None:
    """Fails when a method is left out of the usage plan, or when switching it off leaves it on: then every request
    without a key of API Gateway's own would be refused.
    """
    resources = transformed(requests_per_second)
    for api in ("Api", "ProxyApi"):
        body = resources[api]["Properties"]["Body"]
        methods = [
            method.get("Fn::If", [None, method])[1]
            for path in body["paths"].values()
            for name, method in path.get("Fn::If", [None, path])[1].items()
            if name != "options" or "x-amazon-apigateway-integration" in json.dumps(method)
        ]
        assert len(methods) >= 7
        needed = [{"api_key": []}] if requests_per_second else []
        for method in methods:
            assert method["security"] == [{"ApiKeyAuthorizer": []}, *needed]
        assert ("api_key" in body["securityDefinitions"]) == bool(requests_per_second)


def test_every_functions_role_has_the_boundary() -> None:
    """SAM makes the roles. Fails when one is without: AWS's policies for queues and streams name all."""
    resources = transformed("100")
    functions = [name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Function"]
    assert len(functions) > 40
    for name in functions:
        role = resources[f"{name}Role"]["Properties"]
        assert role["PermissionsBoundary"] == {"Ref": "FunctionsBoundary"}


def test_the_firewall_and_the_access_log_are_on_the_stages_that_are_served() -> None:
    """Fails when SAM does not see through the name of an API's stage, or drops the log's setting."""
    resources = transformed("100")
    for name, api in (("ApiFirewall", "Api"), ("ProxyApiFirewall", "ProxyApi")):
        (stage,) = [
            key
            for key, each in resources.items()
            if each["Type"] == "AWS::ApiGateway::Stage" and each["Properties"]["RestApiId"] == {"Ref": api}
        ]
        arn = resources[name]["Properties"]["ResourceArn"]["Fn::Sub"]
        assert arn.endswith(f"::/restapis/${{{api}}}/stages/${{{stage}}}")
        condition, setting, _ = resources[stage]["Properties"]["AccessLogSetting"]["Fn::If"]
        assert (condition, set(setting)) == ("HasAccessLogs", {"DestinationArn", "Format"})


def test_every_function_and_layer_is_for_the_processor_that_is_asked_for() -> None:
    """Fails when a function or a layer is left on another processor: its first import would fail."""
    resources = transformed("100")
    of = {
        "AWS::Lambda::Function": "Architectures",
        "AWS::Lambda::LayerVersion": "CompatibleArchitectures",
    }
    found = [each["Properties"].get(of[each["Type"]]) for each in resources.values() if each["Type"] in of]
    assert len(found) > 40
    assert all(one == [{"Ref": "Architecture"}] for one in found)


PUBLISHED = {"AutoPublishAlias": "live", "AutoPublishAliasAllProperties": True}


def versions(gateways: str, code: str) -> list[str]:
    """Return the versions of create_payment that SAM would publish with this layer and parameter."""
    changes = {"CreatePaymentFunction": PUBLISHED, "PayonceLayer": {"ContentUri": f"s3://bucket/{code}"}}
    made = transformed("100", changes=json.dumps(changes), parameters=json.dumps({"Gateways": gateways}))
    return [name for name, each in made.items() if each["Type"] == "AWS::Lambda::Version"]


def test_sam_would_publish_no_version_for_new_settings() -> None:
    """Why no function has an alias, and none SnapStart (docs/adr/0034-functions-and-snapshots.md): an alias would go on
    with the gateways and the code of before. Fails once SAM sees the change; then the decision can be another one.
    """
    [version] = versions("[]", "before")
    assert versions('[{"name":"stripe","kind":"stripe"}]', "before") == [version]
    assert versions("[]", "after") == [version]
    assert not [name for name, each in transformed("100").items() if each["Type"] == "AWS::Lambda::Alias"]


@pytest.mark.parametrize("requests_per_second", ["100", ""])
def test_gateways_need_no_key_of_any_kind(requests_per_second: str) -> None:
    """Fails when SAM puts the authorizer or the usage plan before the route that gateways call."""
    body = transformed(requests_per_second)["GatewayEventsApi"]["Properties"]["Body"]
    assert sorted(body["paths"]) == [PATH, MERCHANT_PATH]
    assert not [path for path in body["paths"] if "security" in body["paths"][path]["post"]]
