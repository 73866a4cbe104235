"""Runs one of the local servers in a process of its own, for tests and the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
PYTHONPATH = os.pathsep.join((str(REPOSITORY), str(REPOSITORY / "layers" / "payonce")))


@contextmanager
def running_module(module: str, *arguments: str) -> Iterator[str]:
    """Run ``module`` and yield the URL that ends its first line; stop it at the end in any case.

    Raises ``RuntimeError`` when it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "http://" not in line:
            raise RuntimeError(f"{module} did not start")
        yield line.split()[-1]
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
