"""Manages processes that outlive the command which starts them, by pid files in a folder.

A pid file holds the process id and the start time, so that after a reboot, or after a reuse of the id, it matches no
process, and no foreign process is stopped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STARTED_FIELD = 19  # index after the command's name in /proc/<pid>/stat, where it is field 22: proc(5)
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GONE_TIMEOUT_SECONDS = 30  # a killed process ends at once, unless it waits for a disk


def started(pid: int) -> str:
    """Return the process's start time as a text that stays the same for its life; "" if there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = BOOT_ID.read_text().strip()
    except (OSError, ValueError):
        return ""
    return "" if fields[0] == "Z" else f"{boot}/{fields[STARTED_FIELD]}"


class Processes:
    """The processes with pid files in ``folder``, each the leader of its own process group."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path) -> None:
        """Start a process with its output in ``<name>.log``."""
        with self.log(name).open("wb") as log, _whole():
            process = self._children[name] = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            written = self._file(name).with_suffix(".new")
            written.write_text(f"{process.pid} {started(process.pid)}")
            written.replace(self._file(name))  # atomic for readers

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str], *, cwd: Path) -> int:
        """Start a process, wait for its end and return its exit code. After an interruption, call ``stop``."""
        self.spawn(name, command, environment, cwd=cwd)
        code = self._children[name].wait()
        self._file(name).unlink()
        return code

    def log(self, name: str) -> Path:
        """Return the file of the process's output."""
        return self._folder / f"{name}.log"

    def is_running(self, name: str) -> bool:
        """Return whether the process runs, whoever started it."""
        child = self._children.get(name)
        if child is not None:
            return child.poll() is None
        return self._pid(name) is not None

    def running(self) -> list[str]:
        """Return the names of the running processes."""
        return sorted(file.stem for file in self._folder.glob("*.pid") if self.is_running(file.stem))

    def stop(self) -> list[str]:
        """Stop all processes with their groups, and return the names of those that ran."""
        stopped = []
        for file in sorted(self._folder.glob("*.pid")):
            pid = self._pid(file.stem)
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                    stopped.append(file.stem)
                self._await_end(file.stem, pid)
            file.unlink(missing_ok=True)
        # A child whose pid file could not be written, as on a full disk.
        for name, child in self._children.items():
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                stopped.append(name)
        return stopped

    def _await_end(self, name: str, pid: int) -> None:
        child = self._children.get(name)
        if child is not None:
            child.wait()
            return
        give_up = time.monotonic() + GONE_TIMEOUT_SECONDS
        while started(pid) and time.monotonic() < give_up:
            time.sleep(0.02)

    def _pid(self, name: str) -> int | None:
        try:
            pid, _, when = self._file(name).read_text().partition(" ")
        except OSError:
            return None
        return int(pid) if pid.isdecimal() and when and started(int(pid)) == when else None

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.pid"


@contextmanager
def _whole() -> Iterator[None]:
    """Defer interruptions to the end of the block.

    ``Popen`` forks and returns when the child runs its program. Ctrl-C in between would raise and leave an unknown
    child running:

        Popen       fork ............ waits for exec    returns, and the child is known
        terminal              Ctrl-C: KeyboardInterrupt, and the child goes on
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread is interrupted
        yield
        return
    came: list[int] = []
    # A handler rather than a mask of blocked signals, because the child would inherit the mask.
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
