"""A stack that is deployed to the local cloud: where it is, and a client's and an operator's hand on it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
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

COMMAND_TIMEOUT_SECONDS = 120  # the local cloud answers late while it starts many environments
REPOSITORY = Path(__file__).resolve().parents[1]
# The root credentials of the local cloud. They open nothing anywhere else.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_REGION": "eu-central-1",
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the local cloud, the bank and the receiver listen, on loopback."""

    cloud: int
    bank: int
    receiver: int

    @classmethod
    def from_environment(cls) -> Ports:
        """Return the ports that PAYONCE_CLOUD_PORT, PAYONCE_BANK_PORT and PAYONCE_RECEIVER_PORT name."""
        return cls(
            int(os.environ.get("PAYONCE_CLOUD_PORT", "4566")),
            int(os.environ.get("PAYONCE_BANK_PORT", "4700")),
            int(os.environ.get("PAYONCE_RECEIVER_PORT", "4800")),
        )


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack: the API's base URL, the cloud's endpoint, the outputs, the bank's and the receiver's side."""

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

    def create_merchant(self, name: str, *, gateway: str = "", scopes: Sequence[str] = ()) -> tuple[str, str]:
        """Run the operator's command and return (merchant id, API key)."""
        words = self.operator("create-merchant", name, "--gateway", gateway, *_scoped(scopes)).stdout.split()
        return words[1], words[5]

    def create_key(self, merchant_id: str, *, scopes: Sequence[str] = ()) -> str:
        """Run the operator's command and return a further API key of the merchant."""
        return self.operator("create-key", merchant_id, *_scoped(scopes)).stdout.split()[5]

    def operator(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the operator's command with the stack's tables. Raises ``CalledProcessError`` with ``check``."""
        environment = {
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),
            **{f"PAYONCE_{table.name}_TABLE": name for table, name in self.table_names.items()},
        }
        command = [sys.executable, "-m", "payonce.cli", *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=check, timeout=COMMAND_TIMEOUT_SECONDS
        )

    @property
    def table_names(self) -> dict[Table, str]:
        """The names of the stack's tables."""
        return {table: self.outputs[f"{table.value.capitalize()}TableName"] for table in Table}

    def database(self) -> Database:
        """Return the stack's tables, as the local root sees them."""
        return DynamoDatabase(self.client("dynamodb"), self.table_names, jitter=lambda: 1.0)


def _scoped(scopes: Sequence[str]) -> list[str]:
    return [word for scope in scopes for word in ("--scope", scope)]
