"""The local cloud: ministack with IAM enforced, a sandbox bank, a webhook receiver, and the real template deployed.

``python -m local.cloud up`` and ``down``. Ports: PAYONCE_CLOUD_PORT (4566), PAYONCE_BANK_PORT (4700) and
PAYONCE_RECEIVER_PORT (4800).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.error import URLError
from urllib.request import urlopen

from local.receiver import ReceiverHandle
from local.sandbox_bank.running import BANK_PYTHONPATH, BankHandle
from local.stack import CREDENTIALS, REPOSITORY, Ports, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLOUD_BIN = REPOSITORY / ".venv-cloud" / "bin"
STACK_NAME = "payonce-local"
SCRATCH = "scratch"
START_TIMEOUT_SECONDS = 60
# Each environment costs a cold start of about a second of processor time; more at once only wait for each other.
# Requests beyond it are answered 429, and a client retries them with the same key.
MAX_PARALLEL_ENVIRONMENTS = 10
# Where a bank gets slower under steady traffic, each payment that waits for it holds an environment, which is idle.
ENVIRONMENTS_FOR_WAITING = 20
GATEWAYS = (
    {"name": "sandbox_bank", "bank": "forgetful", "lookup_authoritative_after_seconds": 2},
    {"name": "honouring_bank", "bank": "honouring", "key_retention_seconds": 86_400},
    {"name": "late_bank", "bank": "late", "lookup_authoritative_after_seconds": 5},
)


class CannotStart(Exception):
    """Something outside is missing or in the way."""


class LocalCloud:
    """Starts and stops the processes, whose ids and logs are in ``folder``."""

    def __init__(self, folder: Path, ports: Ports, *, environments: int = MAX_PARALLEL_ENVIRONMENTS) -> None:
        self.folder = folder
        self.ports = ports
        self._environments = environments
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def endpoint_url(self) -> str:
        """Where AWS clients reach the local cloud."""
        return f"http://127.0.0.1:{self.ports.cloud}"

    def start(self) -> None:
        """Start the processes and wait until they answer. Raises ``CannotStart``."""
        for port, variable in (
            (self.ports.cloud, "PAYONCE_CLOUD_PORT"),
            (self.ports.bank, "PAYONCE_BANK_PORT"),
            (self.ports.receiver, "PAYONCE_RECEIVER_PORT"),
        ):
            _require_free(port, variable)
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            **CREDENTIALS,
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.ports.cloud),
            "LAMBDA_ACCOUNT_CONCURRENCY": str(self._environments),
            "IOT_MTLS_PORT": "0",
            # The functions run on the interpreter that the layer was built for.
            "PATH": f"{CLOUD_BIN}{os.pathsep}{os.environ['PATH']}",
        }
        environment.pop("PYTHONPATH", None)
        environment["TMPDIR"] = str(self._scratch())
        self._spawn("cloud", [str(CLOUD_BIN / "ministack")], environment)
        books = self.folder / "books.sqlite"
        bank = [sys.executable, "-m", "local.sandbox_bank", "--port", str(self.ports.bank), "--books", str(books)]
        path = {**os.environ, "PYTHONPATH": BANK_PYTHONPATH}
        self._spawn("bank", bank, path)
        receiver = [sys.executable, "-m", "local.receiver", "--port", str(self.ports.receiver)]
        self._spawn("receiver", receiver, path)
        self._await(f"{self.endpoint_url}/_ministack/health", "cloud")
        self._await(f"http://127.0.0.1:{self.ports.bank}/books?reference=none", "bank")
        self._await(f"http://127.0.0.1:{self.ports.receiver}/_received", "receiver")

    def deploy(self, log: BinaryIO, *, routing_mode: str = "off", routing: Mapping[str, Any] | None = None) -> Stack:
        """Build and deploy template.yaml, and return the stack. Raises ``CannotStart`` with the end of the log.

        ``routing``: the parameter Routing; without it the payments of merchants that name no bank go to sandbox_bank.
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
            "Gateways": json.dumps(gateways, separators=(",", ":")),
            "DefaultGateway": "sandbox_bank",
            "GatewayConfig": json.dumps(self._idempotency_gateway(), separators=(",", ":")),
            "RoutingMode": routing_mode,
            "Routing": json.dumps(routing, separators=(",", ":")) if routing else "",
        }
        overrides = [f"ParameterKey={name},ParameterValue={_quoted(value)}" for name, value in parameters.items()]
        build_folder = self.folder / "build"
        self._sam(
            ["build", "--build-dir", str(build_folder), "--cache-dir", str(self.folder / "cache"), "--cached"], log
        )
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
            ],
            log,
        )
        return self.stack()

    def _idempotency_gateway(self) -> dict[str, Any]:
        """Return a gateway in front of the receiver, which stands for any service that knows nothing of payonce."""
        return {
            "upstreams": {"receiver": {"url": f"http://127.0.0.1:{self.ports.receiver}"}},
            "routes": [
                {"name": "any", "path": "/{rest+}", "upstream": "receiver", "scope": {"claim": "merchant_id"}},
            ],
        }

    def stack(self) -> Stack:
        """Return the stack that is deployed."""
        bank = BankHandle(f"http://127.0.0.1:{self.ports.bank}")
        receiver = ReceiverHandle(f"http://127.0.0.1:{self.ports.receiver}")
        stack = Stack("", self.endpoint_url, {}, bank, receiver)
        description = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
        api_url = f"{self.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{outputs['StageName']}"
        return Stack(api_url, self.endpoint_url, outputs, bank, receiver)

    def stop(self) -> list[str]:
        """Stop what was started here and return its names."""
        stopped = []
        for name in ("cloud", "bank", "receiver"):
            file = self.folder / f"{name}.pid"
            if file.exists():
                try:
                    # The functions' processes are in the group that the cloud leads.
                    os.killpg(int(file.read_text()), signal.SIGKILL)
                    stopped.append(name)
                except ProcessLookupError:
                    pass
                file.unlink()
        for process in self._processes:
            process.wait()
        shutil.rmtree(self.folder / SCRATCH, ignore_errors=True)
        return stopped

    def _scratch(self) -> Path:
        """Return an empty folder for what the cloud unpacks: a copy of code and layers per environment."""
        scratch = self.folder / SCRATCH
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        return scratch

    def _spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        (self.folder / f"{name}.pid").write_text(str(process.pid))

    def _await(self, url: str, name: str) -> None:
        give_up = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < give_up:
            try:
                with urlopen(url, timeout=2):
                    return
            except (URLError, OSError):
                time.sleep(0.2)
        self.stop()
        raise CannotStart(f"the {name} did not start; see {self.folder / name}.log")

    def _sam(self, arguments: list[str], log: BinaryIO) -> None:
        environment = {
            **os.environ,
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "SAM_CLI_TELEMETRY": "0",
            "PATH": f"{CLOUD_BIN}{os.pathsep}{os.environ['PATH']}",
        }
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [str(CLOUD_BIN / "sam"), *arguments], cwd=REPOSITORY, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        if done.returncode:
            log.flush()
            tail = Path(log.name).read_text(errors="replace").splitlines()[-20:]
            raise CannotStart("\n".join([f"sam {arguments[0]} failed:", *tail]))


def default_cloud() -> LocalCloud:
    """Return the cloud of ``make up``, ``make demo`` and ``make down``."""
    return LocalCloud(REPOSITORY / ".local", Ports.from_environment(), environments=ENVIRONMENTS_FOR_WAITING)


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '\\"') + '"' if any(character in value for character in ' ",[]{}') else value


def _require_free(port: int, variable: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} is taken. Stop what listens there (`make down` if it is ours), or choose another: "
                f"{variable}={port + 1000} make ..."
            ) from error


def main(arguments: Sequence[str]) -> int:
    """Run ``up`` or ``down``; return the exit code."""
    cloud = default_cloud()
    if list(arguments) == ["down"]:
        print("stopped:", ", ".join(cloud.stop()) or "nothing was running")
        return 0
    if list(arguments) != ["up"]:
        print("usage: python -m local.cloud up|down", file=sys.stderr)
        return 2
    try:
        cloud.start()
        with (cloud.folder / "deploy.log").open("wb") as log:
            stack = cloud.deploy(log)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"API       {stack.api_url}\nbank      {stack.bank.url}\nreceiver  {stack.receiver.url}\nstop with: make down"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
