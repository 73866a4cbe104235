"""Header lines on their way through: which are removed, which are added, and which are refused.

RFC 9110 (7.6.1 connection-specific fields, 7.6.3 Via), RFC 9112 (6.3 framing, 11.2 request smuggling), RFC 7239
(Forwarded).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from payonce.domain.errors import BodyMalformed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from payonce.proxy.messages import Lines, ProxyRequest

# Fields of the connection, not of the message, whether or not Connection names them.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "http2-settings"}
)
# Fields that identify the tenant and the request. A client that names one in Connection would have it removed after we
# have read it here: one tenant's key, but the execution of another or of none. RFC 9110, 7.6.1 forbids naming fields
# that are meant for the recipient. Unknown fields named in Connection belong to the connection, and end here.
_END_TO_END = re.compile(
    r"host|authorization|cookie|content-.*|accept.*|if-.*|range|date|expect|from|origin|referer|user-agent|prefer|via"
    r"|forwarded|x-forwarded-.*|x-real-ip|traceparent|tracestate|baggage|x-request-id|(x-)?idempotency-key"
)
# Fields made anew for the upstream: framing, and those that the proxy itself answers.
_REMADE = frozenset({"host", "content-length", "expect", "via"})
FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port"})
# What the proxy itself says about an answer; "payonce-overflow" names the blob with a stored answer's body.
OWN_ANSWERS = frozenset({"idempotency-replayed", "idempotency-expires", "payonce-overflow"})
_OWN_OR_LENGTH = OWN_ANSWERS | {"content-length"}
PSEUDONYM = "1.1 payonce"  # in Via: the received protocol, and who passed it on
MAX_HEADER_BYTES = 32 * 1024  # for all lines together; servers accept 8 to 64 KB

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LINES = re.compile(rf"(?:{_NAME.pattern}\0{_VALUE.pattern}(?:\n|\Z))*")  # all at once: name, NUL, value, LF
_TARGET = re.compile(r"/[!-~]*")
_METHOD = re.compile(r"[A-Z]{3,20}")
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z._~!$&'()*+,;=%-]{1,255})(?::[0-9]{0,5})?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")  # some servers end a path at NUL, others do not
_UNRESERVED = re.compile(r"%(2[dDeE]|3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF]|7[eE])")


def check_request(method: str, target: str, lines: Lines) -> None:
    """Raise ``BodyMalformed`` for an invalid request, or one that two servers could read differently."""
    if not _METHOD.fullmatch(method):
        raise BodyMalformed("The method is not one.")
    if not _TARGET.fullmatch(target) or "#" in target or "\\" in target:
        raise BodyMalformed("The request target must be a path of visible ASCII characters; encode the others.")
    if _BAD_ESCAPE.search(target.split("?", 1)[0]):
        raise BodyMalformed("The path holds a percent sign without two hexadecimal digits, or a NUL.")
    if any(segment in {".", ".."} for segment in normal_path(target).split("/")):
        raise BodyMalformed("The path holds a dot segment. Send the path that is meant.")
    text = "\n".join([f"{name}\0{value}" for name, value in lines])
    if not _LINES.fullmatch(text):
        raise BodyMalformed("A header's name or value holds a character that does not belong there.")
    if len(text) - 2 * len(lines) >= MAX_HEADER_BYTES:  # without what separates and ends them
        raise BodyMalformed(f"The headers are over {MAX_HEADER_BYTES} bytes.")
    named = [(name.lower(), value) for name, value in lines]
    if any(name == "host" and not _HOST.fullmatch(value) for name, value in named):
        raise BodyMalformed("Host must be a name or an address, and a port at most.")
    _check_framing(named)


def check_protocol(version: str, lines: Lines) -> None:
    """Raise ``BodyMalformed`` for a protocol other than HTTP/1, or for chunks in HTTP/1.0 (RFC 9112, 6.1)."""
    if version not in {"1.0", "1.1"}:
        raise BodyMalformed("The protocol must be HTTP/1.1 or HTTP/1.0.")
    if version == "1.0" and any(name.lower() == "transfer-encoding" for name, _ in lines):
        raise BodyMalformed("HTTP/1.0 has no Transfer-Encoding: where the body ends would be a guess.")


def declared_length(lines: Lines) -> int:
    """Return the Content-Length of checked lines, or 0 when it is missing."""
    return int(next((value for name, value in lines if name.lower() == "content-length"), "0"))


def _check_framing(lines: list[tuple[str, str]]) -> None:
    lengths = [value.strip() for name, value in lines if name == "content-length"]
    codings = [value.strip().lower() for name, value in lines if name == "transfer-encoding"]
    if lengths and codings:
        raise BodyMalformed("Content-Length and Transfer-Encoding together: where the body ends would be a guess.")
    if len(set(lengths)) > 1 or any(not re.fullmatch(r"[0-9]{1,18}", length) for length in lengths):
        raise BodyMalformed("Content-Length must be one number.")
    if codings not in ([], ["chunked"]):
        raise BodyMalformed("The only transfer coding taken is chunked.")


def check_connection(lines: Lines, read_here: Iterable[str]) -> None:
    """Raise ``BodyMalformed`` when Connection names an end-to-end field, or one in ``read_here``."""
    named = _named(lines)
    own = {name.lower() for name in read_here} if named else ()
    for name in named:
        if name in own or _END_TO_END.fullmatch(name):
            raise BodyMalformed(f"Connection names {name}, which is for the service and not for the connection.")


def _named(lines: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the names in Connection, in lower case."""
    values = [value for name, value in lines if name.lower() == "connection"]
    return frozenset([token.strip(" \t").lower() for value in values for token in value.split(",")])


