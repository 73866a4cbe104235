"""A program that pays and is killed: ``python -m tests.support.client_child URL JOURNAL FIRST STRIDE``.

Each line that the client or its connections execute is a step. For every STRIDE-th step from FIRST on, a process of its
own is killed by SIGKILL before that step, and another one then makes the same call anew. JOURNAL is a path, or "none":
then each process has a key of its own. What came of each pair is printed, a JSON document a line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import httpx

from payonce.client import Client, Journal
from tests.support.api_server import API_KEY

if TYPE_CHECKING:
    from types import FrameType

HTTP = httpx.Client()  # certificates take a tenth of a second; connections are made after the fork
STEPS_IN = ("/payonce/client/", "/httpcore/")


class Killer:
    """Counts steps, and kills the process before step ``at``."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        """See ``sys.settrace``."""
        if not any(part in frame.f_code.co_filename for part in STEPS_IN):
            return None
        if event == "line":
            self.steps += 1
            if self.steps == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def pay(url: str, journal: str, step: int) -> str:
    """Pay for the order of this step, and return the payment's id."""
    named = {} if journal == "none" else {"intent": f"order-{step}"}
    client = Client(url, API_KEY, intents=None if journal == "none" else Journal(journal), http=HTTP)
    method = f"pm_step_{step}"
    answer = client.create_payment(
        amount_minor=1000, currency="EUR", payment_method=method, timeout_seconds=60, **named
    )
    return answer.data["id"]


def forked(url: str, journal: str, step: int, killer: Killer | None) -> dict[str, Any]:
    """Return how a process with this call has ended: its signal, steps and payment."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        if killer is not None:
            sys.settrace(killer)
        payment_id = pay(url, journal, step)
        sys.settrace(None)
        os.write(write, json.dumps({"id": payment_id, "steps": killer.steps if killer else 0}).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        text = told.read()
    _, status = os.waitpid(child, 0)
    return {"signal": os.WTERMSIG(status), **(json.loads(text) if text else {})}


def main() -> None:
    """See the module."""
    url, journal, first, stride = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    steps = forked(url, journal, 0, Killer(0))["steps"]
    for step in range(first, steps + 1, stride):
        killed = forked(url, journal, step, Killer(step))
        again = forked(url, journal, step, None)
        told = {"step": step, "of": steps, "killed": killed["signal"], "id": again.get("id")}
        sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
