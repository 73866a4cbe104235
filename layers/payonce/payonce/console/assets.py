"""The console's own files: their names hold a hash of their content, so that a browser keeps them for a year.

Browsers get them compressed. What nobody reads as source lies so in the folder, too: ``htmx.min.js.gz``.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ASSETS_PATH = "/static/"
FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = MappingProxyType(
    {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
)
HASH_CHARACTERS = 16
PACKED = ".gz"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: its public name, its media type and its bytes."""

    name: str
    media_type: str
    body: bytes


@cache
def asset(file: str) -> Asset:
    """Return the file ``file`` of the folder, such as console.css. Raises ``FileNotFoundError`` and ``KeyError``."""
    path, compressed = FOLDER / file, FOLDER / f"{file}{PACKED}"
    body = gzip.decompress(compressed.read_bytes()) if compressed.exists() else path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:HASH_CHARACTERS]
    return Asset(f"{path.stem}.{digest}{path.suffix}", MEDIA_TYPES[path.suffix], body)


@cache
def assets() -> Mapping[str, Asset]:
    """Return all files by their public names."""
    names = sorted(path.name.removesuffix(PACKED) for path in FOLDER.iterdir())
    every = [asset(name) for name in names if Path(name).suffix in MEDIA_TYPES]
    return MappingProxyType({one.name: one for one in every})


@cache
def packed(file: Asset) -> bytes:
    """Return the file's bytes in the coding gzip (RFC 9110, 8.4.1.3). They hold no secret that sizes could betray."""
    return gzip.compress(file.body, mtime=0)
