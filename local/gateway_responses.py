"""What API Gateway answers by itself, on the local cloud as on AWS, and which bodies are bytes.

ministack renders gateway responses, but does not read them from a template: as CloudFormation does there, they are put
to the APIs here, and take effect with a new deployment of the stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import yaml
from botocore.config import Config

from local.stack import CREDENTIALS, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.stack import Stack

TEMPLATE = REPOSITORY / "template.yaml"
API = "AWS::Serverless::Api"


class _Loader(yaml.SafeLoader):
    """Reads a template; of its intrinsic functions ``!Sub`` and ``!If`` are {tag: arguments}, the others nothing."""


def _function(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if suffix in {"Sub", "If"} and isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: node.value} if suffix == "Sub" else None


_Loader.add_multi_constructor("!", _function)


def gateway_responses(documentation_url: str) -> dict[str, Mapping[str, Any]]:
    """Return the template's gateway responses by the name of the API, each by its type.

    ``documentation_url`` is the parameter of that name; without it, problems have no link.
    """
    # It reads nothing but scalars, lists and mappings.
    resources = yaml.load(TEMPLATE.read_text(), Loader=_Loader)["Resources"]  # noqa: S506
    return {
        name: {
            kind: {**response, "ResponseTemplates": _rendered(response["ResponseTemplates"], documentation_url)}
            for kind, response in resource["Properties"]["GatewayResponses"].items()
        }
        for name, resource in resources.items()
        if resource["Type"] == API
    }


def _rendered(templates: Mapping[str, Any], documentation_url: str) -> dict[str, str]:
    """Return the texts as CloudFormation substitutes them."""
    rendered = {}
    for content_type, substituted in templates.items():
        if isinstance(substituted, str):  # the console's pages, which link to no problem
            rendered[content_type] = substituted
            continue
        text, variables = substituted["Sub"]
        _, with_link, without = variables["Link"]["If"]
        link = with_link["Sub"].replace("${DocumentationUrl}", documentation_url) if documentation_url else without
        rendered[content_type] = text.replace("${Link}", link)
    return rendered


def put_gateway_responses(stack: Stack, documentation_url: str) -> None:
    """Put the template's gateway responses to the stack's APIs, and deploy these again."""
    client = stack.client("apigateway")
    for name, responses in gateway_responses(documentation_url).items():
        api_id = stack.outputs[f"{name}Id"]
        for kind, response in responses.items():
            headers = response["ResponseParameters"]["Headers"]
            client.put_gateway_response(
                restApiId=api_id,
                responseType=kind,
                statusCode=str(response["StatusCode"]),
                responseParameters={f"gatewayresponse.header.{header}": value for header, value in headers.items()},
                responseTemplates=response["ResponseTemplates"],
            )
        client.create_deployment(restApiId=api_id, stageName=stack.outputs["StageName"])


def put_binary_media_types(stack: Stack) -> None:
    """Let the stack's APIs hand on every body as bytes where the template says so.

    A template writes a slash as ``~1``, which ministack takes by the letter: uploads and workbooks came out as text
    (https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-api.html). Its
    patches can't name a type with a slash either, so that the list is put as a whole, which the SDK would not send.
    """
    unchecked = boto3.client(
        "apigateway",
        endpoint_url=stack.endpoint_url,
        region_name=CREDENTIALS["AWS_REGION"],
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(parameter_validation=False),
    )
    for api in unchecked.get_rest_apis()["items"]:
        types = [one.replace("~1", "/") for one in api.get("binaryMediaTypes", [])]
        if types:
            put: Any = {"op": "replace", "path": "/binaryMediaTypes", "value": types}
            unchecked.update_rest_api(restApiId=api["id"], patchOperations=[put])
