"""The meaning of a body, without what a client's library generates anew for each try.

JSON means the same in any spelling, and a multipart body (RFC 2046) with any boundary, which libraries draw at random.
A gzipped body means its decompressed content, because gzip's header contains the time. A body that two parsers could
read differently is compared byte for byte. Another type or encoding (RFC 9110, 8.3 and 8.4) is another meaning.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from payonce.idempotency.fingerprint import canonical_json

if TYPE_CHECKING:
    from payonce.proxy.messages import ProxyRequest

MAX_UNPACKED_BYTES = 16 * 1024 * 1024  # a larger body is compared as it was sent, so a decompression bomb costs no more
MAX_MULTIPART_DEPTH = 3  # a form contains files, and a file may have several parts; deeper bodies are compared as sent

MAX_TIDY_TYPES = 64  # remembered: the clients of one service send few, and each is at most 32 KB

_JSON = re.compile(r"application/(?:[!-:<-~]+\+)?json(?:;.*)?", re.IGNORECASE)
_MULTIPART = re.compile(r"multipart/[!-:<-~]+;", re.IGNORECASE)
# RFC 2046, 5.1.1: 1 to 70 characters, quoted if one of them is a separator of parameters.
_BOUNDARY = re.compile(
    r""";\s*boundary=(?:"([0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?])"|([^\s"(),/:;<=>?@\[\\\]]{1,70}))""",
    re.IGNORECASE,
)
_SEMICOLON = re.compile(r'"(?:[^"\\]|\\.)*"|[ \t]*;[ \t]*')
_UTF_8 = re.compile(r';charset="?utf-8"?(?=;|$)', re.IGNORECASE)
_LINE_END = re.compile(rb"\r?\n")
_GZIP = 16 + zlib.MAX_WBITS


def meaning_of(request: ProxyRequest) -> bytes:
    """Return bytes that are equal for two bodies exactly when the bodies mean the same."""
    headers = request.headers()
    types = headers.get("content-type", [""])
    content_type = _tidy(types[0])
    encoding = ",".join(headers.get("content-encoding", [])).strip().lower()
    if len(types) > 1:
        return _raw("\n".join((*types, encoding)), request.body)
    unpacked = _unpacked(request.body) if encoding in {"gzip", "x-gzip"} else None  # synonyms (RFC 9110, 8.4.1.3)
    if unpacked is not None:
        return _meaning(content_type, unpacked, 1)
    if encoding not in {"", "identity"}:
        return _raw(f"{content_type}\n{encoding}", request.body)
    return _meaning(content_type, request.body, 1)


@lru_cache(MAX_TIDY_TYPES)
def _tidy(content_type: str) -> str:
    """Return the header's value with the type in lower case and without insignificant spaces."""
    kind, semicolon, parameters = content_type.strip().partition(";")
    return kind.strip().lower() + _SEMICOLON.sub(lambda found: found[0].strip(" \t"), semicolon + parameters)


def _raw(content_type: str, body: bytes) -> bytes:
    return b"raw\0" + content_type.encode("utf-8", "surrogatepass") + b"\0" + body


def _meaning(content_type: str, body: bytes, depth: int) -> bytes:
    if _JSON.fullmatch(content_type):
        canonical = _canonical_json(body)
        kind = _UTF_8.sub("", content_type)  # JSON has no other charset (RFC 8259, 8.1)
        return _raw(content_type, body) if canonical is None else _digest(b"json", kind.encode(), canonical)
    if _MULTIPART.match(content_type) and depth <= MAX_MULTIPART_DEPTH:
        pieces = _pieces(content_type, body)
        if pieces is not None:
            kind = _BOUNDARY.sub("", content_type)
            return _digest(
                b"multipart", kind.encode("utf-8", "surrogatepass"), *(_part(piece, depth) for piece in pieces)
            )
    return _raw(content_type, body)


def _pieces(content_type: str, body: bytes) -> list[bytes] | None:
    """Return the text before, between and after the boundary lines, with line ends; or ``None``.

    Two bodies with equal pieces differ only in the name of their boundary. The result is ``None`` where that name could
    matter: when it also occurs in a part, or when a line begins with it and continues. A preamble may contain it, as
    those of mail libraries do.
    """
    found = _BOUNDARY.findall(content_type)
    if len(found) != 1:
        return None
    boundary = (found[0][0] or found[0][1]).encode("utf-8", "surrogatepass")
    before, *parts = (b"\n" + body).split(b"\n--" + boundary)
    if not parts or any(boundary in part for part in parts) or not all(map(_LINE_END.match, parts[:-1])):
        return None
    after = parts.pop()
    if not after.startswith(b"--") or not (_LINE_END.match(after, 2) or not after[2:].strip(b"\r\n")):
        return None
    return [before.replace(boundary, b"\0"), *parts, after[2:].strip(b"\r\n")]


def _part(piece: bytes, depth: int) -> bytes:
    """Return the meaning of a part. A part that has parts itself names its own boundary in its head."""
    head, blank, content = piece.partition(b"\r\n\r\n" if piece.startswith(b"\r\n") else b"\n\n")
    lines = re.sub(rb"\r?\n(?=[ \t])", b"", head).split(b"\n")  # unfold headers
    types = [line for line in lines if line.lower().startswith(b"content-type:")]
    if blank and len(types) == 1:
        content_type = _tidy(types[0].partition(b":")[2].decode("latin-1"))
        if _MULTIPART.match(content_type):
            meaning = _meaning(content_type, content, depth + 1)
            if not meaning.startswith(b"raw\0"):
                return _digest(b"parts", *(line for line in lines if line not in types), meaning)
    return _digest(b"part", piece)


def _digest(*fields: bytes) -> bytes:
    digest = hashlib.sha256()
    for field in fields:
        digest.update(len(field).to_bytes(8, "big") + field)
    return fields[0] + b"\0" + digest.digest()


def _unpacked(body: bytes) -> bytes | None:
    """Return the content of one gzip stream, or ``None`` when it is broken, too large or followed by more."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(body, MAX_UNPACKED_BYTES)
    except zlib.error:
        return None
    return unpacked if unpacker.eof and not unpacker.unused_data else None


def _canonical_json(body: bytes) -> bytes | None:
    """Return the canonical form of a JSON body, or ``None`` when two parsers could read it differently."""
    try:
        return canonical_json(_DECODE(body.decode(json.detect_encoding(body), "surrogatepass")))
    except (ValueError, RecursionError):
        return None


def _number(text: str) -> dict[str, str]:
    # As written: 1.0 and 1 are different requests, and no digit is lost. The NUL excludes members of that name.
    return {"\0number": text}


def _refuse(_text: str) -> Any:
    raise ValueError("not a JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs) or "\0number" in found:
        raise ValueError("a repeated or reserved member name")
    return found


# Made once: ``json.loads`` makes a decoder for each body.
_DECODE = json.JSONDecoder(
    parse_float=_number, parse_int=_number, parse_constant=_refuse, object_pairs_hook=_unique
).decode
