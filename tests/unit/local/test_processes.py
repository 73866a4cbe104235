"""Processes are found again by their files, and nobody else's process is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from local.processes import Processes, started
from local.stack import REPOSITORY

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


def test_a_command_is_run_to_its_end(processes: Processes, tmp_path: Path) -> None:
    code = processes.run("build", [sys.executable, "-c", "print('built'); exit(3)"], os.environ, cwd=tmp_path)
    assert (code, processes.log("build").read_text()) == (3, "built\n")
    assert processes.stop() == []


def test_a_command_whose_starter_was_killed_is_found_and_stopped(tmp_path: Path) -> None:
    """Fails when a build goes on for ever beside the next one: kill -9 of ``make up``, or Ctrl-C.

    An interrupted starter with its children still at work, in another tool:
    https://github.com/pre-commit/pre-commit/issues/3619.
    """
    run = "import os, pathlib, sys; from local.processes import Processes; "
    run += "Processes(pathlib.Path(sys.argv[1])).run('build', sys.argv[2:], os.environ, cwd=pathlib.Path('/'))"
    with subprocess.Popen([sys.executable, "-c", run, tmp_path, *WITH_CHILD], cwd=REPOSITORY) as starter:
        while not (tmp_path / "build.pid").exists():
            time.sleep(0.01)
        child = int(line_of(tmp_path / "build.log"))
        starter.kill()
    assert Processes(tmp_path).running() == ["build"]
    assert Processes(tmp_path).stop() == ["build"]
    while started(child):
        time.sleep(0.01)


@pytest.mark.parametrize("method", ["spawn", "run"])
def test_an_interruption_while_a_process_starts_leaves_nothing(
    method: str, processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when Ctrl-C between the fork and the end of ``Popen`` leaves a child that nobody knows."""
    children: list[int] = []

    def start(self: subprocess.Popen[bytes], *arguments: object, **options: object) -> None:
        real_start(self, *arguments, **options)  # type: ignore[arg-type]
        children.append(self.pid)
        signal.raise_signal(signal.SIGINT)

    real_start = subprocess.Popen.__init__
    monkeypatch.setattr(subprocess.Popen, "__init__", start)
    with pytest.raises(KeyboardInterrupt):
        getattr(processes, method)("bank", SLEEP, os.environ, cwd=tmp_path)
    stopped = Processes(tmp_path).stop()
    alive = started(children[0])
    if alive:
        os.killpg(children[0], signal.SIGKILL)
    assert (stopped, alive) == (["bank"], "")
