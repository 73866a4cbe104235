"""The local cloud: ministack with IAM enforced, a sandbox bank, a webhook receiver, and the real template deployed.

Stacks on different ports share nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from local import pages
from local.gateway_responses import put_binary_media_types, put_gateway_responses
from local.own_process import PYTHONPATH
from local.processes import Processes
from local.receiver import ReceiverHandle
from local.sandbox_bank.running import BankHandle
from local.stack import CREDENTIALS, REPOSITORY, STACK_NAME, CannotStart, Ports, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLOUD_BIN = REPOSITORY / ".venv-cloud" / "bin"
BUILDS = REPOSITORY / ".cache" / "sam"  # shared by all stacks of this clone: what has not changed is built once
SCRATCH = "scratch"
START_TIMEOUT_SECONDS = 600  # a generous bound; a process that ends early is noticed at once
# A cold start takes about a second of processor time, so that more environments would only wait for each other.
# Requests beyond them are answered 429, and a client retries with the same key.
MAX_PARALLEL_ENVIRONMENTS = 10
# For the demo of a bank that gets slower: each payment that waits for the bank occupies an idle environment.
ENVIRONMENTS_FOR_WAITING = 20
# The functions run as processes of this machine, so the layers hold its wheels, as SAM names the processor.
ARCHITECTURE = {"aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "x86_64")
GATEWAYS = (
    {"name": "sandbox_bank", "bank": "forgetful", "lookup_authoritative_after_seconds": 2},
    {"name": "honouring_bank", "bank": "honouring", "key_retention_seconds": 86_400},
    {"name": "late_bank", "bank": "late", "lookup_authoritative_after_seconds": 5},
)


class LocalCloud:
    """Starts and stops the processes of one stack. Their ids and logs are in ``folder``."""

    def __init__(self, folder: Path, ports: Ports, *, environments: int = MAX_PARALLEL_ENVIRONMENTS) -> None:
        self.folder = folder
        self.ports = ports
        self._environments = environments
        self.processes = Processes(folder)

    @property
    def endpoint_url(self) -> str:
        """Return the endpoint URL for AWS clients."""
        return f"http://127.0.0.1:{self.ports.cloud}"

    def start(self) -> None:
        """Start the processes and wait until they answer. Raises ``CannotStart``."""
        self.ports.require_free()
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            **CREDENTIALS,
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.ports.cloud),
            "LAMBDA_ACCOUNT_CONCURRENCY": str(self._environments),
            "IOT_MTLS_PORT": "0",
            # The functions must run on the interpreter for which the layer was built.
            "PATH": f"{CLOUD_BIN}{os.pathsep}{os.environ['PATH']}",
        }
        environment.pop("PYTHONPATH", None)
        environment["TMPDIR"] = str(self._scratch())
        program = [str(CLOUD_BIN / "python"), "-P", str(REPOSITORY / "local" / "ministack_unpacking_once.py")]
        self._spawn("cloud", program, environment)
        books = self.folder / "books.sqlite"
        for kept in self.folder.glob(f"{books.name}*"):  # the cloud starts with an empty ledger, so the bank must, too
            kept.unlink()
        bank = [sys.executable, "-m", "local.sandbox_bank", "--port", str(self.ports.bank), "--books", str(books)]
        path = {**os.environ, "PYTHONPATH": PYTHONPATH}
        self._spawn("bank", bank, path)
        receiver = [sys.executable, "-m", "local.receiver", "--port", str(self.ports.receiver)]
        self._spawn("receiver", receiver, path)
        self._await(f"{self.endpoint_url}/_ministack/health", "cloud")
        self._await(f"http://127.0.0.1:{self.ports.bank}/books?reference=none", "bank")
        self._await(f"http://127.0.0.1:{self.ports.receiver}/_received", "receiver")

    def deploy(self, *, routing_mode: str = "off", routing: Mapping[str, Any] | None = None) -> Stack:
        """Build and deploy template.yaml, and return the stack. Raises ``CannotStart`` with the end of the log.

        ``routing`` is the parameter Routing; without it, payments of merchants without a bank go to sandbox_bank.
        """
        gateways = [
            {
                **{name: value for name, value in gateway.items() if name != "bank"},
                "kind": "sandbox_bank",
                "url": f"http://127.0.0.1:{self.ports.bank}/banks/{gateway['bank']}",
            }
            for gateway in GATEWAYS
        ]
        parameters = {
            "Environment": "local",
            "Architecture": ARCHITECTURE,
            # The local cloud reads a usage plan's key only from a header, not from the authorizer's answer.
            "MerchantRequestsPerSecond": "",
            "DocumentationUrl": f"http://127.0.0.1:{self.ports.receiver}{pages.PROBLEMS}",
            "Gateways": json.dumps(gateways, separators=(",", ":")),
            "DefaultGateway": "sandbox_bank",
            "ProxyConfig": json.dumps(self._idempotency_proxy(), separators=(",", ":")),
            "RoutingMode": routing_mode,
            "Routing": json.dumps(routing, separators=(",", ":")) if routing else "",
        }
        overrides = [f"ParameterKey={name},ParameterValue={_quoted(value)}" for name, value in parameters.items()]
        build_folder = self.folder / "build"
        BUILDS.mkdir(parents=True, exist_ok=True)
        with (BUILDS / "lock").open("w") as lock:
            # SAM keeps what it has built in one file of the project, .aws-sam/build.toml: two builds would spoil it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._sam(["build", "--build-dir", str(build_folder), "--cache-dir", str(BUILDS / "cache"), "--cached"])
        self._sam(
            [
                "deploy",
                "--template-file",
                str(build_folder / "template.yaml"),
                "--config-env",
                "local",
                "--config-file",
                str(REPOSITORY / "samconfig.toml"),
                "--no-confirm-changeset",
                "--no-fail-on-empty-changeset",
                "--parameter-overrides",
                *overrides,
            ]
        )
        stack = self.stack()
        put_gateway_responses(stack, parameters["DocumentationUrl"])
        put_binary_media_types(stack)
        return stack

    def _idempotency_proxy(self) -> dict[str, Any]:
        """Return a proxy configuration whose upstream is the receiver, in place of a service unaware of payonce."""
        return {
            "upstreams": {"receiver": {"url": f"http://127.0.0.1:{self.ports.receiver}"}},
            "routes": [
                {"name": "any", "path": "/{rest+}", "upstream": "receiver", "scope": {"claim": "merchant_id"}},
            ],
        }

    def stack(self) -> Stack:
        """Return the deployed stack."""
        bank = BankHandle(f"http://127.0.0.1:{self.ports.bank}")
        receiver = ReceiverHandle(f"http://127.0.0.1:{self.ports.receiver}")
        stack = Stack("", self.endpoint_url, {}, bank, receiver)
        description = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
        api_url = f"{self.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{outputs['StageName']}"
        return Stack(api_url, self.endpoint_url, outputs, bank, receiver)

    def stop(self) -> list[str]:
        """Stop all running processes of this stack, whoever started them, and return their names."""
        # The functions' processes belong to the cloud's process group.
        stopped = self.processes.stop()
        shutil.rmtree(self.folder / SCRATCH, ignore_errors=True)
        return stopped

    def _scratch(self) -> Path:
        """Return an empty folder into which the cloud unpacks code and layers, once per environment."""
        scratch = self.folder / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        return scratch

    def _spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.processes.spawn(name, command, environment, cwd=REPOSITORY)

    def _await(self, url: str, name: str) -> None:
        give_up = time.monotonic() + START_TIMEOUT_SECONDS
        while self.processes.is_running(name) and time.monotonic() < give_up:
            try:
                with urlopen(url, timeout=2):
                    return
            except (URLError, OSError):
                time.sleep(0.2)
        self.stop()
        raise CannotStart(self._told(f"The {name} did not start", name, 5))

    def _sam(self, arguments: list[str]) -> None:
        environment = {
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "SAM_CLI_TELEMETRY": "0",
            "PAYONCE_ARCHITECTURE": ARCHITECTURE,
            "PATH": f"{CLOUD_BIN}{os.pathsep}{os.environ['PATH']}",
        }
        environment.pop("PYTHONPATH", None)
        name = arguments[0]
        if self.processes.run(name, [str(CLOUD_BIN / "sam"), *arguments], environment, cwd=REPOSITORY):
            raise CannotStart(self._told(f"sam {name} failed", name, 20))

    def _told(self, what: str, name: str, lines: int) -> str:
        log = self.processes.log(name)
        tail = log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"{what}. The end of {log}:", *tail])


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '\\"') + '"' if any(character in value for character in ' ",[]{}') else value
