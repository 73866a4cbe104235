"""What is read out of an answer."""

from __future__ import annotations

import socket
from datetime import UTC
from email.utils import format_datetime
from http.client import HTTPException

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payonce.domain.delivery import MAX_EXCERPT_CHARACTERS, Answer
from payonce.network.timed_socket import Budget, ReceivedTooMuch, TimedSocket
from payonce.network.webhook_answers import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_RETRY_AFTER_SECONDS,
    printable,
    read_answer,
    retry_after_seconds,
)
from payonce.ports import Deadline
from tests.support.world import ManualClock

NOW_MS = 1_800_000_000_000  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 007 ", 7),
        ("86400", 86_400),
        ("86401", MAX_RETRY_AFTER_SECONDS),
        ("9" * 5_000, MAX_RETRY_AFTER_SECONDS),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1e3", None),
        ("²", None),
        ("٣", None),
        ("5, 10", None),
        ("soon", None),
        ("Fri, 15 Jan 2027 08:02:00 GMT", 120),
        ("Friday, 15-Jan-27 08:02:00 GMT", 120),
        ("Fri Jan 15 08:02:00 2027", 120),
        ("Fri, 15 Jan 2027 09:02:00 +0100", 120),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 -2359", MAX_RETRY_AFTER_SECONDS),
        ("Fri, 99 Jan 2027 08:02:00 GMT", None),
        ("Fri, 15 Jan 99999999999999 08:02:00 GMT", None),
        ("Mon", None),
        ("Mon, ", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_more_than_a_day(value: str | None, seconds: int | None) -> None:
    """Fails when a receiver can put a delivery off for ever, or break the sender with a number or a date."""
    assert retry_after_seconds(value, NOW_MS) == seconds


def test_a_started_second_counts() -> None:
    """Fails when a date is rounded down: the retry would come before the time that was asked for."""
    assert retry_after_seconds("Fri, 15 Jan 2027 08:00:01 GMT", NOW_MS + 1) == 1


@given(st.text() | st.datetimes().map(lambda at: format_datetime(at.replace(tzinfo=UTC), usegmt=True)))
@example("Mon, 1 Jan 0000 00:00:00 GMT")
def test_any_retry_after_is_nothing_or_bounded(value: str) -> None:
    """Fails when a text raises."""
    seconds = retry_after_seconds(value, NOW_MS)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_SECONDS


@given(st.text(max_size=2 * MAX_EXCERPT_CHARACTERS))
@example("\x1b[2J\u202eabc\x00\r\n")
def test_an_excerpt_is_short_and_printable(text: str) -> None:
    """Fails when control characters or a change of direction reach who reads the excerpt."""
    excerpt = printable(text)
    assert len(excerpt) <= MAX_EXCERPT_CHARACTERS
    assert excerpt.replace("\n", "").isprintable()


def read(data: bytes) -> Answer:
    """Return the answer that is read from ``data``, after which the receiver closes."""
    ours, theirs = socket.socketpair()
    clock = ManualClock()
    budget = Budget(clock, Deadline(clock.ms + 5_000))
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        return read_answer(TimedSocket(ours, budget, max_bytes=MAX_HEAD_BYTES), budget, clock.ms)


HEADER = st.sampled_from(
    [
        b"Content-Length: 3\r\n",
        b"Content-Length: -3\r\n",
        b"Content-Length: " + b"9" * 5_000 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Content-Encoding: gzip\r\n",
        b"Retry-After: 5\r\n",
        b"Retry-After: =?utf-8?q?=FF?=\r\n",
        b"Connection: keep-alive\r\n",
        b" folded\r\n",
        b": no name\r\n",
        b"no colon\r\n",
        b"X: \xff\x00\r\n",
    ]
) | st.binary(max_size=40)
STATUS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 500\r\n",
        b"HTTP/1.1 100 \r\n\r\n",
        b"HTTP/1.1 103 x\r\n\r\n",
        b"HTTP/2 200\r\n",
    ]
) | st.binary(max_size=40)
BODY = st.sampled_from(
    [b"-5\r\nabc", b"3\r\nabc\r\n0\r\n\r\n", b"ffffffffffffffffffff\r\nabc", b"3;x=y\r\nabc", b"zz\r\n"]
) | st.binary(max_size=200)


@given(st.lists(STATUS, min_size=1, max_size=3), st.lists(HEADER, max_size=4), BODY)
@example([b"HTTP/1.1 200 OK\r\n"], [b"Transfer-Encoding: chunked\r\n"], b"-5\r\nabc" * 5_000)
@example([b"HTTP/1.1 200 OK\r\n"], [], b"x" * 3 * MAX_BODY_BYTES)
@example([b"HTTP/1.1 200 OK\r\n"], [b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n"], b"")
def test_whatever_arrives_is_an_answer_or_one_of_three_errors(
    statuses: list[bytes], headers: list[bytes], body: bytes
) -> None:
    """Fails when some bytes raise what the sender does not turn into an outcome."""
    try:
        answer = read(b"".join(statuses) + b"".join(headers) + b"\r\n" + body)
    except (OSError, HTTPException, ReceivedTooMuch):
        return
    assert 200 <= answer.status <= 999
    assert len(answer.excerpt) <= MAX_EXCERPT_CHARACTERS


@pytest.mark.parametrize(
    ("data", "excerpt"),
    [
        (b"Content-Length: 3\r\n\r\nabcdef", "abc"),
        (b"\r\nabc\n\x00d", "abc\n\ufffdd"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"),
        (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz", "abc"),
        (b"Content-Length: 9\r\n\r\nabc", "abc"),
        (b"Content-Encoding: identity\r\n\r\nabc", "abc"),
        (b"Content-Encoding: GZIP\r\n\r\n\x1f\x8b", "[not shown: sent in the coding GZIP, though none was asked for]"),
        (
            b"Transfer-Encoding: gzip, chunked\r\n\r\n\x1f\x8b",
            "[not shown: sent in the coding gzip, chunked, though none was asked for]",
        ),
        (b"\r\n" + "ü".encode() * 1_500, "ü" * MAX_EXCERPT_CHARACTERS),
    ],
)
def test_the_excerpt_is_the_beginning_of_the_body(data: bytes, excerpt: str) -> None:
    """Fails when chunks or a length are shown as text, a broken end loses the beginning, or a coded body is shown."""
    assert read(b"HTTP/1.1 200 OK\r\n" + data).excerpt == excerpt
