"""Where a request ends does not depend on how it arrives. What is refused as a whole: tests/support/raw_requests.py."""

from __future__ import annotations

import pytest

from payonce.proxy import http_request
from payonce.proxy.http_request import BadRequest, body_of, split_head

HEAD = b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\n folded\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5;a=b\r\n12345\r\n0a\r\n67890abcde\r\n000\r\nX-T: 1\r\nX-U: 2\r\n\r\n"
NEXT = b"GET / HTTP/1.1\r\n"


def parts_of(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_body_is_the_same_in_any_parts(size: int) -> None:
    """Fails when a chunk's end, its line or a trailer must come in one piece."""
    body, unread, is_over = b"", b"", False
    reader = body_of(split_head(HEAD)[0])  # type: ignore[index]
    parts = parts_of(CHUNKS + NEXT, size)
    while not is_over:
        part, unread, is_over = reader.take(unread + parts.pop(0))
        body += part
    assert body == b"1234567890abcde"
    assert unread + b"".join(parts) == NEXT


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_head_is_found_wherever_the_search_goes_on(size: int) -> None:
    """Fails when the end is not found because it lies across two parts."""
    data, searched = b"", 0
    for part in parts_of(HEAD + NEXT, size):
        data += part
        found = split_head(data, searched)
        if found:
            break
        searched = max(len(data) - len(http_request.HEAD_END), 0)
    assert found is not None
    assert (found[0].method, found[0].target, found[0].version) == (b"POST", b"/a?b", "1.1")
    assert found[0].lines == [(b"host", b"x"), (b"x-a", b"1 folded"), (b"transfer-encoding", b"chunked")]
    assert NEXT.startswith(found[1])


@pytest.mark.parametrize(
    ("lines", "persistent"),
    [
        (b"HTTP/1.1\r\nHost: x", True),
        (b"HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Close", False),
        (b"HTTP/1.0\r\nHost: x", False),
        (b"HTTP/1.0\r\nHost: x\r\nConnection: keep-alive", False),
    ],
)
def test_a_connection_goes_on_unless_it_is_to_end(lines: bytes, persistent: bool) -> None:
    """RFC 9112, 9.3; HTTP/1.0 is not kept, as its clients may not expect it."""
    found = split_head(b"GET / " + lines + b"\r\n\r\n")
    assert found is not None
    assert found[0].persistent == persistent


@pytest.mark.parametrize(
    "chunks",
    [
        b"5\r\n12345X",
        b"5\r\n12345\rX",
        b"5\r\n12345\n",
        b"5" * 70,
        b"0\r\n" + b"X-T: " + b"x" * 9000,
        b"0\r\nX T: 1\r\n",
    ],
)
def test_chunks_that_do_not_fit_are_refused_at_once(chunks: bytes) -> None:
    """Fails when their end is waited for, or what stands between them is left out."""
    reader = body_of(split_head(HEAD)[0])  # type: ignore[index]
    with pytest.raises(BadRequest):
        reader.take(chunks)
    reader, unread = body_of(split_head(HEAD)[0]), b""  # type: ignore[index]
    with pytest.raises(BadRequest):
        for part in parts_of(chunks, 1):
            _, unread, _ = reader.take(unread + part)
