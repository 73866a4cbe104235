"""What API Gateway answers by itself, on the local cloud as on AWS.

ministack renders gateway responses, but does not read them from a template: as CloudFormation does there, they are put
to the APIs here, and take effect with a new deployment of the stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from local.stack import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.stack import Stack

TEMPLATE = REPOSITORY / "template.yaml"
API = "AWS::Serverless::Api"


class _Loader(yaml.SafeLoader):
    """Reads a template; its intrinsic functions stand for nothing here."""


_Loader.add_multi_constructor("!", lambda *_: None)


def gateway_responses() -> dict[str, Mapping[str, Any]]:
    """Return the template's gateway responses by the name of the API, each by its type."""
    # It reads nothing but scalars, lists and mappings.
    resources = yaml.load(TEMPLATE.read_text(), Loader=_Loader)["Resources"]  # noqa: S506
    return {
        name: resource["Properties"]["GatewayResponses"]
        for name, resource in resources.items()
        if resource["Type"] == API
    }


def put_gateway_responses(stack: Stack) -> None:
    """Put the template's gateway responses to the stack's APIs, and deploy these again."""
    client = stack.client("apigateway")
    for name, responses in gateway_responses().items():
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
