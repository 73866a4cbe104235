"""What `payonce up` and `payonce demo` print at their end, copied into a shell elsewhere; and these themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.demo import to_go_on
from local.receiver import ReceiverHandle, running_receiver
from local.sandbox_bank.running import running_bank
from local.stack import CREDENTIALS, PORT_VARIABLES, STACK_NAME, Stack
from payonce.cli import local, local_stack
from payonce.cli import main as cli
from tests.support.aws import REPOSITORY
from tests.support.commands import parse
from tests.support.loopback_stack import LoopbackStack, loopback_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stack() -> Iterator[LoopbackStack]:
    with loopback_stack() as running:
        yield running
        shutil.rmtree(REPOSITORY / ".local" / f"stack-{running.port}", ignore_errors=True)


def make(folder: Path, code: int = 0) -> Path:
    """Write a `make` that notes what it was asked for."""
    (folder / "make").write_text(f'#!/bin/sh\necho "made $*"\necho "$*" >> {folder}/asked\nexit {code}\n')
    (folder / "make").chmod(0o755)
    return folder / "asked"


def test_every_line_works_when_it_is_copied(stack: LoopbackStack, tmp_path: Path) -> None:
    """Fails when a hint needs a folder, a variable or a module that it does not name.

    As "No module named 'payonce'" did, and a trailing comment does in zsh.
    """
    application = stack.deploy()
    merchant_id = application.merchants.create_merchant("Demo shop", gateway="bank")
    _, api_key = application.merchants.create_api_key(merchant_id)
    asked = make(tmp_path)
    with running_bank(tmp_path) as bank, running_receiver() as receiver:
        printed = to_go_on(
            Stack(stack.api_url, stack.url, {}, bank, ReceiverHandle(receiver.url)), api_key, "/webhook_endpoints"
        ).replace("/webhook_endpoints/deliveries", "/webhook_endpoints")
        lines = printed.splitlines()
        assert [line for line in lines if "#" in line] == []
        environment = {
            "PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(REPOSITORY / "layers" / "payonce"),  # the checkout that is tested
        }
        script = "\n".join(["set -e", *(line.replace("curl ", "curl -sS --fail ") for line in lines)])
        done = subprocess.run(
            ["/bin/bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "payonce-local CREATE_COMPLETE" in done.stdout
    assert [status for method, path, status, _ in stack.asked if (method, path) == ("POST", "/payments")] == [201, 201]
    assert "down" in asked.read_text()
    for line in lines:
        if line.startswith("payonce "):
            parse(line)


def test_the_names_of_the_local_cloud_are_the_same_twice() -> None:
    """Fails when the command looks for another stack, port or account than `make up` makes: it can't import `local`."""
    assert (local_stack.STACK, local_stack.PORTS, local_stack.CREDENTIALS) == (STACK_NAME, PORT_VARIABLES, CREDENTIALS)


@pytest.mark.parametrize("command", ["up", "down", "demo"])
def test_the_local_cloud_is_made_by_the_checkout(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = make(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert cli.main([command]) == 0
    assert asked.read_text() == f"--no-print-directory -C {REPOSITORY} {command}\n"
    assert "made" in capfd.readouterr().out
    assert cli.main([command, "--json"]) == 0
    said = capfd.readouterr()
    assert (json.loads(said.out)["stack"], "made" in said.err) == ("payonce-local", True)
    make(tmp_path, code=2)
    assert cli.main([command]) == 3


def test_without_a_checkout_it_is_said_what_is_needed(tmp_path: Path) -> None:
    """Fails when an installed wheel's `payonce up` is a traceback: the package alone has no template and no make."""
    shutil.copytree(REPOSITORY / "layers" / "payonce" / "payonce", tmp_path / "site" / "payonce")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")}
    for command in ("up", "down", "demo"):
        done = subprocess.run(
            [sys.executable, "-m", "payonce.cli", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, "runs from a checkout" in done.stderr) == (2, True), done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "payonce.cli", "status", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(done.stdout)["local"]["checkout"] is None


def test_only_what_lives_is_running(tmp_path: Path) -> None:
    """Fails when a pid file that a reboot left behind is called a running cloud."""
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        (tmp_path / "cloud.pid").write_text(f"{process.pid} x")
        assert local.running(tmp_path) == ["cloud"]
        process.kill()
        process.wait()
    assert local.running(tmp_path) == []
    assert local.running(None) == []
