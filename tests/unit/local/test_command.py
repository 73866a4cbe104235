"""``make up``, ``make down`` and ``make demo``: clear words for what is in the way, and nothing left running."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from local import command
from local.processes import Processes
from local.stack import CannotStart, Ports

if TYPE_CHECKING:
    from pathlib import Path

    from local.cloud import LocalCloud

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for variable in ("PAYONCE_CLOUD_PORT", "PAYONCE_BANK_PORT", "PAYONCE_RECEIVER_PORT"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "4566.0", " 4566", "４５６６"])
def test_what_is_no_port_is_said(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when a port that is none is a traceback."""
    monkeypatch.setenv("PAYONCE_CLOUD_PORT", text)
    for arguments in (["up"], ["down"]):
        assert command.main(arguments) == 1
        assert "PAYONCE_CLOUD_PORT" in capsys.readouterr().err


def test_one_port_for_two_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYONCE_BANK_PORT", "4566")
    with pytest.raises(CannotStart, match="three different"):
        Ports.from_environment()


@pytest.mark.parametrize(("error", "code"), [(CannotStart("no"), 1), (TimeoutError(), 1), (KeyboardInterrupt(), 130)])
def test_a_command_that_ends_early_leaves_nothing_running(
    error: BaseException, code: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when a failed build, an impatient demo or Ctrl-C leaves the processes that were started."""

    def fails(cloud: LocalCloud) -> None:
        cloud.folder.mkdir()
        cloud.processes.spawn("bank", SLEEP, os.environ, cwd=folder)
        raise error

    assert command.guarded(fails) == code
    told = capsys.readouterr().err
    assert "stopped: bank" in told
    assert "Traceback" not in told
    assert Processes(folder / "stack-4566").running() == []


def test_a_defect_keeps_its_traceback_and_leaves_nothing_running(folder: Path) -> None:
    def fails(cloud: LocalCloud) -> None:
        cloud.folder.mkdir()
        cloud.processes.spawn("bank", SLEEP, os.environ, cwd=folder)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command.guarded(fails)
    assert Processes(folder / "stack-4566").running() == []


def test_two_stacks_of_one_clone_have_nothing_in_common(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when the second takes the first one's files, or ``down`` stops both."""
    clouds = []
    for port in ("4566", "5566"):
        monkeypatch.setenv("PAYONCE_CLOUD_PORT", port)
        clouds.append(command.default_cloud())
        clouds[-1].folder.mkdir()
        clouds[-1].processes.spawn("bank", SLEEP, os.environ, cwd=folder)
    assert command.guarded(lambda _: None) == 1  # the second runs already, and is left as it is
    assert command.main(["down"]) == 0
    told = capsys.readouterr().out
    assert "stopped on port 5566: bank" in told
    assert "make down" in told
    assert Processes(folder / "stack-4566").running() == ["bank"]
    assert command.main(["down", "--all"]) == 0
    assert [cloud.stop() for cloud in clouds] == [[], []]
