"""What tests install for themselves: suites run in several processes, which begin at the same moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from local import dynamodb_local
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

# ``npm ci`` removes what another one is unpacking: here the second one at a time says so, and so does a torn lock file.
NPM = """#!/bin/sh
mkdir busy || exit 9
python3 -c 'import json; json.load(open("package-lock.json"))' || exit 8
sleep 0.3
mkdir -p node_modules
echo once >> count
rmdir busy
"""
INSTALL = """
import pathlib, sys
from local import dynamodb_local
dynamodb_local.INSTALLED = pathlib.Path(sys.argv[1])
dynamodb_local.install()
"""
PROCESSES = 4


def test_processes_that_begin_together_install_dynamodb_local_once(tmp_path: Path) -> None:
    """Fails when two processes install into one folder at once, or one of them takes half of it for all."""
    folder, commands = tmp_path / "installed", tmp_path / "bin"
    commands.mkdir()
    (commands / "npm").write_text(NPM)
    (commands / "npm").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-c", INSTALL, str(folder)]
    running = [subprocess.Popen(command, env=environment) for _ in range(PROCESSES)]
    assert [process.wait(timeout=60) for process in running] == [0] * PROCESSES
    assert (folder / "count").read_text() == "once\n"
    wanted = json.loads((dynamodb_local.PACKAGE / "package-lock.json").read_text())
    assert json.loads((folder / "package-lock.json").read_text()) == wanted
