"""Requests as octets, well formed and not, with what nginx and the sidecar make of each.

``{ref}`` stands for what names the case at the upstream, ``{key}`` for its idempotency key. A case's own lines follow
those of a keyed request. Statuses are those of all answers on the connection, in order; ``reached`` is how many
requests with the name came to the upstream. Those of nginx are of 1.22, with its defaults.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

SILENCE_SECONDS = 1.5
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


LENGTH = b"Content-Length: 5"
CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"5\r\n12345\r\n0\r\n\r\n"
SMUGGLED = b"GET /{ref}/smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Made:
    """What a server made of a case."""

    statuses: tuple[int, ...]
    reached: int


@dataclass(frozen=True)
class Case:
    """A request: its start line and own field lines, and what follows its head.

    ``nginx`` and ``ours``: statuses, and how many requests reached the upstream. ``why``: where the two differ.
    """

    name: str
    nginx: Made
    ours: Made
    start: bytes = b"POST /orders?{ref} HTTP/1.1"
    lines: tuple[bytes, ...] = (LENGTH,)
    rest: bytes = b"12345"
    why: str = ""
    host: bool = True
    close: bool = True

    def octets(self, reference: str, key: str) -> bytes:
        """Return the request."""
        host = [b"Host: shop.example"] if self.host else []
        close = [b"Connection: close"] if self.close else []
        lines = [*host, b"X-Tenant: shop", b"Idempotency-Key: {key}", *self.lines, *close]
        whole = self.start + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + self.rest
        return whole.replace(b"{ref}", reference.encode()).replace(b"{key}", key.encode())


def exchange(url: str, octets: bytes) -> tuple[int, ...]:
    """Send octets and return the statuses of what comes back, until the other side closes or is silent."""
    target = urlsplit(url)
    with socket.create_connection((str(target.hostname), int(target.port or 80)), timeout=SILENCE_SECONDS) as sock:
        answer = b""
        try:
            sock.sendall(octets)
            while chunk := sock.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionError):
            pass
    return tuple(int(status) for status in _STATUS.findall(answer))


CASES = (
    Case(name="a length", nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(name="chunks", lines=(CHUNKED,), rest=CHUNKS, nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(
        name="chunks with an extension and a trailer",
        lines=(CHUNKED,),
        rest=b"5;a=b\r\n12345\r\n0\r\nX-T: 1\r\n\r\n",
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(name="no body, no length", lines=(), rest=b"", nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(
        name="a length and chunks",
        lines=(LENGTH, CHUNKED),
        rest=CHUNKS + SMUGGLED,
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="chunks and a length",
        lines=(CHUNKED, LENGTH),
        rest=CHUNKS + SMUGGLED,
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="two lengths",
        lines=(LENGTH, b"Content-Length: 6"),
        rest=b"123456",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="the same length twice",
        lines=(LENGTH, LENGTH),
        nginx=Made((400,), 0),
        ours=Made((201,), 1),
        why="RFC 9110, 8.6 lets a recipient take equal lengths for one; one goes on.",
    ),
    Case(
        name="a list of the same length",
        lines=(b"Content-Length: 5, 5",),
        nginx=Made((400,), 0),
        ours=Made((201,), 1),
        why="RFC 9110, 8.6 lets a recipient take equal lengths for one; one goes on.",
    ),
    Case(name="a signed length", lines=(b"Content-Length: +5",), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="a negative length", lines=(b"Content-Length: -5",), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="a hexadecimal length", lines=(b"Content-Length: 0x5",), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="a length with an underscore", lines=(b"Content-Length: 0_5",), nginx=Made((400,), 0), ours=Made((400,), 0)
    ),
    Case(name="an empty length", lines=(b"Content-Length:",), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="an endless length",
        lines=(b"Content-Length: 99999999999999999999",),
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="white space before a colon", lines=(b"Content-Length : 5",), nginx=Made((400,), 0), ours=Made((400,), 0)
    ),
    Case(
        name="chunked, identity",
        lines=(b"Transfer-Encoding: chunked, identity",),
        rest=CHUNKS + SMUGGLED,
        nginx=Made((501,), 0),
        ours=Made((400,), 0),
    ),
    Case(name="identity", lines=(b"Transfer-Encoding: identity", LENGTH), nginx=Made((501,), 0), ours=Made((400,), 0)),
    Case(
        name="gzip, chunked",
        lines=(b"Transfer-Encoding: gzip, chunked",),
        rest=CHUNKS,
        nginx=Made((501,), 0),
        ours=Made((400,), 0),
    ),
    Case(name="xchunked", lines=(b"Transfer-Encoding: xchunked", LENGTH), nginx=Made((501,), 0), ours=Made((400,), 0)),
    Case(name="chunked twice", lines=(CHUNKED, CHUNKED), rest=CHUNKS, nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="a vertical tab before chunked",
        lines=(b"Transfer-Encoding: \x0bchunked",),
        rest=CHUNKS,
        nginx=Made((501,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="chunks in HTTP/1.0",
        start=b"POST /orders?{ref} HTTP/1.0",
        lines=(CHUNKED,),
        rest=CHUNKS,
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(name="HTTP/1.0", start=b"POST /orders?{ref} HTTP/1.0", nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(
        name="a signed chunk",
        lines=(CHUNKED,),
        rest=b"+5\r\n12345\r\n0\r\n\r\n",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a chunk of 0x5",
        lines=(CHUNKED,),
        rest=b"0x5\r\n12345\r\n0\r\n\r\n",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a chunk longer than it says",
        lines=(CHUNKED,),
        rest=b"4\r\n12345\r\n0\r\n\r\n",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a chunk's line ending with LF",
        lines=(CHUNKED,),
        rest=b"5\n12345\r\n0\r\n\r\n",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="RFC 9112, 2.2 allows LF for lines of the head alone; who reads it otherwise sees another body.",
    ),
    Case(
        name="an endless chunk",
        lines=(CHUNKED,),
        rest=b"fffffffffffffffff\r\n12345",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="two requests in one write",
        rest=b"12345GET /{ref}/second HTTP/1.1\r\nHost: x\r\nX-Tenant: shop\r\nConnection: close\r\n\r\n",
        close=False,
        nginx=Made((201, 200), 2),
        ours=Made((201, 200), 2),
    ),
    Case(
        name="a request behind the one that closes",
        rest=b"12345" + SMUGGLED,
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(
        name="what is no request behind one",
        rest=b"12345gar bage\r\n\r\n",
        close=False,
        nginx=Made((201, 400), 1),
        ours=Made((201, 400), 1),
    ),
    Case(
        name="Expect: 100-continue",
        lines=(LENGTH, b"Expect: 100-continue"),
        nginx=Made((100, 201), 1),
        ours=Made((100, 201), 1),
    ),
    Case(name="another expectation", lines=(LENGTH, b"Expect: a-miracle"), nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(
        name="absolute form",
        start=b"POST http://shop.example/orders?{ref} HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="Routes go by path, and two names of the host could differ. Clients of a sidecar do not send it.",
    ),
    Case(
        name="authority form",
        start=b"CONNECT shop.example:80 HTTP/1.1",
        lines=(),
        rest=b"",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="asterisk form",
        start=b"OPTIONS * HTTP/1.1",
        lines=(),
        rest=b"",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(name="no Host", host=False, nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="two Hosts", lines=(b"Host: other.example", LENGTH), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="an empty Host", lines=(b"Host:", LENGTH), host=False, nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="a Host that is none",
        lines=(b"Host: a b/c", LENGTH),
        host=False,
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a Host with a user",
        lines=(b"Host: a@b", LENGTH),
        host=False,
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="RFC 9110, 7.2: Host has no user. It goes on as X-Forwarded-Host.",
    ),
    Case(name="no method", start=b"/orders?{ref} HTTP/1.1", nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="a method in lower case", start=b"post /orders?{ref} HTTP/1.1", nginx=Made((400,), 0), ours=Made((400,), 0)
    ),
    Case(
        name="a method that is none", start=b"PO(ST /orders?{ref} HTTP/1.1", nginx=Made((400,), 0), ours=Made((400,), 0)
    ),
    Case(name="TRACE", start=b"TRACE /{ref} HTTP/1.1", lines=(), rest=b"", nginx=Made((405,), 0), ours=Made((405,), 0)),
    Case(name="another protocol", start=b"POST /orders?{ref} HTTP/2.0", nginx=Made((505,), 0), ours=Made((400,), 0)),
    Case(
        name="HTTP/0.9",
        start=b"GET /{ref}",
        lines=(),
        rest=b"",
        nginx=Made((), 1),
        ours=Made((400,), 0),
        why="It has no fields, and so no key and no scope; it has no statuses either.",
    ),
    Case(name="no protocol at all", start=b"garbage", lines=(), rest=b"", nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="a space in the target", start=b"POST /orders ?{ref} HTTP/1.1", nginx=Made((400,), 0), ours=Made((400,), 0)
    ),
    Case(
        name="a tab after the method",
        start=b"POST\t/orders?{ref} HTTP/1.1",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a NUL in the target",
        start=b"POST /orders?{ref}\x00 HTTP/1.1",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="octets over 127 in the target",
        start=b"POST /orders?{ref}\xff HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="RFC 3986: they are to be encoded. A service and we could decode them in two ways.",
    ),
    Case(
        name="a fragment in the target",
        start=b"POST /orders?{ref}#x HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="RFC 9112, 3.2 has none. nginx cuts it off; the fingerprint would be of another target.",
    ),
    Case(
        name="a dot segment",
        start=b"POST /a/../orders?{ref} HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="nginx resolves it for its own routing. Here it goes on as it came: routes must mean what is served.",
    ),
    Case(
        name="an encoded dot segment",
        start=b"POST /a/%2e%2e/orders?{ref} HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="As a dot segment.",
    ),
    Case(name="a broken escape", start=b"POST /orders%zz?{ref} HTTP/1.1", nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="an encoded NUL", start=b"POST /orders%00?{ref} HTTP/1.1", nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="an encoded slash", start=b"POST /orders%2F1?{ref} HTTP/1.1", nginx=Made((201,), 1), ours=Made((201,), 1)
    ),
    Case(
        name="a backslash in the path",
        start=b"POST /a\\orders?{ref} HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="To some services it is a slash, and the path another route's.",
    ),
    Case(
        name="empty lines before the request",
        start=b"\r\n\r\nPOST /orders?{ref} HTTP/1.1",
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="RFC 9112, 2.2 asks servers to skip one; here none is skipped, and no client of today sends any.",
    ),
    Case(
        name="lines ending with LF",
        start=b"POST /orders?{ref} HTTP/1.1\nX-L: 1",
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(
        name="a bare CR in a value", lines=(LENGTH, b"X-A: 1\rX-Evil: 1"), nginx=Made((400,), 0), ours=Made((400,), 0)
    ),
    Case(
        name="a bare CR in the request line",
        start=b"POST /orders?{ref} HTTP/1.1\rX-Evil: 1",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(name="a NUL in a value", lines=(LENGTH, b"X-A: 1\x00"), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(
        name="a folded value",
        lines=(LENGTH, b"X-A: 1", b" X-Evil: 1"),
        nginx=Made((400,), 0),
        ours=Made((201,), 1),
        why="RFC 9112, 5.2 lets a server put a space for the fold: one value goes on, and no field.",
    ),
    Case(
        name="a fold before any field",
        start=b"POST /orders?{ref} HTTP/1.1\r\n X-A: 1",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a field without a colon",
        lines=(LENGTH, b"X-A"),
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="RFC 9112, 5: it is no field. nginx leaves it out.",
    ),
    Case(name="a field without a name", lines=(LENGTH, b": 1"), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="a name with a space", lines=(LENGTH, b"X A: 1"), nginx=Made((400,), 0), ours=Made((400,), 0)),
    Case(name="a name with an underscore", lines=(LENGTH, b"X_A: 1"), nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(
        name="the length's name with an underscore",
        lines=(LENGTH, b"Content_Length: 3"),
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(name="a value in Latin-1", lines=(LENGTH, b"X-A: caf\xe9"), nginx=Made((201,), 1), ours=Made((201,), 1)),
    Case(
        name="a long value",
        lines=(LENGTH, b"X-A: " + b"x" * 9000),
        nginx=Made((400,), 0),
        ours=Made((201,), 1),
        why="nginx takes 8 KB a line by default; here all lines together may have 32 KB.",
    ),
    Case(
        name="a long target",
        start=b"POST /orders?{ref}" + b"x" * 9000 + b" HTTP/1.1",
        nginx=Made((414,), 0),
        ours=Made((201,), 1),
        why="nginx takes 8 KB a line by default; here all lines together may have 32 KB.",
    ),
    Case(
        name="many fields",
        lines=(LENGTH, *(b"X-%d: 1" % number for number in range(500))),
        nginx=Made((431,), 0),
        ours=Made((431,), 0),
    ),
    Case(
        name="a head of 100 KB",
        lines=(LENGTH, *(b"X-%d: " % number + b"x" * 1000 for number in range(100))),
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
    Case(
        name="a body over the limit",
        lines=(b"Content-Length: 2000000",),
        rest=b"x" * 1000,
        nginx=Made((413,), 0),
        ours=Made((413,), 0),
    ),
    Case(
        name="Connection names the scope",
        lines=(LENGTH, b"Connection: close, X-Tenant"),
        close=False,
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="It would be taken away on its way up, after it was read here. nginx takes nothing away for Connection.",
    ),
    Case(
        name="Connection names the key",
        lines=(LENGTH, b"Connection: close, Idempotency-Key"),
        close=False,
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="As the scope.",
    ),
    Case(
        name="Connection names Authorization",
        lines=(LENGTH, b"Authorization: Bearer x", b"Connection: close, authorization"),
        close=False,
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="As the scope: whose request it is.",
    ),
    Case(
        name="Connection names Content-Length",
        lines=(LENGTH, b"Connection: close, Content-Length"),
        close=False,
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="As the scope: which request it is.",
    ),
    Case(
        name="Connection names a field of its own",
        lines=(LENGTH, b"X-Hop: 1", b"Connection: close, X-Hop"),
        close=False,
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(
        name="an upgrade to h2c",
        lines=(LENGTH, b"Connection: close, Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA"),
        close=False,
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(
        name="an upgrade to a WebSocket",
        start=b"GET /{ref} HTTP/1.1",
        lines=(
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ),
        rest=b"",
        close=False,
        nginx=Made((200,), 1),
        ours=Made((200,), 1),
    ),
    Case(
        name="the key twice, the same",
        lines=(LENGTH, b"Idempotency-Key: {key}"),
        nginx=Made((201,), 1),
        ours=Made((201,), 1),
    ),
    Case(
        name="the key twice, two",
        lines=(LENGTH, b"Idempotency-Key: another-key-of-this-one"),
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="Which of the two is meant would be a guess. nginx has no keys.",
    ),
    Case(
        name="the scope twice, two",
        lines=(LENGTH, b"X-Tenant: other"),
        nginx=Made((201,), 1),
        ours=Made((400,), 0),
        why="Whose key it is would be a guess. nginx has no scopes.",
    ),
    Case(
        name="the HTTP/2 preface",
        start=b"PRI * HTTP/2.0",
        lines=(),
        rest=b"SM\r\n\r\n",
        nginx=Made((400,), 0),
        ours=Made((400,), 0),
    ),
)
