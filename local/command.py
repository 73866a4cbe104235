"""``make up``, ``make down`` and their common part with ``make demo``: one stack per port, and no process left behind.

``python -m local up``, ``demo``, ``down``, ``down --all``. Ports: PAYONCE_CLOUD_PORT (4566), PAYONCE_BANK_PORT (4700),
PAYONCE_RECEIVER_PORT (4800). Stacks on different ports share nothing, even within one clone.
"""

from __future__ import annotations

import shutil
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from local.cloud import ENVIRONMENTS_FOR_WAITING, SCRATCH, LocalCloud
from local.degradation import ROUTING
from local.processes import INTERRUPTIONS, Processes
from local.stack import PORT_VARIABLES, REPOSITORY, CannotStart, Ports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FOLDER = REPOSITORY / ".local"
INTERRUPTED = 130  # the shell's code for a command ended by Ctrl-C


def default_cloud() -> LocalCloud:
    """Return the cloud of ``make up``, ``make demo`` and ``make down``. Raises ``CannotStart``."""
    ports = Ports.from_environment()
    return LocalCloud(FOLDER / f"stack-{ports.cloud}", ports, environments=ENVIRONMENTS_FOR_WAITING)


def guarded(command: Callable[[LocalCloud], None]) -> int:
    """Run ``command`` with the default cloud and return the exit code.

    If it fails or is interrupted, its processes are stopped. A stack that already runs is left unchanged.
    """
    try:
        cloud = default_cloud()
        if running := cloud.processes.running():
            raise CannotStart(f"It runs already ({', '.join(running)}). Stop it with: {_down(cloud.ports.cloud)}")
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    code = 1
    try:
        for number in INTERRUPTIONS:  # SIGTERM and SIGHUP act like Ctrl-C
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP: keep that
                signal.signal(number, _interrupt)
        command(cloud)
        code = 0
    except (CannotStart, TimeoutError) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        if code:
            _ignore_interruptions()
            print(f"stopped: {', '.join(cloud.processes.stop()) or 'nothing was running'}", file=sys.stderr)
            _clear(cloud.folder)
    return code


def down(*, everything: bool) -> int:
    """Stop the stack on the environment's ports, or every stack of this clone. Return the exit code."""
    try:
        ports = Ports.from_environment()
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    others, any_stopped = [], False
    for folder in sorted(FOLDER.glob("stack-*")):
        port = folder.name.removeprefix("stack-")
        processes = Processes(folder)
        if everything or port == str(ports.cloud):
            stopped = processes.stop()
            any_stopped |= bool(stopped)
            if stopped:
                print(f"stopped on port {port}:", ", ".join(stopped), flush=True)
            _clear(folder)
        elif processes.running():
            others.append(f"Another stack of this clone runs on port {port}. Stop it with: {_down(int(port))}")
    if not any_stopped:
        print("nothing runs" if everything else f"nothing runs on port {ports.cloud}")
    print(*others, sep="\n", end="\n" * bool(others))
    return 0


def _interrupt(_number: int, _frame: object) -> NoReturn:
    _ignore_interruptions()
    raise KeyboardInterrupt


def _ignore_interruptions() -> None:
    """Ignore further interruptions, so that the clean-up after the first can finish."""
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)


def _clear(folder: Path) -> None:
    """Remove the cloud's unpacked files: a gigabyte of small files, which takes a slow disk a minute.

    Ctrl-C may end it, because the next start does it as well.
    """
    for number in INTERRUPTIONS:
        signal.signal(number, signal.SIG_DFL)
    if (folder / SCRATCH).exists():
        print("removing what it had unpacked (Ctrl-C leaves that to the next start)", flush=True)
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)


def _down(port: int) -> str:
    usual = port == PORT_VARIABLES["PAYONCE_CLOUD_PORT"]
    return "make down" if usual else f"PAYONCE_CLOUD_PORT={port} make down"


def _up(cloud: LocalCloud) -> None:
    cloud.start()
    # Shadow routes as `off` does but obeys overrides: docs/routing.md, "By hand".
    stack = cloud.deploy(routing_mode="shadow", routing=ROUTING)
    print(f"API       {stack.api_url}\nbank      {stack.bank.url}\nreceiver  {stack.receiver.url}")
    print(f"console   {stack.console_url}")
    print("sign in there with the key that this prints: payonce console operators add NAME --role approver")
    print(stack.how_to_operate())
    print(f"stop with: payonce down, or {_down(cloud.ports.cloud)}")


def main(arguments: Sequence[str]) -> int:
    """Run ``up``, ``demo`` or ``down``; return the exit code."""
    match list(arguments):
        case ["up"]:
            return guarded(_up)
        case ["demo"]:
            from local.demo import demonstrate  # imported here, because the other commands do not need it

            return guarded(demonstrate)
        case ["down"]:
            return down(everything=False)
        case ["down", "--all"]:
            return down(everything=True)
    print("usage: python -m local up|demo|down|down --all", file=sys.stderr)
    return 2
