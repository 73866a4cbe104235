"""Files in memory, for tests."""

from __future__ import annotations

from payonce.domain.errors import FileRejected


class MemoryFiles:
    """See ``FileStore``."""

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
