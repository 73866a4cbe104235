"""Empty environments with the wheel of the checkout and one extra, installed from the wheelhouse without network."""

from __future__ import annotations

import subprocess
import sys
import venv
from typing import TYPE_CHECKING

from tools.distribution.wheelhouse import NAME, REPOSITORY, WHEELHOUSE

if TYPE_CHECKING:
    from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--isolated")


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the checkout into ``folder`` and return its path."""
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *options, str(REPOSITORY)], check=True)
    [wheel] = folder.glob("*.whl")
    return wheel


def empty_environment(folder: Path, python: str = sys.executable) -> Path:
    """Make a virtual environment without any package, pip included; return its Python."""
    if python == sys.executable:
        venv.create(folder, symlinks=True)
    else:
        subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def install(python: Path, wheel: Path, extra: str = "", *, compiled: bool = False) -> None:
    """Install the wheel with the extra. Raises ``CalledProcessError`` when the wheelhouse lacks a package."""
    wanted = f"{NAME}[{extra}] @ {wheel.as_uri()}" if extra else f"{NAME} @ {wheel.as_uri()}"
    options = ("--no-index", "--find-links", str(WHEELHOUSE), "--compile" if compiled else "--no-compile")
    subprocess.run([*PIP, "--python", str(python), "install", *options, wanted], check=True)


def site_packages(python: Path) -> Path:
    """Return the folder of the environment's packages."""
    [folder] = python.parents[1].glob("lib/python3*/site-packages")
    return folder
