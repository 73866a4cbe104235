"""Files in memory, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected

if TYPE_CHECKING:
    from pathlib import Path


class MemoryFiles:
    """``FileStore`` in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """See ``FileStore``."""
        data = self.stored.get(name)
        if data is not None and len(data) > max_bytes:
            raise FileRejected(f"{name} has {len(data)} bytes, and at most {max_bytes} are read.")
        return data

    def write(self, name: str, data: bytes) -> None:
        """See ``FileStore``."""
        self.stored[name] = data

    def fetch(self, name: str, to: Path) -> bool:
        """See ``FileStore``."""
        data = self.stored.get(name)
        if data is not None:
            to.write_bytes(data)
        return data is not None

    def store(self, name: str, path: Path) -> None:
        """See ``FileStore``."""
        self.write(name, path.read_bytes())
