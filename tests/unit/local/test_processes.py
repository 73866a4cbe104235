"""Processes are found again by their files, and nobody else's process is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from local.processes import Processes, run_in_group, started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
# A child of its own, whose id it prints, as the cloud has its functions and sam has pip.
WITH_CHILD = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
    "print(child.pid, flush=True); time.sleep(600)",
]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    found = Processes(tmp_path)
    yield found
    found.stop()


def spawn(processes: Processes, name: str, command: list[str], tmp_path: Path) -> int:
    processes.spawn(name, command, os.environ, cwd=tmp_path)
    return int((tmp_path / f"{name}.pid").read_text().split()[0])


def line_of(file: Path) -> str:
    while not (text := file.read_text()).endswith("\n"):
        time.sleep(0.01)
    return text.strip()


def test_another_command_stops_it_with_its_children(processes: Processes, tmp_path: Path) -> None:
    """Fails when only the leader is stopped, or only by who started it."""
    pid = spawn(processes, "cloud", WITH_CHILD, tmp_path)
    child = int(line_of(tmp_path / "cloud.log"))
    later = Processes(tmp_path)
    assert later.running() == ["cloud"]
    assert later.stop() == ["cloud"]
    assert later.running() == []
    while started(child):  # the kernel ends a killed process when it gets to it
        time.sleep(0.01)
    assert not started(pid)
    assert list(tmp_path.glob("*.pid")) == []


def test_a_process_that_got_the_id_later_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    """Fails when an id alone names a process: after a reboot it is somebody else's."""
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        (tmp_path / "bank.pid").write_text(f"{stranger.pid} another-boot/123")
        assert processes.running() == []
        assert processes.stop() == []
        assert stranger.poll() is None
        assert not (tmp_path / "bank.pid").exists()
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("content", ["", "12", "x y", "-1 now", "0 boot/0", "999999999 boot/1"])
def test_a_file_that_names_nothing_is_removed(processes: Processes, tmp_path: Path, content: str) -> None:
    """Fails when an empty file, left by a full disk or a kill, is a traceback for ever."""
    (tmp_path / "bank.pid").write_text(content)
    assert processes.stop() == []
    assert not (tmp_path / "bank.pid").exists()


def test_one_that_ended_by_itself_is_not_running(processes: Processes, tmp_path: Path) -> None:
    """Fails when a start is waited for although the process has gone."""
    spawn(processes, "bank", [sys.executable, "-c", ""], tmp_path)
    while processes.is_running("bank"):
        time.sleep(0.01)
    assert processes.stop() == []


def test_an_interrupted_command_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when Ctrl-C in a build ends the command and not what it started."""
    log = tmp_path / "log"
    children: list[int] = []

    def interrupt(self: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if not children:
            children.append(int(line_of(log)))
            raise KeyboardInterrupt
        return real_wait(self, timeout)

    real_wait = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", interrupt)
    with log.open("wb") as out, pytest.raises(KeyboardInterrupt):
        run_in_group(WITH_CHILD, os.environ, cwd=tmp_path, log=out.fileno())
    while started(children[0]):
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["spawn", "run_in_group"])
def test_an_interruption_while_a_process_starts_leaves_nothing(
    how: str, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when Ctrl-C between the fork and the end of ``Popen`` leaves a child that nobody knows.

    What it looks like in another tool, where the children go on after the prompt is back:
    https://github.com/pre-commit/pre-commit/issues/3619.
    """
    log = tmp_path / "log"
    children: list[int] = []

    def start(self: subprocess.Popen[bytes], *arguments: object, **options: object) -> None:
        real_start(self, *arguments, **options)  # type: ignore[arg-type]
        children.append(self.pid)
        signal.raise_signal(signal.SIGINT)

    real_start = subprocess.Popen.__init__
    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    with log.open("wb") as out, pytest.raises(KeyboardInterrupt):
        if how == "spawn":
            processes.spawn("bank", SLEEP, os.environ, cwd=tmp_path)
        else:
            run_in_group(SLEEP, os.environ, cwd=tmp_path, log=out.fileno())
    if how == "spawn":
        assert Processes(tmp_path).stop() == ["bank"]
    alive = started(children[0])
    os.killpg(children[0], signal.SIGKILL) if alive else None
    assert not alive
