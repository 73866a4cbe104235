"""Writes the environment of the deployed functions for ``sam local invoke``.

``python -m local.sam_local_env FILE HOST``. Addresses of loopback become HOST, where local/relay.py listens for the
containers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from local.cloud import default_cloud
from local.stack import CREDENTIALS


def main(file: str, host: str) -> None:
    """Write the file that ``--env-vars`` takes."""
    stack = default_cloud().stack()
    functions = stack.client("lambda").list_functions()["Functions"]
    deployed = next(function for function in functions if "CreatePayment" in function["FunctionName"])
    variables = {
        **deployed["Environment"]["Variables"],
        **CREDENTIALS,
        "PAYONCE_ENDPOINT_URL": stack.endpoint_url,
    }
    reachable = {name: value.replace("127.0.0.1", host) for name, value in variables.items()}
    Path(file).write_text(json.dumps({"Parameters": reachable}))


if __name__ == "__main__":
    main(*sys.argv[1:])
