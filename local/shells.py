"""fish and zsh for the tests of the completions: the machine's own, or Debian's, unpacked into .cache without root.

``PAYONCE_FISH`` and ``PAYONCE_ZSH`` name other binaries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local import debian

FISH_PACKAGES = ("fish", "fish-common", "libpcre2-32-0")
ZSH_PACKAGES = ("zsh", "zsh-common")


class ShellMissing(Exception):
    """The shell is neither installed nor to be had."""


@dataclass(frozen=True, slots=True)
class Zsh:
    """A zsh, and lines for its start that say where an unpacked one has its modules and functions."""

    path: Path
    start: str = ""


def fish() -> Path:
    """Return the path of fish. Raises ``ShellMissing``."""
    found = os.environ.get("PAYONCE_FISH") or shutil.which("fish")
    return Path(found) if found else debian.script(_unpacked("fish", FISH_PACKAGES), "run-fish", "usr/bin/fish")


def zsh() -> Zsh:
    """Return zsh. Raises ``ShellMissing``."""
    if found := os.environ.get("PAYONCE_ZSH") or shutil.which("zsh"):
        return Zsh(Path(found))
    folder = _unpacked("zsh", ZSH_PACKAGES)
    [modules] = {found.parents[1] for found in folder.glob("usr/lib/*/zsh/*/zsh/complete.so")}
    functions = [path for path in (folder / "usr/share/zsh/functions").rglob("*") if path.is_dir()]
    start = f"module_path=({modules})\nfpath=({' '.join(map(str, functions))})\n"
    return Zsh(debian.script(folder, "run-zsh", "bin/zsh"), start)


def _unpacked(name: str, packages: tuple[str, ...]) -> Path:
    try:
        return debian.unpacked(f"{name}-unpacked", packages)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ShellMissing(f"{name} is not installed, and Debian's packages can't be downloaded ({error}).") from error
