"""``make up``, ``make down`` and ``make demo``: clear words for what is in the way, and nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local import command
from local.cloud import LocalCloud
from local.degradation import GATEWAY
from local.processes import Processes, started
from local.stack import REPOSITORY, CannotStart, Ports, Stack

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

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
    assert command.main(["down"]) == 0
    assert "nothing runs on port 5566" in capsys.readouterr().out
    assert command.main(["down", "--all"]) == 0
    assert [cloud.stop() for cloud in clouds] == [[], []]


ENDLESS = """
import os, sys, time
from pathlib import Path
from local import command

def endless(cloud):
    cloud.folder.mkdir()
    cloud.processes.spawn("bank", [sys.executable, "-c", "import time; time.sleep(600)"], os.environ, cwd=cloud.folder)
    print((cloud.folder / "bank.pid").read_text().split()[0], flush=True)
    time.sleep(600)

command.FOLDER = Path(sys.argv[1])
sys.exit(command.guarded(endless))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_all_that_it_started(number: signal.Signals, folder: Path) -> None:
    """Fails when a closed terminal (SIGHUP) or ``kill`` leaves processes, or when any of them is a traceback."""
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, folder],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        bank = int(process.stdout.readline())
        process.send_signal(number)
        _, told = process.communicate()
    alive = started(bank)
    if alive:
        os.kill(bank, signal.SIGKILL)
    assert (process.returncode, told, alive) == (command.INTERRUPTED, "stopped: bank\n", "")


@pytest.mark.parametrize("name", ["up", "demo", "down"])
def test_an_interruption_among_the_imports_is_no_traceback(name: str, tmp_path: Path) -> None:
    """Fails when Ctrl-C in the first half second prints forty lines of where the imports were."""
    (tmp_path / "boto3.py").write_text("import time\nprint(flush=True)\ntime.sleep(600)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "local", name],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert (process.returncode, told) == (-signal.SIGINT, "")


def test_what_is_up_obeys_the_overrides_that_the_pages_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when ``make up`` deploys ``off``, which obeys no override, or one gateway, which can't be drained."""
    deployed: dict[str, Any] = {}

    def deploy(cloud: LocalCloud, **options: Any) -> Stack:
        deployed.update(options)
        return cloud_stack(cloud)

    def cloud_stack(cloud: LocalCloud) -> Stack:
        bank = receiver = type("Handle", (), {"url": "http://127.0.0.1:1"})()
        outputs = {"ConsoleApiId": "console", "StageName": "local"}
        return Stack("http://127.0.0.1:1", cloud.endpoint_url, outputs, bank, receiver)

    monkeypatch.setattr(LocalCloud, "start", lambda cloud: cloud.folder.mkdir())
    monkeypatch.setattr(LocalCloud, "deploy", deploy)
    assert command.main(["up"]) == 0
    assert deployed["routing_mode"] == "shadow"
    assert 0 < deployed["routing"]["weights"][GATEWAY] < 1
    said = capsys.readouterr().out
    assert "PAYONCE_STACK=payonce-local\n" in said
    assert "\npayonce routing show\n" in said
