"""Writes the environment of the deployed functions for ``sam local invoke``.

``python -m local.sam_local_env FILE HOST``. Loopback addresses are replaced by HOST, where local/relay.py listens for
the containers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local.command import default_cloud
from local.stack import CREDENTIALS, STACK_NAME


def main(file: str, host: str) -> None:
    """Write the file for ``--env-vars``: each function's variables, by its name in the template."""
    stack = default_cloud().stack()
    lambdas = stack.client("lambda")
    resources = stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)["StackResources"]
    written = {}
    for resource in resources:
        if resource["ResourceType"] != "AWS::Lambda::Function":
            continue
        deployed = lambdas.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
        variables = {
            **deployed["Environment"]["Variables"],
            **CREDENTIALS,
            "PAYONCE_ENDPOINT_URL": stack.endpoint_url,
        }
        written[resource["LogicalResourceId"]] = {
            name: value.replace("127.0.0.1", host) for name, value in variables.items()
        }
    Path(file).write_text(json.dumps(written))


if __name__ == "__main__":
    main(*sys.argv[1:])
