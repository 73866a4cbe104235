"""What a body means, apart from what a client's library makes anew for each try.

JSON is the same in any spelling, and a multipart body (RFC 2046) with any boundary, which libraries draw at random. A
gzipped body is what it unpacks to, since gzip's header holds the time. Whatever two readers could take for two things
is compared byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

from payonce.idempotency.fingerprint import canonical_json

if TYPE_CHECKING:
    from payonce.proxy.messages import ProxyRequest

MAX_UNPACKED_BYTES = 16 * 1024 * 1024  # what more unpacks to is compared as it was sent; a bomb costs no more than this
MAX_MULTIPART_DEPTH = 3  # a form holds files, a file may be of several parts; deeper bodies are compared as they are

_JSON = re.compile(r"application/(?:[!-~]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_MULTIPART = re.compile(r"multipart/[!-~]+?\s*;", re.IGNORECASE)
# RFC 2046, 5.1.1: 1 to 70 characters, in quotes when one of them separates parameters.
_BOUNDARY = re.compile(
    r""";\s*boundary=(?:"([0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?])"|([^\s"(),/:;<=>?@\[\\\]]{1,70}))""",
    re.IGNORECASE,
)
_GZIP = 16 + zlib.MAX_WBITS


def meaning_of(request: ProxyRequest) -> bytes:
    """Return bytes that are equal for two bodies exactly when they mean the same."""
    headers = request.headers()
    types = headers.get("content-type", [""])
    body = request.body
    if [value.strip().lower() for value in headers.get("content-encoding", [])] == ["gzip"]:
        unpacked = _unpacked(body)
        if unpacked is None:
            return b"raw\0" + body
        body = unpacked
    return _meaning(types[0].strip(), body, 1) if len(types) == 1 else b"raw\0" + body


def _meaning(content_type: str, body: bytes, depth: int) -> bytes:
    if _JSON.fullmatch(content_type):
        canonical = _canonical_json(body)
        return b"raw\0" + body if canonical is None else b"json\0" + canonical
    if _MULTIPART.match(content_type) and depth <= MAX_MULTIPART_DEPTH:
        parts = _parts(content_type, body)
        if parts is not None:
            digests = [_part_digest(head, content, depth) for head, content in parts]
            return _digest(b"multipart", _without_boundary(content_type), *digests)
    return b"raw\0" + body


def _parts(content_type: str, body: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return head and content of each part, or ``None`` for what is not exactly parts between one boundary."""
    found = _BOUNDARY.findall(content_type)
    if len(found) != 1:
        return None
    delimiter = b"\r\n--" + (found[0][0] or found[0][1]).encode()
    first, *rest = (b"\r\n" + body).split(delimiter)
    if first or len(rest) < 2 or rest.pop() not in {b"--", b"--\r\n"}:
        return None
    parts = []
    for part in rest:
        head, blank, content = part.partition(b"\r\n\r\n")
        if not blank or not head.startswith(b"\r\n"):
            return None
        parts.append((head, content))
    return parts


def _part_digest(head: bytes, content: bytes, depth: int) -> bytes:
    lines = head.split(b"\r\n")
    types = [line for line in lines if line.lower().startswith(b"content-type:")]
    content_type = types[0].split(b":", 1)[1].decode("latin-1").strip() if len(types) == 1 else ""
    if _MULTIPART.match(content_type):
        # A part of several parts has a boundary of its own, which its head names.
        meaning = _meaning(content_type, content, depth + 1)
        if not meaning.startswith(b"raw\0"):
            return _digest(b"parts", b"\r\n".join(line for line in lines if line not in types), meaning)
    return _digest(b"part", head, content)


def _without_boundary(content_type: str) -> bytes:
    return _BOUNDARY.sub("", content_type).lower().encode("latin-1")


def _digest(*fields: bytes) -> bytes:
    digest = hashlib.sha256()
    for field in fields:
        digest.update(len(field).to_bytes(8, "big") + field)
    return digest.digest()


def _unpacked(body: bytes) -> bytes | None:
    """Return what one gzip stream unpacks to, or ``None`` when it is broken, too large, or something follows it."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(body, MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return unpacked if unpacker.eof and not unpacker.unused_data else None


def _canonical_json(body: bytes) -> bytes | None:
    """Return one spelling of a JSON body, or ``None`` where two readers could take it for two things."""
    try:
        value = json.loads(
            body, parse_float=_number, parse_int=_number, parse_constant=_refuse, object_pairs_hook=_unique
        )
        return canonical_json(value)
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> dict[str, str]:
    # As it is written: 1.0 and 1 are two requests, and no digit is lost. A member named so is told apart by its NUL.
    return {"\0number": text}


def _refuse(_text: str) -> Any:
    raise ValueError("not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs) or "\0number" in found:
        raise ValueError("a repeated or reserved member name")
    return found
