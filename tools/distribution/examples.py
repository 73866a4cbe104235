"""The examples of docs/installing.md, by extra, and the servers that they are run with."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from tools.distribution.wheelhouse import NAME, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PAGE = REPOSITORY / "docs" / "installing.md"
FILES = REPOSITORY / "docs" / "examples" / "reconciliation"
CONFIGURATION = REPOSITORY / "docs" / "proxy.toml"
TABLE_NAME = "idempotency"
LOCK_NODES = 3
# What the example loads at its first call, and not by its import statements.
_AT_THE_CALL: Mapping[str, str] = MappingProxyType(
    {
        "": "import payonce.idempotency.record_store, payonce.stores.memory",
        "redis": "import payonce.stores.redis_calls, payonce.stores.redis_idempotency",
        "redlock": "import payonce.idempotency.record_store, payonce.stores.memory, pottery",
        "dynamodb": "import boto3, payonce.idempotency.record_store, payonce.stores.dynamodb",
        "ed25519": "from cryptography.hazmat.primitives.asymmetric import ed25519",
    }
)
_EXAMPLE = re.compile(rf"^### `{NAME}(?:\[(\w+)\])?`$(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(r"^(?:from [\w.]+ import .+|import .+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """The example of an extra, "" for none. ``language`` is "python" or "sh"."""

    extra: str
    language: str
    text: str

    @property
    def imports(self) -> str:
        """Statements that load what the example does, without what it does: of a command its module."""
        written = (
            _IMPORT.findall(self.text)
            if self.language == "python"
            else ["import payonce.cli.main, payonce.cli.reconcile"]
        )
        return "\n".join([*written, _AT_THE_CALL.get(self.extra, "")])


def examples() -> dict[str, Example]:
    """Return the page's examples by extra. Raises ``ValueError`` for a section that has not exactly one."""
    found: dict[str, Example] = {}
    for extra, text in _EXAMPLE.findall(PAGE.read_text()):
        blocks = _BLOCK.findall(text)
        if len(blocks) != 1:
            raise ValueError(f"{PAGE}: the section of {extra or 'no extra'} has {len(blocks)} examples.")
        found[extra] = Example(extra, *blocks[0])
    return found


@contextmanager
def running_servers() -> Iterator[Mapping[str, str]]:
    """Run what the examples need on loopback: yield the environment variables that name it."""
    import boto3

    from local.dynamodb_local import running_dynamodb_local
    from local.redis_servers import running_redis

    aws = {"AWS_ACCESS_KEY_ID": "example", "AWS_SECRET_ACCESS_KEY": "example", "AWS_DEFAULT_REGION": "eu-west-1"}
    with ExitStack() as ends:
        endpoint = ends.enter_context(running_dynamodb_local())
        client = boto3.client(
            "dynamodb",
            endpoint_url=endpoint,
            region_name="eu-west-1",
            aws_access_key_id="example",
            aws_secret_access_key="example",  # noqa: S106 - of a server on loopback that takes any
        )
        client.create_table(
            TableName=TABLE_NAME,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        servers = ends.enter_context(running_redis(1 + LOCK_NODES))
        urls = [server.url for server in servers]
        yield {
            **aws,
            "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
            "REDIS_URL": urls[0],
            "LOCK_URLS": " ".join(urls[1:]),
        }


def run_example(example: Example, python: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Run it in ``folder``, which has the examples' files. Raises ``CalledProcessError`` with what it wrote."""
    for file in (*FILES.iterdir(), CONFIGURATION):
        (folder / file.name).write_bytes(file.read_bytes())
    if example.language == "python":
        script = folder / "example.py"
        script.write_text(example.text)
        command = [str(python), str(script)]
    else:
        command = ["bash", "-euc", example.text]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AWS_", "PAYONCE"))}
    variables = {**outside, **environment, "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
