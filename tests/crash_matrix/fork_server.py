"""The process that forks those which are killed: it has imported everything, and reads a task per line.

Each task is done in a process of its own, which ends, dies or freezes for real; nothing else of it runs after that. A
process that starts an interpreter and imports all of this takes half a second of a core, a forked one a few
milliseconds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.gateways import stripe_gateway  # noqa: F401  read before the forks, as the tasks take it late
from tests.crash_matrix import child, correction_child, notice_child, webhook_child
from tests.support.aws import REPOSITORY, http_client

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "payment": child.run,
    "notice": notice_child.run,
    "webhook": webhook_child.run,
    "correction": correction_child.run,
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process that did a task: its exit code, ``None`` while it is frozen, and what it said, if it came so far."""

    pid: int
    exit: int | None
    said: dict[str, Any]


class ForkServer:
    """The forking process, as a test uses it. Not for several threads at once."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "layers" / "payonce")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_matrix.fork_server"],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, name: str, task: dict[str, Any]) -> Process:
        """Have a process of its own do the task; return when it has ended or is frozen."""
        return self._ask({"name": name, "task": task})

    def thaw(self, process: Process) -> Process:
        """Wake a frozen process; return when it has ended."""
        return self._ask({"thaw": process.pid})

    def _ask(self, question: dict[str, Any]) -> Process:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return Process(**json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        """End it, and what is still frozen."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=300)
        self._process.stdout.close()


class _Forks:
    """The server's side: where the answers of its processes come from."""

    def __init__(self) -> None:
        self._pipes: dict[int, int] = {}

    def start(self, name: str, task: dict[str, Any]) -> int:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.write(writing, json.dumps(TASKS[name](task)).encode())  # far less than a pipe holds
                code = 0
            except BaseException:
                sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
            finally:
                os._exit(code)
        os.close(writing)
        self._pipes[pid] = reading
        return pid

    def wait(self, pid: int) -> dict[str, Any]:
        """Return what became of the process, once it has ended or is frozen."""
        status = os.waitpid(pid, os.WUNTRACED)[1]
        if os.WIFSTOPPED(status):
            return {"pid": pid, "exit": None, "said": {}}
        with os.fdopen(self._pipes.pop(pid), "rb") as pipe:
            said = pipe.read()
        return {"pid": pid, "exit": os.waitstatus_to_exitcode(status), "said": json.loads(said) if said else {}}

    def end(self) -> None:
        """Kill what is still frozen."""
        for pid in list(self._pipes):
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)


def main() -> None:
    """Serve tasks until standard input ends."""
    http_client("http://127.0.0.1:9")  # what its making reads is read before the forks
    # What the application logs is not the answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    forks = _Forks()
    for line in sys.stdin:
        question = json.loads(line)
        if "thaw" in question:
            pid = question["thaw"]
            os.kill(pid, signal.SIGCONT)
        else:
            pid = forks.start(question["name"], question["task"])
        answers.write(json.dumps(forks.wait(pid)) + "\n")
        answers.flush()
    forks.end()


if __name__ == "__main__":
    main()
