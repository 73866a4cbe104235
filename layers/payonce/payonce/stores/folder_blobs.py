"""Blobs in a folder, for the sidecar: written to a temporary file and renamed, so that readers see all or nothing."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from payonce.domain.errors import StoreUnavailable

_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")


class FolderBlobs:
    """``Blobs`` in a folder."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def put(self, name: str, data: bytes) -> None:
        """See ``Blobs``."""
        path = self._path(name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".", delete=False) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
        except OSError as error:
            raise StoreUnavailable(f"The folder of large answers can't be written: {error.strerror}") from error

    def get(self, name: str) -> bytes | None:
        """See ``Blobs``."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"The folder of large answers can't be read: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise StoreUnavailable("The name of a large answer is not one.")
        return self._folder / name
