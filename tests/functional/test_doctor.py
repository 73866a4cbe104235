"""``payonce doctor`` in each situation, really made: it names what is wrong, and its cure.

``--json`` as flyctl's has it (https://fly.io/docs/flyctl/doctor/), and exit code 1 if a check fails, which was added to
WP-CLI's when scripts asked for it (https://github.com/wp-cli/doctor-command/pull/125).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from moto.cloudformation.models import cloudformation_backends
from moto.core import DEFAULT_ACCOUNT_ID

from payonce.cli import doctor_machine
from payonce.cli.findings import State
from payonce.cli.local_stack import STACK
from tests.support.aws import REGION, REPOSITORY
from tests.support.loopback_stack import LoopbackStack, loopback_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@pytest.fixture
def stack() -> Iterator[LoopbackStack]:
    with loopback_stack() as running:
        yield running
        shutil.rmtree(REPOSITORY / ".local" / f"stack-{running.port}", ignore_errors=True)


def doctor(environment: Mapping[str, str], *arguments: str, python: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
    """Run it as a person does; return the exit code and each finding by its name, a problem before what is well."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "payonce.cli", "doctor", "--json", *arguments],
        env={**environment, "PYTHONPATH": str(REPOSITORY / "layers" / "payonce")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    found: dict[str, Any] = {}
    for finding in json.loads(done.stdout)["data"]:
        if found.get(finding["name"], {}).get("state") != "problem":
            found[finding["name"]] = finding
    return done.returncode, found


def plain(**variables: str) -> dict[str, str]:
    """Return this process's variables without those that name a cloud."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PAYONCE_"))}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent", **variables}


def wrong(found: Mapping[str, Any], name: str, says: str, cure: str) -> None:
    assert found[name]["state"] == "problem", found[name]
    assert says in found[name]["detail"], found[name]
    assert cure in found[name]["cure"], found[name]


def test_a_whole_stack_has_nothing_wrong_about_it(stack: LoopbackStack) -> None:
    """Fails when a stack that serves is called broken."""
    stack.deploy()
    _, found = doctor(stack.environment())
    for name in ("region", "endpoint", "clock", "credentials", "stack", "tables", "api"):
        assert found[name]["state"] == "ok", found[name]


def test_nothing_is_installed() -> None:
    """Fails when the doctor itself needs a package: -S leaves out everything that pip has installed."""
    code, found = doctor(plain(), python=("-S",))
    assert code == 1
    wrong(found, "extra-dynamodb", "boto3 is not installed", "pip install 'payonce[dynamodb]'")
    assert found["extra-sidecar"] == {
        "name": "extra-sidecar", "state": "note", "detail": "not installed; it is for sidecar",
        "cure": "pip install 'payonce[sidecar]'",
    }  # fmt: skip


def test_the_library_alone_is_nothing_wrong(tmp_path: Path) -> None:
    """Fails when who has installed the library alone is told that something is broken, or not which extra brings what.

    The package is copied, because that of a checkout finds its checkout.
    """
    shutil.copytree(REPOSITORY / "layers" / "payonce" / "payonce", tmp_path / "payonce")
    command = [sys.executable, "-S", "-m", "payonce.cli", "doctor"]
    alone = {**plain(), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([*command, "--json"], env=alone, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    found = {each["name"]: each for each in json.loads(done.stdout)["data"]}
    assert (done.returncode, {each["state"] for each in found.values()}) == (0, {"ok", "note"}), found
    for extra in ("dynamodb", "client", "reconcile", "sidecar", "redis", "stripe", "adyen", "ed25519", "redlock"):
        assert found[f"extra-{extra}"]["cure"] == f"pip install 'payonce[{extra}]'"
        assert found[f"extra-{extra}"]["detail"].startswith("not installed; it is for ")
    named = {**alone, "PAYONCE_STACK": "shop"}
    done = subprocess.run(command, env=named, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "PROBLEM  extra-dynamodb" in done.stdout) == (1, True), done


def test_docker_is_looked_at_only_where_it_is_needed(tmp_path: Path) -> None:
    """Fails when who needs no Docker is told to install it, or who needs it is not."""
    without = plain(PATH=str(tmp_path))
    _, found = doctor(without)
    assert found["docker"]["state"] == "note"
    wrong(found, "make", "is not installed", "install make")
    _, found = doctor(without, "--sam-local")
    wrong(found, "docker", "is not installed", "docs.docker.com")
    command = tmp_path / "docker"
    command.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    command.chmod(0o755)
    _, found = doctor(plain(PATH=f"{tmp_path}:{os.environ['PATH']}"), "--sam-local")
    wrong(found, "docker", "Cannot connect to the Docker daemon", "systemctl start docker")


def test_a_port_is_taken() -> None:
    """Fails when the port is not named, or what is proposed is taken, too."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        code, found = doctor(plain(PAYONCE_BANK_PORT=str(port)))
        assert code == 1
        wrong(found, "port-bank", f"{port}: address already in use", "export PAYONCE_BANK_PORT=")
        proposed = int(found["port-bank"]["cure"].rpartition("=")[2])
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", proposed))
    _, found = doctor(plain(PAYONCE_BANK_PORT="none"))
    wrong(found, "port-bank", "'none', which is no port", "unset PAYONCE_BANK_PORT")


@pytest.mark.parametrize(
    ("status", "says", "cure"),
    [
        ("CREATE_IN_PROGRESS", "half deployed: CREATE_IN_PROGRESS", "Wait until it is done"),
        ("CREATE_FAILED", "half deployed: CREATE_FAILED", "describe-stack-events"),
        ("UPDATE_FAILED", "half deployed: UPDATE_FAILED", "payonce down && payonce up"),
        ("ROLLBACK_COMPLETE", "nothing of it is left", "delete-stack"),
        ("DELETE_IN_PROGRESS", "is DELETE_IN_PROGRESS", "Deploy it anew"),
    ],
)
def test_a_stack_is_half_deployed(stack: LoopbackStack, status: str, says: str, cure: str) -> None:
    stack.deploy()
    [deployed] = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks.values()
    deployed.status = status
    code, found = doctor(stack.environment())
    assert code == 1
    wrong(found, "stack", says, cure)
    assert "api" not in found


def test_a_stack_lacks_outputs_and_a_table(stack: LoopbackStack) -> None:
    """Fails when a stack is called whole that an older template, or somebody by hand, has made."""
    stack.deploy(without=frozenset({"NoticesTableName", "CorrectionsArn"}))
    stack.client("dynamodb").delete_table(TableName="shop-payments")
    _, found = doctor(stack.environment())
    wrong(found, "stack", "lacks the outputs CorrectionsArn, NoticesTableName", "payonce up")
    wrong(found, "table", "shop-payments (PAYONCE_PAYMENTS_TABLE) does not exist", "restore it")


def test_there_is_no_such_stack(stack: LoopbackStack) -> None:
    _, found = doctor(stack.environment())
    wrong(found, "stack", "does not exist", "payonce up")
    environment = {**stack.environment(), "PAYONCE_STACK": "shop", "AWS_ENDPOINT_URL": stack.url}
    keys = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    _, found = doctor(environment | keys)
    wrong(found, "stack", "shop does not exist", "check AWS_REGION and the account")


@pytest.mark.parametrize(
    ("code", "says", "cure"),
    [
        ("InvalidClientTokenId", "AWS does not know these credentials", "aws sts get-caller-identity"),
        ("SignatureDoesNotMatch", "AWS does not know these credentials", "AWS_ACCESS_KEY_ID and its secret"),
        ("ExpiredToken", "have expired", "aws sso login"),
    ],
)
def test_the_credentials_are_wrong(stack: LoopbackStack, code: str, says: str, cure: str) -> None:
    stack.refusals["sts"] = (403, code, "The security token included in the request is invalid.")
    _, found = doctor(stack.environment())
    wrong(found, "credentials", says, cure)
    assert "stack" not in found


@pytest.mark.parametrize("off_seconds", [600, -600])
def test_the_clock_is_off_by_ten_minutes(stack: LoopbackStack, off_seconds: int) -> None:
    """Fails when nobody compares the clock with the endpoint's: AWS would only say that a signature is wrong."""
    stack.clock_off_seconds = off_seconds
    _, found = doctor(stack.environment())
    side = "behind" if off_seconds > 0 else "ahead of"
    wrong(found, "clock", f" s {side} the endpoint's", "timedatectl set-ntp true")
    assert abs(int(found["clock"]["detail"].split()[0]) - 600) < 5
    stack.clock_off_seconds = off_seconds / 10
    _, found = doctor(stack.environment())
    assert found["clock"]["state"] == "note"


def test_region_credentials_and_endpoint_are_missing(stack: LoopbackStack) -> None:
    _, found = doctor(plain(PAYONCE_STACK="shop"))
    wrong(found, "region", "none is named", "export AWS_REGION=")
    _, found = doctor(plain(PAYONCE_STACK="shop", AWS_REGION="eu-centrall-1"))
    wrong(found, "region", "'eu-centrall-1' is no region of AWS", "export AWS_REGION=eu-central-1")
    _, found = doctor(plain(PAYONCE_STACK="shop", AWS_REGION=REGION, AWS_PROFILE="nobody"))
    wrong(found, "profile", "nobody", "aws configure list-profiles")
    _, found = doctor(plain(PAYONCE_STACK="shop", AWS_REGION=REGION, AWS_ENDPOINT_URL=stack.url))
    wrong(found, "credentials", "no AWS credentials", "AWS_PROFILE")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
    _, found = doctor(plain(PAYONCE_STACK=STACK, PAYONCE_CLOUD_PORT=port))
    wrong(found, "endpoint", "can't be reached: [Errno 111] Connection refused", "payonce up")


def test_an_api_key_is_refused_and_an_api_fails(stack: LoopbackStack) -> None:
    stack.deploy()
    _, found = doctor(stack.environment() | {"PAYONCE_API_KEY": "po_none"})
    wrong(found, "api-key", "is refused (401)", "payonce keys create")
    stack.api_statuses = [503]
    _, found = doctor(stack.environment())
    wrong(found, "api", "answers 503", "docs/runbooks/server-errors.md")
    assert (REPOSITORY / "docs/runbooks/server-errors.md").is_file()


def test_an_old_python_an_old_environment_and_a_full_disk_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when an environment is called ready that was made before its lock file."""
    assert doctor_machine._python((3, 11, 9), (3, 12)).cure.endswith("python3.12 -m venv .venv")
    assert doctor_machine._python((3, 12, 1), (3, 13)).cure.endswith("python3.13 -m venv .venv")
    assert doctor_machine._python((3, 12, 1), (3, 12)).state is State.OK
    for name, lock in doctor_machine.ENVIRONMENTS.items():
        (tmp_path / lock).parent.mkdir(exist_ok=True)
        (tmp_path / lock).write_text("")
        (tmp_path / name).mkdir()
    missing = [*doctor_machine._environments(tmp_path)]
    assert [(each.state, each.detail) for each in missing] == [(State.PROBLEM, "is not installed")] * 2
    for name in doctor_machine.ENVIRONMENTS:
        (tmp_path / name / ".ready").write_text("")
    assert {each.state for each in doctor_machine._environments(tmp_path)} == {State.OK}
    later = time.time() + 60
    os.utime(tmp_path / "requirements" / "dev.txt", (later, later))
    first, second = doctor_machine._environments(tmp_path)
    assert (first.detail, first.cure) == ("is older than requirements/dev.txt", f"make -C {tmp_path} setup")
    assert second.state is State.OK
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    full = doctor_machine._disk(tmp_path)
    assert (full.state, "1.0 GB free" in full.detail, "payonce down" in full.cure) == (State.PROBLEM, True, True)