def normal_path(target: str) -> str:
    """Return the path of ``target`` with unreserved characters in canonical form (RFC 3986, 6.2.2.2)."""
    path = target.split("?", 1)[0]
    return _UNRESERVED.sub(lambda match: chr(int(match.group(1), 16)), path) if "%" in path else path


def end_to_end(lines: Iterable[tuple[str, str]]) -> Lines:
    """Return the end-to-end lines: neither known hop-by-hop fields nor those that Connection names."""
    kept = list(lines)
    named = _named(kept)
    dropped = HOP_BY_HOP | named if named else HOP_BY_HOP
    return tuple([line for line in kept if line[0].lower() not in dropped])


def upstream_lines(
    request: ProxyRequest, *, host: str, preserve_host: bool, trust_forwarded: bool, without: frozenset[str]
) -> Lines:
    """Return the lines of the forwarded request, without the names in ``without`` (lower case)."""
    dropped = _dropped(without, trust_forwarded) | _named(request.lines)
    named = [(name.lower(), name, value) for name, value in request.lines]
    theirs = next((value for lower, _, value in named if lower == "host"), "")
    vias = [value for lower, _, value in named if lower == "via"]
    # To CGI and its relatives X_Tenant and X-Tenant are one header: an alias would stand beside a header made anew
    # here, or beside the scope. Web servers drop such names for the same reason.
    kept = [(name, value) for lower, name, value in named if lower not in dropped and "_" not in name]
    return (
        ("Host", theirs if preserve_host and theirs else host),
        *_forwarded(kept, request, theirs),
        ("Via", ", ".join([*vias, PSEUDONYM])),
    )


@cache
def _dropped(without: frozenset[str], trust_forwarded: bool) -> frozenset[str]:
    """Return the names that do not go on; one for each route and upstream."""
    return HOP_BY_HOP | _REMADE | without | (frozenset() if trust_forwarded else FORWARDED)


def _forwarded(lines: Sequence[tuple[str, str]], request: ProxyRequest, host: str) -> Lines:
    """Return ``lines`` with the client's identity, appended to what a trusted hop has added."""
    chain, elements, rest, names = [], [], [], set()
    for line in lines:
        name = line[0].lower()
        if name == "x-forwarded-for":
            chain.append(line[1])
        elif name == "forwarded":
            elements.append(line[1])
        else:
            rest.append(line)
            names.add(name)
    if request.client:
        chain.append(request.client)
        node = f'"[{request.client}]"' if ":" in request.client else request.client
        quoted = host.replace("\\", "").replace('"', "")
        elements.append(f'for={node};host="{quoted}";proto={request.scheme}')
    if "x-forwarded-proto" not in names:
        rest.append(("X-Forwarded-Proto", request.scheme))
    if host and "x-forwarded-host" not in names:
        rest.append(("X-Forwarded-Host", host))
    if chain:
        rest.append(("X-Forwarded-For", ", ".join(chain)))
    if elements:
        rest.append(("Forwarded", ", ".join(elements)))
    return tuple(rest)


def answer_lines(lines: Lines, allowed: Sequence[str], *, keep_length: bool = False) -> Lines:
    """Return the lines of an answer to pass on: end to end, allowed, well formed, and not set by the proxy."""
    names = _lower(tuple(allowed))
    kept = [(name.lower(), (name, value.strip(" \t"))) for name, value in end_to_end(lines)]
    if "*" not in names:
        kept = [line for line in kept if line[0] in names]
    dropped = OWN_ANSWERS if keep_length else _OWN_OR_LENGTH
    return tuple(
        [line for name, line in kept if name not in dropped and _NAME.fullmatch(line[0]) and _VALUE.fullmatch(line[1])]
    )


@cache
def _lower(names: tuple[str, ...]) -> frozenset[str]:
    """Return the names in lower case; one set for each route."""
    return frozenset(name.lower() for name in names)
