"""Receivers that stall, flood, break off and lie, on real sockets. The courier bounds time and bytes of each."""

from __future__ import annotations

import gzip
import socket
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from payonce.domain.delivery import Answer, NoAnswer, NoAnswerReason
from payonce.network import webhook_answers
from payonce.network.webhook_answers import MAX_BODY_BYTES, MAX_BODY_SECONDS, MAX_HEAD_BYTES
from tests.contract.webhooks.courier import (
    BODY,
    BUDGET_SECONDS,
    OK,
    PATIENCE_SECONDS,
    Courier,
    Handler,
    answering,
    deaf,
    dripping,
    endless,
    recording,
    resetting,
    silent,
    untouched,
)
from tests.support.tcp_faults import read_request, serving

if TYPE_CHECKING:
    from payonce.domain.delivery import Exchanged

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def reason(outcome: Exchanged) -> NoAnswerReason:
    """Return why there is no answer, having checked that it is said."""
    assert isinstance(outcome, NoAnswer)
    assert outcome.detail.endswith(".")
    return outcome.reason


def test_the_request_is_what_was_given_and_no_more(courier: Courier) -> None:
    """Fails when a header, the query or the body is lost, compression is invited, or the connection stays."""
    seen: list[bytes] = []
    with serving(recording(seen)) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/hook?tenant=1&x=%2F", headers={"webhook-id": "evt_1"})
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.excerpt, outcome.retry_after_seconds) == (200, "{}", None)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /hook?tenant=1&x=%2F HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        "Connection: close",
        f"Content-Length: {len(BODY)}",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: payonce-webhooks/1",
        "webhook-id: evt_1",
    ]
    assert body == BODY


@pytest.mark.parametrize(
    "headers",
    [
        {"x": "a\r\nHost: internal"},
        {"x": "a\nb: c"},
        {"x": "a\r\n folded"},
        {"x": ""},
        {"x": " a"},
        {"x": "ü"},
        {"x": "a\x00"},
        {"x y": "a"},
        {"x:": "a"},
        {"x\r\ny": "a"},
        {"": "a"},
        {"Host": "internal"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"user-agent": "another"},
    ],
)
def test_headers_that_would_bend_the_request_are_refused(courier: Courier, headers: dict[str, str]) -> None:
    """Fails when a value can end its line, or a caller can name another host or length."""
    seen: list[bytes] = []
    with serving(recording(seen)) as port, pytest.raises(ValueError, match="header"):
        courier.post(f"http://127.0.0.1:{port}/", headers=headers)
    assert seen == []


@pytest.mark.parametrize(
    "handle",
    [
        silent,
        dripping(HEAD + b"X: " + b"x" * 40 + b"\r\n\r\n"),
        endless(HEAD, b"X: y\r\n", pause_seconds=0.05),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_seconds=0.05),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", pause_seconds=0.05),
        endless(b"HTTP/1.1 ", b" ", pause_seconds=0.05),
    ],
    ids=["silent", "dripping head", "header after header", "endless 100", "endless 103", "endless status line"],
)
def test_whoever_keeps_the_sender_waiting_is_left_at_the_deadline(courier: Courier, handle: Handler) -> None:
    """Fails when a timeout starts anew with every byte."""
    with serving(handle) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", seconds=BUDGET_SECONDS)
    assert reason(outcome) is NoAnswerReason.TIMED_OUT


