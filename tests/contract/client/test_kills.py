"""A process that pays is killed between any two of its steps, and another makes the same call: one execution.

All steps: ``PAYONCE_CLIENT_KILL_STRIDE=1``; the default takes every 67th.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from typing import Any

from tests.support.api_server import running_api
from tests.support.aws import REPOSITORY

STRIDE = int(os.environ.get("PAYONCE_CLIENT_KILL_STRIDE", "67"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'layers' / 'payonce'}"}
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


def killed_everywhere(journal: str, first: int, stride: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Return what came of each step, and how often each order was paid."""
    with running_api() as api:
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.client_child", api.url, journal, str(first), str(stride)],
            cwd=REPOSITORY,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=600,
            check=True,
        )
        return [json.loads(line) for line in done.stdout.splitlines()], Counter(api.charges())


def test_killed_between_any_two_steps_an_intent_is_executed_once() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        told, charges = killed_everywhere(f"{folder}/payonce.db", 1, STRIDE)
    assert [each["step"] for each in told] == list(range(1, told[0]["of"] + 1, STRIDE))
    killed = Counter(each["killed"] for each in told)
    assert set(killed) <= {0, signal.SIGKILL}  # a process that was faster than the one that was counted ends by itself
    assert killed[signal.SIGKILL] > 0.9 * len(told)
    assert all(each["id"] for each in told)
    assert charges == {"pm_step_0": 1, **{f"pm_step_{each['step']}": 1 for each in told}}


def test_without_a_journal_the_second_process_pays_again() -> None:
    """What the journal prevents: a kill after the request was sent."""
    told, charges = killed_everywhere("none", 1, 97)
    assert told[0]["of"] > 400
    assert max(charges.values()) == 2
