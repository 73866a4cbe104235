"""A stack deployed to the local cloud: its addresses, and access for clients and operators."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from payonce.ports import Table
from payonce.stores.dynamodb import DynamoDatabase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.receiver import ReceiverHandle
    from local.sandbox_bank.running import BankHandle
    from payonce.ports import Database

COMMAND_TIMEOUT_SECONDS = 600  # the local cloud is slow while it starts many environments, above all on a busy machine
STACK_NAME = "payonce-local"
REPOSITORY = Path(__file__).resolve().parents[1]
# The root credentials of the local cloud, which are worthless anywhere else.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
}


class CannotStart(Exception):
    """The stack can't be started, because something outside is missing or in the way."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of the local cloud, the bank and the receiver."""

    cloud: int
    bank: int
    receiver: int

    @classmethod
    def from_environment(cls) -> Ports:
        """Return the ports named by the environment, or the usual ones. Raises ``CannotStart`` for invalid ones."""
        ports = cls(*(_port(variable, usual) for variable, usual in PORT_VARIABLES.items()))
        if len({ports.cloud, ports.bank, ports.receiver}) < len(PORT_VARIABLES):
            raise CannotStart(f"{', '.join(PORT_VARIABLES)} must be three different ports.")
        return ports

    def require_free(self) -> None:
        """Raise ``CannotStart`` if a port is taken; the message suggests three free ones."""
        probes: dict[str, socket.socket] = {}
        reasons = {}
        with ExitStack() as until_all_are_known:
            for variable, port in zip(PORT_VARIABLES, astuple(self), strict=True):
                probes[variable] = probe = until_all_are_known.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    reasons[variable] = f"Port {port} ({variable}): {error.strerror}."
            for variable in reasons:
                probes[variable].bind(("127.0.0.1", 0))
            free = " ".join(f"{variable}={probe.getsockname()[1]}" for variable, probe in probes.items())
        if reasons:
            what = "\n".join(reasons.values())
            raise CannotStart(
                f"{what}\nStop what listens there (`make down` if it is ours), or say first:\nexport {free}"
            )


PORT_VARIABLES = {"PAYONCE_CLOUD_PORT": 4566, "PAYONCE_BANK_PORT": 4700, "PAYONCE_RECEIVER_PORT": 4800}
MAX_PORT = 65_535


def _port(variable: str, usual: int) -> int:
    text = os.environ.get(variable) or str(usual)
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= MAX_PORT):
        raise CannotStart(f"{variable} is {text!r}; it must be a port, a number from 1 to {MAX_PORT}.")
    return int(text)


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack: the API's base URL, the cloud's endpoint, the outputs, and clients of bank and receiver."""

    api_url: str
    endpoint_url: str
    outputs: Mapping[str, str]
    bank: BankHandle
    receiver: ReceiverHandle

    def client(self, service: str) -> Any:
        """Return a boto3 client with the local root credentials."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint_url,
            region_name=CREDENTIALS["AWS_REGION"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def create_merchant(
        self, name: str, *, gateway: str = "", scopes: Sequence[str] = (), holder: str = ""
    ) -> tuple[str, str]:
        """Create a merchant with the operator's command; return (merchant id, API key)."""
        words = self.operator(
            "merchants", "create", name, "--gateway", gateway, "--holder", holder, *_scoped(scopes)
        ).stdout.split()
        return words[1], words[5]

    def create_key(self, merchant_id: str, *, scopes: Sequence[str] = (), holder: str = "") -> str:
        """Create a further API key of the merchant with the operator's command; return it."""
        return self.operator("keys", "create", merchant_id, "--holder", holder, *_scoped(scopes)).stdout.split()[5]

    def operator(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the operator's command with the stack's tables. Raises ``CalledProcessError`` with ``check``."""
        environment = {
            **os.environ,
            **self.operator_environment(),
            "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
        }
        command = [sys.executable, "-m", "payonce.cli", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=check, timeout=COMMAND_TIMEOUT_SECONDS
        )

    @property
    def console_url(self) -> str:
        """Return the address of the console."""
        api_id, stage = self.outputs["ConsoleApiId"], self.outputs["StageName"]
        return f"{self.endpoint_url}/_aws/execute-api/{api_id}/{stage}/console"

    def add_operator(self, name: str, role: str, merchant_id: str = "") -> str:
        """Add an operator of the console with the operator's command; return the key."""
        merchant = ["--merchant", merchant_id] if merchant_id else []
        return self.operator("console", "operators", "add", name, "--role", role, *merchant).stdout.strip()

    def how_to_operate(self) -> str:
        """Return the shell lines with which a person operates the stack, from any folder."""
        commands = shlex.quote(str(REPOSITORY / ".venv" / "bin"))
        port = self.endpoint_url.rpartition(":")[2]
        usual = port == str(PORT_VARIABLES["PAYONCE_CLOUD_PORT"])
        exports = f"PAYONCE_STACK={STACK_NAME}{'' if usual else f' PAYONCE_CLOUD_PORT={port}'}"
        return f'export PATH={commands}:"$PATH" {exports}\npayonce status\npayonce routing show'

    def operator_environment(self) -> dict[str, str]:
        """Return the environment with which the operator's command uses the local cloud instead of AWS."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint_url, "PAYONCE_STACK": STACK_NAME}

    def take_gateway_events(self, gateway: str, bank: str) -> None:
        """Let ``bank`` post its events to the stack, under a new signing secret that both know."""
        api = f"{self.endpoint_url}/_aws/execute-api/{self.outputs['GatewayEventsApiId']}/{self.outputs['StageName']}"
        signing = self.bank.send_events(bank, f"{api}/gateway_events/{gateway}")
        secrets = self.client("secretsmanager")
        name = f"{STACK_NAME}-gateways"
        known = json.loads(secrets.get_secret_value(SecretId=name)["SecretString"])
        secrets.put_secret_value(SecretId=name, SecretString=json.dumps({**known, f"{gateway}_events_secret": signing}))

    @property
    def table_names(self) -> dict[Table, str]:
        """Return the names of the stack's tables."""
        return {table: self.outputs[f"{table.value.capitalize()}TableName"] for table in Table}

    def database(self) -> Database:
        """Return the stack's database, with the local root credentials."""
        return DynamoDatabase(self.client("dynamodb"), self.table_names, jitter=lambda: 1.0)


def _scoped(scopes: Sequence[str]) -> list[str]:
    return [word for scope in scopes for word in ("--scope", scope)]
