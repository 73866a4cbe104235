"""Starts ministack so that each layer is unpacked once, not for every execution environment.

Lambda mounts a layer that is unpacked already. ministack unpacks all of them for each environment, in Python: some
seconds of processor time each, and while environments start together, nothing else in its process runs. When payments
had to wait for a slow bank, twenty environments started together, and no request was answered for over a minute.

Run by the interpreter of the local cloud's own virtual environment.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime

_whole = threading.Lock()


class UnpackedOnce(zipfile.ZipFile):
    """A zip file whose content is unpacked once, by its digest; each further folder is a link to it.

    The folder is shared, so that a function which changes files of its own code would change them for others, too:
    in Lambda it can't change them at all.
    """

    def _unpacked(self) -> Path:
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        return Path(tempfile.gettempdir()) / f"unpacked-{digest}"

    def namelist(self) -> list[str]:
        """Return the names of the members, which ministack checks one by one: none if they have been checked before."""
        return [] if self._unpacked().exists() else super().namelist()

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Make ``path``, an empty folder, a link to the unpacked content."""
        unpacked = self._unpacked()
        with _whole:
            if not unpacked.exists():
                new = unpacked.with_suffix(".new")
                super().extractall(new, members, pwd)
                new.rename(unpacked)
        os.rmdir(path)  # noqa: PTH106 - Path.rmdir is the same
        os.symlink(unpacked, path)  # noqa: PTH211 - the same


lambda_runtime.zipfile = SimpleNamespace(
    ZipFile=UnpackedOnce, BadZipFile=zipfile.BadZipFile, LargeFileError=zipfile.LargeZipFile
)

if __name__ == "__main__":
    sys.exit(main())
