"""What people meet first when a command fails: each cause is named apart, with its cure, and none is a traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from payonce.cli import main as cli
from tests.support.aws import REGION, REPOSITORY
from tests.support.loopback_stack import LoopbackStack, loopback_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = {"AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "PAYONCE_MERCHANTS_TABLE": "m"}


@pytest.fixture
def stack() -> Iterator[LoopbackStack]:
    with loopback_stack() as running:
        yield running
        shutil.rmtree(REPOSITORY / ".local" / f"stack-{running.port}", ignore_errors=True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in an environment that has nothing but what is given; return its code and its error document."""

    def command(*arguments: str, **variables: str) -> tuple[int, dict[str, str]]:
        for name in list(os.environ):
            if name.startswith(("AWS_", "PAYONCE_")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("HOME", "/nonexistent")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        monkeypatch.setattr("payonce.wiring.aws_clients.AWS_READ_TIMEOUT_SECONDS", 30)  # moto on a busy machine
        code = cli.main([*arguments, "--json"])
        error = capsys.readouterr().err
        assert "same key" not in error, error
        return code, json.loads(error.splitlines()[-1])["error"]

    return command


CREATE = ("merchants", "create", "Shop")


def test_no_region_and_no_credentials(run: Any) -> None:
    """Fails when a missing region is a traceback, as it was."""
    code, error = run(*CREATE, PAYONCE_MERCHANTS_TABLE="m")
    assert (code, error["problem"]) == (3, "no_region")
    assert "export AWS_REGION=" in error["next"]
    code, error = run(*CREATE, PAYONCE_MERCHANTS_TABLE="m", AWS_REGION=REGION)
    assert (code, error["problem"]) == (3, "no_credentials")
    assert "AWS_PROFILE" in error["next"]
    code, error = run("routing", "show", "--stack", "shop", AWS_REGION=REGION)
    assert (code, error["problem"]) == (3, "no_credentials")
    code, error = run(*CREATE, **HERE | {"AWS_PROFILE": "nobody"})
    assert (code, error["problem"]) == (3, "no_profile")


def test_a_dead_endpoint(run: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    code, error = run(*CREATE, **HERE | {"AWS_ENDPOINT_URL": url})
    assert (code, error["problem"]) == (3, "dead_endpoint")
    assert error["detail"] == f"Nothing listens at {url.removeprefix('http://')}."
    assert "payonce up" in error["next"]
    code, error = run("breaks", "list", "--stack", "payonce-local", PAYONCE_CLOUD_PORT=url.rpartition(":")[2])
    assert (code, error["problem"]) == (3, "dead_endpoint")


def test_an_endpoint_that_is_no_url(run: Any) -> None:
    """Fails when a variable without its scheme is a traceback of the SDK's."""
    for words in (CREATE, ("routing", "show", "--stack", "shop")):
        code, error = run(*words, **HERE | {"AWS_ENDPOINT_URL": "localhost"})
        assert (code, error["problem"], "AWS_ENDPOINT_URL" in error["next"]) == (2, "misconfigured", True)


@pytest.mark.parametrize(
    ("code", "message", "problem", "cure"),
    [
        ("UnrecognizedClientException", "The security token is invalid.", "wrong_credentials", "AWS_ACCESS_KEY_ID"),
        ("ExpiredTokenException", "The security token is expired.", "old_credentials", "aws sso login"),
        ("AccessDeniedException", "User: u is not authorized to perform: dynamodb:PutItem", "not_allowed", "role"),
        ("ResourceNotFoundException", "Requested resource not found", "wrong_table", "--stack"),
        ("InvalidSignatureException", "Signature expired: 1 is now earlier than 2", "clock_off", "timedatectl"),
        ("InternalServerError", "", "outcome_unknown", "Look at what is stored"),
    ],
)
def test_what_the_database_refuses(
    run: Any, stack: LoopbackStack, code: str, message: str, problem: str, cure: str
) -> None:
    """Fails when all of it says "Retry with the same key", as it did, though there is no key."""
    stack.refusals["dynamodb"] = (500 if code.startswith("Internal") else 400, code, message)
    left, error = run(*CREATE, **HERE | {"AWS_ENDPOINT_URL": stack.url})
    assert (left, error["problem"]) == (4 if problem == "outcome_unknown" else 3, problem)
    assert cure in error["next"]


def test_a_wrong_table_and_a_wrong_stack_are_really_wrong(run: Any, stack: LoopbackStack) -> None:
    """Fails when moto's own refusals are not understood."""
    stack.deploy()
    here = HERE | {"AWS_ENDPOINT_URL": stack.url}
    code, error = run(*CREATE, "--merchants-table", "none", **here)
    assert (code, error["problem"]) == (3, "wrong_table")
    code, error = run("gateways", "list", "--stack", "shop", **here)
    assert (code, error["problem"]) == (3, "no_such_stack")
    assert "AWS_REGION" in error["next"]


def test_a_stack_without_outputs_is_half_deployed(run: Any, stack: LoopbackStack) -> None:
    """Fails when a person is told to name the stack that was named."""
    from moto.cloudformation.models import cloudformation_backends
    from moto.core import DEFAULT_ACCOUNT_ID

    stack.client("cloudformation").create_stack(
        StackName="shop", TemplateBody='{"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}'
    )
    [deployed] = cloudformation_backends[DEFAULT_ACCOUNT_ID][REGION].stacks.values()
    deployed.status = "CREATE_IN_PROGRESS"
    code, error = run("breaks", "list", "--stack", "shop", **HERE | {"AWS_ENDPOINT_URL": stack.url})
    assert code == 2
    assert "half deployed (CREATE_IN_PROGRESS)" in error["detail"]
    assert "payonce doctor --stack shop" in error["detail"]


@pytest.mark.parametrize(
    ("command", "extra", "packages"),
    [
        (("routing", "show", "--stack", "shop"), "dynamodb", ["boto3"]),
        (("reconcile", "f.csv", "--ledger", "l.csv"), "reconcile", ["duckdb"]),
        (("sidecar", "--config", "f.toml"), "sidecar", ["uvicorn"]),
    ],
)
def test_a_missing_package_names_its_extra(command: tuple[str, ...], extra: str, packages: list[str]) -> None:
    """Fails when a package that was left out is a traceback, or one has to guess what brings it."""
    without = f"import sys; sys.modules.update(dict.fromkeys({packages!r})); from payonce.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{without}sys.exit(main.main({list(command)!r}))"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    assert f"pip install 'payonce[{extra}]'" in done.stderr
