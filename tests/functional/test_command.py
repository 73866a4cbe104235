"""The command `payonce` as `make setup` installs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_command_runs_anywhere_and_without_variables(tmp_path: Path) -> None:
    """Fails when README's commands need a PYTHONPATH, a folder or a variable that README does not name."""
    command = Path(sys.prefix, "bin", "payonce")
    done = subprocess.run([command, "reconcile", "--help"], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--ledger" in done.stdout