def test_whoever_does_not_accept_is_left_at_the_deadline(courier: Courier) -> None:
    """Fails when connecting is outside the deadline: the system would try for two minutes."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):  # fills the queue of connections, so that the next is not answered at all
            other = waiting.enter_context(socket.socket())
            other.setblocking(False)
            with suppress(BlockingIOError):
                other.connect(full.getsockname())
        outcome = courier.post(f"http://127.0.0.1:{full.getsockname()[1]}/", seconds=BUDGET_SECONDS)
    assert reason(outcome) is NoAnswerReason.TIMED_OUT


def test_whoever_does_not_read_is_left_at_the_deadline(courier: Courier) -> None:
    """Fails when sending is outside the deadline."""
    with serving(deaf) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", seconds=BUDGET_SECONDS, body=b"x" * 32_000_000)
    assert reason(outcome) is NoAnswerReason.TIMED_OUT


@pytest.mark.parametrize(
    "handle",
    [
        endless(HEAD + b"X: ", b"x" * 4096),
        endless(HEAD, b"X: " + b"x" * 4093 + b"\r\n"),
        answering(HEAD + b"X: y\r\n" * 200 + b"\r\n"),
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        endless(b"HTTP/1.1 200 ", b"x" * 4096),
    ],
    ids=["endless header", "large headers", "many headers", "flood of 100", "flood of 103", "endless reason"],
)
def test_headers_beyond_what_is_taken_are_no_answer(courier: Courier, handle: Handler) -> None:
    """Fails when a receiver can fill the memory before there is an answer."""
    with serving(handle) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", within_seconds=0)
    assert reason(outcome) is NoAnswerReason.ANSWER_MALFORMED
    assert courier.received_bytes <= MAX_HEAD_BYTES


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"<html>hello, HTTP/0.9</html>",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ],
)
def test_what_is_not_http_is_no_answer(courier: Courier, data: bytes) -> None:
    """Fails when anything that arrives counts as an answer."""
    with serving(answering(data)) as port:
        assert reason(courier.post(f"http://127.0.0.1:{port}/")) is NoAnswerReason.ANSWER_MALFORMED


@pytest.mark.parametrize(
    "handle",
    [
        answering(),
        resetting(),
        resetting(HEAD),
        resetting(HEAD + b"X: y"),
        answering(HEAD),
        answering(HEAD + b"X: y\r\n"),
    ],
    ids=["closed", "reset", "reset after status", "reset in header", "closed after status", "closed between headers"],
)
def test_a_connection_that_breaks_within_the_head_is_no_answer(courier: Courier, handle: Handler) -> None:
    """Fails when half a head counts: what asks for a pause or names the length may be in the other half."""
    with serving(handle) as port:
        assert reason(courier.post(f"http://127.0.0.1:{port}/")) is NoAnswerReason.CONNECTION_LOST


@pytest.mark.parametrize(
    ("handle", "excerpt"),
    [
        (resetting(HEAD + b"Content-Length: 9\r\n\r\n"), ""),
        (resetting(HEAD + b"Content-Length: 9\r\n\r\n", b"abc"), "abc"),
        (resetting(HEAD + b"Content-Length: 3\r\n\r\nabc"), "abc"),
        (resetting(CHUNKED + b"3\r\nabc\r\n"), "abc"),
        (answering(CHUNKED + b"3\r\nabc\r\nnonsense"), "abc"),
        (answering(HEAD + b"\r\nabc"), "abc"),
        (answering(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK), "{}"),
        (answering(b"HTTP/1.0 200\r\n\r\n"), ""),
    ],
    ids=["no body", "half a body", "whole body", "chunks cut", "broken chunk", "no length", "after interims", "bare"],
)
def test_after_the_head_nothing_takes_the_answer_back(courier: Courier, handle: Handler, excerpt: str) -> None:
    """Fails when a 200 whose body breaks off counts as none: the webhook was taken, and would be sent again."""
    with serving(handle) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/")
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.excerpt) == (200, excerpt)


@pytest.mark.parametrize(
    "handle",
    [
        endless(HEAD + b"Content-Length: 1000000000000\r\n\r\n", b"x" * 65_536),
        endless(HEAD + b"\r\n", b"x" * 65_536),
        endless(CHUNKED, b"1\r\nx\r\n" * 1_000),
        endless(CHUNKED, b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        endless(CHUNKED + b"1;", b"x" * 4_096),
        endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 1_000),
    ],
    ids=["huge", "endless", "tiny chunks", "chunks", "chunk extension", "trailers"],
)
def test_of_a_body_only_the_beginning_is_read(courier: Courier, handle: Handler) -> None:
    """Fails when a body is read to its end."""
    with serving(handle) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", within_seconds=0)
    assert isinstance(outcome, Answer)
    assert outcome.status == 200
    assert courier.received_bytes >= MAX_BODY_BYTES  # so the cap was reached, not an accident


def test_a_dripping_body_is_left_early_and_the_answer_counts(courier: Courier) -> None:
    """Fails when a body that nobody needs holds the sender up to the deadline, or its waiting is in the latency."""
    with serving(endless(HEAD + b"\r\n", b"x", pause_seconds=0.05)) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", within_seconds=MAX_BODY_SECONDS)
    assert isinstance(outcome, Answer)
    assert (outcome.status, set(outcome.excerpt)) == (200, {"x"})
    assert outcome.latency_ms <= (courier.took_seconds - MAX_BODY_SECONDS) * 1000 + 50  # to the head


def test_a_dripping_body_is_left_at_the_deadline(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the time for a body is given beyond the deadline."""
    monkeypatch.setattr(webhook_answers, "MAX_BODY_SECONDS", PATIENCE_SECONDS)
    with serving(endless(HEAD + b"\r\n", b"x", pause_seconds=0.05)) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", seconds=2.0)
    assert isinstance(outcome, Answer)
    assert (outcome.status, set(outcome.excerpt)) == (200, {"x"})


