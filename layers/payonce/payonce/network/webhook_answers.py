"""Reads a receiver's answer, bounded in time and size.

::

    interim 1xx ─ status line ─ headers ─┊─ body
    MAX_HEAD_BYTES, the whole budget     ┊  MAX_BODY_BYTES, MAX_BODY_SECONDS
    failure: no answer                   ┊  failure: the answer stands, with the part of its body that arrived

The body is for the merchant to read. The status says whether the webhook was accepted, so once the head has arrived,
nothing that the receiver does can undo the answer.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, cast

from payonce.domain.delivery import MAX_EXCERPT_CHARACTERS, Answer
from payonce.domain.webhooks import MAX_RETRY_AFTER_SECONDS
from payonce.network.timed_socket import ReceivedTooMuch

if TYPE_CHECKING:
    import socket

    from payonce.network.timed_socket import Budget, TimedSocket

MAX_HEAD_BYTES = 16 * 1024  # including interim answers; servers commonly allow as much for a request's headers
MAX_BODY_BYTES = 16 * 1024  # as received; an excerpt needs less, but a small answer should not end in a reset
MAX_BODY_SECONDS = 2.0  # after the headers: longer than an honest small body takes
REPLACEMENT = "\ufffd"


def read_answer(sock: TimedSocket, budget: Budget, began_ms: int) -> Answer:
    """Return the answer. ``latency_ms`` counts from ``began_ms`` to the end of the headers.

    Raises ``OSError`` when the connection is lost before that, ``HTTPException`` when the answer is not HTTP, and
    ``ReceivedTooMuch`` when the headers are too long.
    """
    with HTTPResponse(cast("socket.socket", sock), method="POST") as response:
        _read_head(response, sock)
        while response.status < HTTPStatus.OK:
            if response.status == HTTPStatus.SWITCHING_PROTOCOLS:
                raise HTTPException("switched protocols unasked")
            response.headers = None  # type: ignore[assignment]  # makes begin() read the next head, from the same buffer
            _read_head(response, sock)
        now_ms = budget.clock.now_ms()
        return Answer(
            status=response.status,
            latency_ms=max(0, now_ms - began_ms),
            retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After"), now_ms),
            excerpt=_read_excerpt(response, sock, budget),
        )


def _read_head(response: HTTPResponse, sock: TimedSocket) -> None:
    response.begin()
    if sock.reader.ended:
        raise ConnectionAbortedError("closed within the headers")


def _read_excerpt(response: HTTPResponse, sock: TimedSocket, budget: Budget) -> str:
    """Return the beginning of the body as text. Compressed bodies stay so: a few bytes can expand to gigabytes."""
    codings = [response.headers.get("Content-Encoding", "")]
    if not response.chunked:
        codings.append(response.headers.get("Transfer-Encoding", ""))
    for coding in codings:
        if coding.strip().lower() not in {"", "identity"}:
            return printable(f"[not shown: sent in the coding {coding[:40]}, though none was asked for]")
    sock.reader.allow(budget.at_most(MAX_BODY_SECONDS), MAX_BODY_BYTES)
    body = b""
    try:
        while len(body) < MAX_BODY_BYTES and (piece := response.read1(MAX_BODY_BYTES)):
            body += piece
    except (OSError, HTTPException, ValueError, ReceivedTooMuch):
        pass  # The answer stands; see the diagram above.
    return printable(body.decode("utf-8", errors="replace"))


def printable(text: str) -> str:
    """Return the excerpt of ``text``: truncated, with characters that could deceive a reader replaced."""
    return "".join(
        character if character.isprintable() or character == "\n" else REPLACEMENT
        for character in text[:MAX_EXCERPT_CHARACTERS]
    )


def retry_after_seconds(value: str | None, now_ms: int) -> int | None:
    """Return a ``Retry-After`` (RFC 9110, 10.2.3: seconds or a date) in seconds from now, from 0 to a day.

    Returns ``None`` when it is missing or is neither.
    """
    text = (value or "").strip()
    if re.fullmatch("[0-9]+", text):
        digits = text.lstrip("0") or "0"
        too_long = len(digits) > len(str(MAX_RETRY_AFTER_SECONDS))  # int() refuses thousands of digits
        return MAX_RETRY_AFTER_SECONDS if too_long else min(int(digits), MAX_RETRY_AFTER_SECONDS)
    if not re.match("[A-Z][a-z]{2}", text):  # in all three formats a date starts with the day's name
        return None
    try:
        date = parsedate_to_datetime(text)
        at_ms = int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return min(max(0, -((now_ms - at_ms) // 1000)), MAX_RETRY_AFTER_SECONDS)
