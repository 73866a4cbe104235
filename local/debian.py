"""Unpacks programs of Debian packages into .cache, without root and without installing them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CACHE = Path(__file__).resolve().parents[1] / ".cache"


def unpacked(name: str, packages: Sequence[str]) -> Path:
    """Return the folder with the unpacked packages of this machine's Debian; download them if they are missing."""
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        # Renamed when complete: another process may do the same concurrently, and the first to finish wins.
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            apt_get, dpkg = (shutil.which(tool) or f"/usr/bin/{tool}" for tool in ("apt-get", "dpkg"))
            subprocess.run(
                [apt_get, "-qq", "-o", "APT::Sandbox::User=root", "download", *packages], cwd=temporary, check=True
            )
            new = Path(temporary) / "new"
            for package in Path(temporary).glob("*.deb"):
                subprocess.run([dpkg, "-x", package, new], check=True)
            try:
                os.rename(new, folder)  # noqa: PTH104 - Path.rename is the same
            except OSError:
                if not folder.exists():
                    raise
    return folder


def script(folder: Path, name: str, binary: str, *, called: str = "") -> Path:
    """Return a script that runs ``binary`` of the folder with its libraries, under the name ``called`` if given.

    The script locates them relative to itself, because the cache may be reached by several paths.
    """
    path = folder / name
    if not path.exists():
        libraries = ":".join(f"$here/{found.relative_to(folder)}" for found in folder.glob("*/lib/*-linux-gnu"))
        alias = f"-a {called} " if called else ""
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(
            '#!/bin/bash\nhere="$(cd "$(dirname "$0")" && pwd)"\n'
            f'LD_LIBRARY_PATH="{libraries}" exec {alias}"$here/{binary}" "$@"\n'
        )
        new.chmod(0o755)
        new.replace(path)
    return path