def test_a_gzip_bomb_stays_packed(courier: Courier) -> None:
    """Fails when a body is decoded: sixty kilobytes would become sixty megabytes."""
    bomb = gzip.compress(b"\x00" * 64_000_000)
    with serving(answering(HEAD + b"Content-Encoding: gzip\r\n\r\n" + bomb)) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", within_seconds=0)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.excerpt) == (200, "[not shown: sent in the coding gzip, though none was asked for]")
    assert courier.received_bytes <= MAX_HEAD_BYTES


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_leads_nowhere(courier: Courier, status: int) -> None:
    """Fails when a redirect is followed: it would lead past every check of the address."""
    with socket.create_server(("127.0.0.1", 0)) as victim:
        for target in ("http://169.254.169.254/latest/meta-data/", f"http://127.0.0.1:{victim.getsockname()[1]}/"):
            answer = f"HTTP/1.1 {status} Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
            with serving(answering(answer)) as port:
                outcome = courier.post(f"http://127.0.0.1:{port}/")
            assert isinstance(outcome, Answer)
            assert outcome.status == status
        assert untouched([victim])


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (410, b"", None),
        (429, b"Retry-After: 120\r\n", 120),
        (429, b"Retry-After: 99999999999999999999\r\n", 86_400),
        (429, b"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT\r\n", 86_400),
        (503, b"retry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n", 0),
        (503, b"Retry-After: never\r\n", None),
        (999, b"", None),
    ],
)
def test_a_status_and_a_wish_to_wait_are_passed_on(
    courier: Courier, status: int, header: bytes, seconds: int | None
) -> None:
    """Fails when a status raises, or a wish to wait is lost or has no end."""
    with serving(answering(b"HTTP/1.1 %d x\r\n%sContent-Length: 0\r\n\r\n" % (status, header))) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/")
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.retry_after_seconds) == (status, seconds)


def test_an_answer_before_the_request_was_read_is_heard(courier: Courier) -> None:
    """Fails when a receiver that refuses a large body and closes is taken for a broken connection."""

    def handle(client: socket.socket) -> None:
        client.recv(1)
        client.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.1)  # then closes with most of the request unread, which resets the connection

    with serving(handle) as port:
        outcome = courier.post(f"http://127.0.0.1:{port}/", body=b"x" * 32_000_000)
    assert isinstance(outcome, Answer)
    assert outcome.status == 413


def test_nothing_is_sent_after_the_deadline(courier: Courier) -> None:
    """Fails when a webhook goes out in a time that belongs to the next attempt."""
    seen: list[bytes] = []
    with serving(recording(seen)) as port:
        assert reason(courier.post(f"http://127.0.0.1:{port}/", seconds=-1)) is NoAnswerReason.TIMED_OUT
    assert seen == []


def test_a_proxy_of_the_environment_is_not_used(courier: Courier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a client that reads the environment takes over: the proxy would choose the address."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy, serving(lambda c: seen.append(read_request(c))) as port:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        courier.post(f"http://127.0.0.1:{port}/")
        assert untouched([proxy])
    assert len(seen) == 1
