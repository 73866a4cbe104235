"""Answers that two readers could read in two ways, on real sockets: none is taken for a whole one.

RFC 9112, 6.3: a message with different lengths, or with a length and a transfer coding, "ought to be handled as an
error" (https://www.rfc-editor.org/rfc/rfc9112#section-6.3). Public bugs of the kind: tempesta-tech/tempesta#900,
erlang/otp#1613, oven-sh/bun#28838, pgjones/hypercorn#279.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from payonce.domain.exchange import Answered, Exchange, Lost, Oversized
from payonce.ports import Deadline
from tests.support.conformance import fresh
from tests.support.exchanges import KINDS, exchange_of
from tests.support.http import call
from tests.support.proxy import TENANT, configuration
from tests.support.tcp_faults import read_request, serving
from tests.support.upstreams.running import running_sidecar
from tests.support.world import RealClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

CLOCK = RealClock()
KIND = ""  # which exchange, set by a fixture
LIMIT_BYTES = 1000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answering(raw: bytes) -> Callable[[socket.socket], None]:
    def handle(client: socket.socket) -> None:
        read_request(client)
        client.sendall(raw)

    return handle


@pytest.fixture(params=KINDS, autouse=True)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way to make an exchange."""
    monkeypatch.setattr(sys.modules[__name__], "KIND", request.param)


def ask(raw: bytes, method: str = "POST", *, unframed: bool = False) -> Exchange | Oversized:
    with serving(answering(raw)) as port, exchange_of(KIND, CLOCK, LIMIT_BYTES) as exchange:
        return exchange.forward(
            method,
            f"http://127.0.0.1:{port}/",
            lines=[("Host", "x")],
            body=b"a=1" if method == "POST" else None,
            deadline=Deadline(CLOCK.now_ms() + 5_000),
            max_answer_bytes=LIMIT_BYTES,
            unframed=unframed,
        )


def ok(*lines: bytes, body: bytes = b"12345") -> bytes:
    return b"".join([b"HTTP/1.1 200 OK\r\n", *(line + b"\r\n" for line in lines), b"\r\n", body])


