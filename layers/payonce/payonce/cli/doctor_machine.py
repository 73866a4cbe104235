"""What ``doctor`` looks at on this machine: Python, packages, the checkout's environments, disk, ports, Docker."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from payonce.cli import local_stack
from payonce.cli.findings import good, note, problem
from payonce.cli.local import running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from payonce.cli.findings import Finding

LEAST_PYTHON: Final = (3, 12)
LEAST_PYTHON_OF_CHECKOUT: Final = (3, 13)  # that of the functions
# A package of each extra that nothing else brings, and what the extra is for.
EXTRAS: Final = {
    "dynamodb": ("boto3", "commands on a stack, and the library on DynamoDB"),
    "client": ("httpx", "pay, refund, events tail, webhooks listen --register, and the client of the API"),
    "reconcile": ("duckdb", "reconcile, ledger export"),
    "sidecar": ("uvicorn", "sidecar"),
    "redis": ("redis", "the library and the sidecar on Redis or Valkey"),
    "redlock": ("pottery", "a lock over independent Redis servers"),
    "ed25519": ("cryptography", "webhooks signed with a key pair"),
    "stripe": ("stripe", "the gateway Stripe"),
    "adyen": ("Adyen", "the gateway Adyen"),
}
STACK_EXTRA: Final = "dynamodb"  # without it no command reaches a stack
# The build, the local cloud's copies of code and layers, and its logs: `make up` filled 1.4 GB.
LEAST_FREE_BYTES: Final = 3 * 10**9
CLOUD_VARIABLES: Final = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION")
ENVIRONMENTS: Final = {".venv": "requirements/dev.txt", ".venv-cloud": "requirements/cloud.txt"}
DOCKER_TIMEOUT_SECONDS: Final = 10


def look(environment: Mapping[str, str], *, stack: str | None, sam_local: bool) -> Iterator[Finding]:
    """Yield what is found. Who has only the library needs neither a stack's packages nor what the local cloud needs."""
    checkout = local_stack.checkout()
    yield _python(sys.version_info[:3], LEAST_PYTHON if checkout is None else LEAST_PYTHON_OF_CHECKOUT)
    yield from _packages(needs_stack=checkout is not None or names_cloud(stack, environment))
    if checkout is None:
        yield note("checkout", "none here: up, down and demo need one; everything else works without")
    else:
        yield good("checkout", str(checkout))
        yield from _environments(checkout)
        yield _make()
        yield from _ports(environment)
        yield _disk(checkout)
    yield _docker(needed=sam_local)


def names_cloud(stack: str | None, environment: Mapping[str, str]) -> bool:
    """Return whether a stack or a cloud is named, so that it has to be reached."""
    return bool(stack) or any(environment.get(name) for name in CLOUD_VARIABLES)


def _python(version: tuple[int, int, int], least_version: tuple[int, int]) -> Finding:
    text = ".".join(map(str, version))
    if version < least_version:
        least = ".".join(map(str, least_version))
        cure = f"Install Python {least} or newer and make a new environment: python{least} -m venv .venv"
        return problem("python", f"Python {text} is too old", cure)
    return good("python", f"Python {text}")


def _packages(*, needs_stack: bool) -> Iterator[Finding]:
    """Yield one finding for each extra; what is missing is a problem only where a stack is to be reached."""
    for extra, (package, used_by) in EXTRAS.items():
        name = f"extra-{extra}"
        if find_spec(package) is not None:
            yield good(name, f"installed, for {used_by}")
        elif extra == STACK_EXTRA and needs_stack:
            yield problem(name, f"{package} is not installed; it is for {used_by}", f"pip install 'payonce[{extra}]'")
        else:
            yield note(name, f"not installed; it is for {used_by}", f"pip install 'payonce[{extra}]'")


def _environments(checkout: Path) -> Iterator[Finding]:
    """Yield whether the checkout's environments are as its lock files say, by make's own criterion."""
    for name, lock in ENVIRONMENTS.items():
        ready, locked = checkout / name / ".ready", checkout / lock
        if not ready.exists():
            yield problem(name, "is not installed", f"make -C {checkout} setup")
        elif locked.stat().st_mtime > ready.stat().st_mtime:
            yield problem(name, f"is older than {lock}", f"make -C {checkout} setup")
        else:
            yield good(name, f"is as {lock} says")


def _make() -> Finding:
    if shutil.which("make") is None:
        return problem("make", "is not installed; up, down and demo need it", "apt-get install make, or your system's")
    return good("make", "installed")


def _ports(environment: Mapping[str, str]) -> Iterator[Finding]:
    ours = running(local_stack.folder_of(environment))
    names = {"PAYONCE_CLOUD_PORT": "cloud", "PAYONCE_BANK_PORT": "bank", "PAYONCE_RECEIVER_PORT": "receiver"}
    for variable, name in names.items():
        text = environment.get(variable) or str(local_stack.PORTS[variable])
        if not text.isdecimal() or not 0 < int(text) < 2**16:
            yield problem(f"port-{name}", f"{variable} is {text!r}, which is no port", f"unset {variable}")
            continue
        port = int(text)
        if name in ours:
            yield good(f"port-{name}", f"{port}: the local cloud's {name} listens there")
        elif (reason := _taken(port)) is not None:
            cure = f"Stop what listens there (`ss -ltnp 'sport = :{port}'` names it), or: export {variable}={_free()}"
            yield problem(f"port-{name}", f"{port}: {reason}", cure)
        else:
            yield good(f"port-{name}", f"{port} is free")


def _taken(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return f"{(error.strerror or 'taken').lower()}, and not by this checkout's local cloud"
    return None


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    text = f"{free / 10**9:.1f} GB free at {folder}"
    if free < LEAST_FREE_BYTES:
        cure = "Free some, as with `payonce down` (it removes what the local cloud has unpacked) or `make clean`."
        return problem("disk", f"{text}; the local cloud needs {LEAST_FREE_BYTES / 10**9:g} GB", cure)
    return good("disk", text)


def _docker(*, needed: bool) -> Finding:
    if not needed:
        return note("docker", "not looked at: only `make sam-local` needs it (--sam-local)")
    command = shutil.which("docker")
    if command is None:
        return problem(
            "docker", "is not installed; `make sam-local` needs it", "https://docs.docker.com/engine/install"
        )
    try:
        done = subprocess.run(  # noqa: S603 - the command is the one that `make sam-local` runs
            [command, "info"], capture_output=True, text=True, timeout=DOCKER_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return problem("docker", f"does not answer ({error})", "Start it: systemctl start docker")
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        return problem("docker", f"does not run: {said}", "Start it: systemctl start docker")
    return good("docker", "runs")