AMBIGUOUS = {
    "two lengths": ok(b"Content-Length: 5", b"Content-Length: 3"),
    "two lengths, the longer last": ok(b"Content-Length: 3", b"Content-Length: 5"),
    "two lengths in a list": ok(b"Content-Length: 5, 3"),
    "a length and an empty one": ok(b"Content-Length: 5,"),
    "an empty length": ok(b"Content-Length:"),
    "a signed length": ok(b"Content-Length: +5"),
    "a negative length": ok(b"Content-Length: -5"),
    "a hexadecimal length": ok(b"Content-Length: 0x5"),
    "a length with an underscore": ok(b"Content-Length: 0_5"),
    "a length in another script": ok("Content-Length: \u0665".encode()),
    "a length with a fraction": ok(b"Content-Length: 5.0"),
    "two numbers": ok(b"Content-Length: 5 5"),
    "a folded length": ok(b"Content-Length: 5", b" 0"),
    "an endless length": ok(b"Content-Length: 99999999999999999999"),
    "a length and chunks": ok(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"5\r\n12345\r\n0\r\n\r\n"),
    "chunks, then a length": ok(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"5\r\n12345\r\n0\r\n\r\n"),
    "chunked, identity": ok(b"Transfer-Encoding: chunked, identity", body=b"5\r\n12345\r\n0\r\n\r\n"),
    "identity": ok(b"Transfer-Encoding: identity", b"Content-Length: 5"),
    "xchunked": ok(b"Transfer-Encoding: xchunked", b"Content-Length: 5"),
    "gzip, chunked": ok(b"Transfer-Encoding: gzip, chunked", body=b"5\r\n12345\r\n0\r\n\r\n"),
    "chunked twice": ok(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"5\r\n12345\r\n0\r\n\r\n"),
    "chunks in HTTP/1.0": CHUNKED.replace(b"1.1", b"1.0") + b"5\r\n12345\r\n0\r\n\r\n",
    "a signed chunk": CHUNKED + b"+5\r\n12345\r\n0\r\n\r\n",
    "a hexadecimal prefix": CHUNKED + b"0x5\r\n12345\r\n0\r\n\r\n",
    "a chunk with an underscore": CHUNKED + b"0_5\r\n12345\r\n0\r\n\r\n",
    "white space before a chunk's size": CHUNKED + b" 5\r\n12345\r\n0\r\n\r\n",
    "a chunk without a size": CHUNKED + b"\r\n12345\r\n0\r\n\r\n",
    "a size that is none": CHUNKED + b"five\r\n12345\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"4\r\n12345\r\n0\r\n\r\n",
    "a chunk's line ending with LF": CHUNKED + b"5\n12345\r\n0\r\n\r\n",
    "a chunk's line with a bare CR": CHUNKED + b"5;\rx\r\n12345\r\n0\r\n\r\n",
    "a chunk's extension without end": CHUNKED + b"5;" + b"x" * 200 + b"\r\n12345\r\n0\r\n\r\n",
    "no last chunk": CHUNKED + b"5\r\n12345\r\n",
    "no end after the last chunk": CHUNKED + b"5\r\n12345\r\n0\r\n",
    "half a trailer": CHUNKED + b"5\r\n12345\r\n0\r\nX-T: 1",
    "a chunk cut short": CHUNKED + b"5\r\n123",
    "cut short": ok(b"Content-Length: 6"),
    "cut short in the head": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Cut: 1",
    "a bare CR in a value": ok(b"X-A: 1\rX-Evil: 1", b"Content-Length: 5"),
    "a bare CR that hides a length": ok(b"X-A: 1\rContent-Length: 2", b"Content-Length: 5"),
    "a bare CR before the end": ok(b"X-A: 1\r", b"Content-Length: 5"),
    "a bare LF in a value": ok(b"X-A: 1\nX-Evil: 1", b"Content-Length: 5"),
    "lines ending with LF": ok(b"Content-Length: 5").replace(b"\r\n", b"\n"),
    "a NUL in a value": ok(b"X-A: 1\0X-Evil: 1", b"Content-Length: 5"),
    "a NUL in a name": ok(b"X\0A: 1", b"Content-Length: 5"),
    "a bare CR in the status line": ok(b"Content-Length: 5").replace(b" OK", b" OK\rX-Evil: 1", 1),
    "a field without a colon": ok(b"X-A 1", b"Content-Length: 5"),
    "a field without a name": ok(b": 1", b"Content-Length: 5"),
    "a name with a space": ok(b"Content Length: 5", b"Content-Length: 5"),
    "a fold before any field": b"HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 5\r\n\r\n12345",
    "another protocol": ok(b"Content-Length: 5").replace(b"HTTP/1.1", b"HTTP/2", 1),
    "no status": ok(b"Content-Length: 5").replace(b" 200 OK", b"", 1),
    "a status of two digits": ok(b"Content-Length: 5").replace(b"200", b"20", 1),
    "a status of four digits": ok(b"Content-Length: 5").replace(b"200", b"2000", 1),
    "a head over the limit": ok(*[b"X-A: " + b"x" * 1000] * 70, b"Content-Length: 5"),
    "no length": ok(),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_an_answer_that_could_be_read_in_two_ways_is_lost(case: str) -> None:
    """Each was a whole answer, with ``http.client`` reading it, or is one byte away from one that was."""
    assert isinstance(ask(AMBIGUOUS[case]), Lost)


@pytest.mark.parametrize("case", [name for name in AMBIGUOUS if "two lengths" in name or "signed length" in name])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_it_is_so_for_answers_without_a_body_too(case: str, method: str) -> None:
    assert isinstance(ask(AMBIGUOUS[case], method), Lost)
    assert isinstance(ask(AMBIGUOUS[case].replace(b"200 OK", b"304 Not Modified"), method), Lost)


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (ok(b"Content-Length: 5", b"Content-Length: 5"), b"12345"),
        (ok(b"Content-Length: 5, 5"), b"12345"),
        (ok(b"content-length:5"), b"12345"),
        (ok(b"Content-Length : \t5 \t"), b"12345"),
        (ok(b"Content-Length: 005"), b"12345"),
        (ok(b"X-Empty:", b"Content-Length: 0", body=b""), b""),
        (ok(b"Content-Length: 5", body=b"12345 and what nobody asked for"), b"12345"),
        (CHUNKED.replace(b"chunked", b"Chunked") + b"3\r\n123\r\n02 ;x=y\r\n45\r\n000\r\nX-T: 1\r\n\r\n", b"12345"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + ok(b"Content-Length: 5"), b"12345"),
        (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n12345", b"12345"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_an_answer_that_has_one_meaning_is_taken(raw: bytes, body: bytes) -> None:
    """Fails when strictness refuses what services send."""
    outcome = ask(raw)
    assert isinstance(outcome, Answered)
    assert outcome.body == body
    assert [value for name, value in outcome.lines if name.lower() == "x-t"] == []  # a trailer is no field of the head
    lengths = [value for name, value in outcome.lines if name.lower() == "content-length"]
    assert len(lengths) <= 1


def test_a_folded_value_is_one_value_and_a_large_answer_is_oversized() -> None:
    """RFC 9112, 5.2: a proxy replaces the fold by a space. Fails when it makes a field of its own."""
    folded = ask(ok(b"X-A: 1", b"\tX-Evil: 1", b"Content-Length: 5"))
    assert isinstance(folded, Answered)
    assert folded.lines[0] == ("X-A", "1 X-Evil: 1")
    assert isinstance(ask(ok(b"Content-Length: 1001", body=b"x" * 1001)), Oversized)
    assert isinstance(ask(CHUNKED + b"fffffff\r\n" + b"x" * 2000), Oversized)
    assert isinstance(ask(ok(body=b"x" * 2000), unframed=True), Oversized)
    assert ask(ok(), unframed=True) == Answered(200, {}, b"12345", ())


@pytest.mark.parametrize("case", ["two lengths", "a bare CR in a value", "a hexadecimal prefix"])
def test_at_the_sidecar_such_an_answer_is_an_unknown_outcome(case: str, tmp_path: Path) -> None:
    """The service has executed it, once. Fails when a cut or forged answer is stored and replayed."""
    executed: list[bytes] = []

    def handle(client: socket.socket) -> None:
        executed.append(read_request(client))
        client.sendall(AMBIGUOUS[case])

    with (
        serving(handle) as port,
        running_sidecar(
            {**configuration(f"http://127.0.0.1:{port}"), "store": {"kind": "memory"}}, tmp_path
        ) as sidecar,
    ):
        own = {"Idempotency-Key": fresh(), TENANT: "shop", "Prefer": "wait=0"}
        for _ in range(2):
            answer = call(sidecar.url, "POST", "/orders", b"{}", own)
            assert (answer.status, answer.json()["type"]) == (409, "urn:payonce:problem:outcome-unknown")
            assert "x-evil" not in dict(answer.lines)
    assert len(executed) == 1
