"""The meaning of a body: what a library makes anew for each try is not part of it."""

from __future__ import annotations

import gzip
from email import message_from_bytes
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.proxy.bodies import MAX_UNPACKED_BYTES, meaning_of
from payonce.proxy.messages import ProxyRequest
from payonce.proxy.service import LARGE_BODY_BYTES
from tests.unit.proxy.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

FORM = [
    (b'Content-Disposition: form-data; name="order"', b"17"),
    (
        b'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: application/octet-stream',
        b"\0\r\n--",
    ),
]


def multipart(parts: list[tuple[bytes, bytes]], boundary: str, *, end: bytes = b"--\r\n") -> bytes:
    """Return the parts as a multipart body (RFC 2046, 5.1.1)."""
    line = b"--" + boundary.encode()
    return b"".join(line + b"\r\n" + head + b"\r\n\r\n" + body + b"\r\n" for head, body in parts) + line + end


def meaning(body: bytes, content_type: str, **headers: str) -> bytes:
    lines = (("Content-Type", content_type), *((name.replace("_", "-"), value) for name, value in headers.items()))
    return meaning_of(ProxyRequest(method="POST", target="/x", lines=lines, body=body))


def form(parts: list[tuple[bytes, bytes]], boundary: str, **options: bytes) -> bytes:
    return meaning(multipart(parts, boundary, **options), f"multipart/form-data; boundary={boundary}")


@pytest.mark.parametrize("boundary", ["----WebKitFormBoundary7MA4YWxkTrZu0gW", "1f2e3d", "x" * 70, "a'()+_,-./:=?b"])
def test_another_boundary_is_the_same_body(boundary: str) -> None:
    """Fails when the boundary, which every library draws anew for each request, is fingerprinted: 422 for a retry."""
    quoted = meaning(multipart(FORM, boundary), f'Multipart/Form-Data; charset=utf-8; boundary="{boundary}"')
    plain = meaning(multipart(FORM, "first"), "multipart/form-data; boundary=first; charset=utf-8")
    # The parameters' order is the library's, too, but no library changes it between two tries.
    assert quoted.startswith(plain[:4])
    assert quoted == meaning(multipart(FORM, "first"), "multipart/form-data; charset=utf-8; boundary=first")


def test_the_last_line_may_end_or_not() -> None:
    assert form(FORM, "one", end=b"--") == form(FORM, "two")


@pytest.mark.parametrize(
    "other",
    [
        [FORM[1], FORM[0]],
        [FORM[0]],
        [(FORM[0][0], b"18"), FORM[1]],
        [(FORM[0][0].replace(b"order", b"buyer"), b"17"), FORM[1]],
        [(FORM[0][0], b"17\r\n"), FORM[1]],
    ],
)
def test_other_parts_are_another_body(other: list[tuple[bytes, bytes]]) -> None:
    """Fails when parts' order, heads or contents don't count."""
    assert form(other, "one") != form(FORM, "one")


def test_form_data_and_mixed_are_two_bodies() -> None:
    mixed = meaning(multipart(FORM, "one"), "multipart/mixed; boundary=one")
    assert mixed != form(FORM, "one")


def test_a_part_of_parts_is_compared_the_same_way() -> None:
    """Fails when the inner boundary, named in the part's head, is taken for content."""

    def nested(boundary: str) -> list[tuple[bytes, bytes]]:
        inner = multipart(FORM, boundary)
        return [(f"Content-Type: multipart/mixed; boundary={boundary}".encode(), inner)]

    assert form(nested("in1"), "one") == form(nested("in2"), "two")


CURL = (
    b"--------------------------@\r\n"
    b'Content-Disposition: form-data; name="order"\r\n\r\n17\r\n'
    b"--------------------------@\r\n"
    b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
    b"--------------------------@--\r\n"
)
MAIL = (  # email.mime, which ends lines with LF and folds the inner head
    b"--===============@==\nContent-Type: text/plain\nMIME-Version: 1.0\n\norder 17\n--===============@==\n"
    b'Content-Type: multipart/alternative;\n boundary="===============@@=="\nMIME-Version: 1.0\n\n'
    b"--===============@@==\nContent-Type: text/plain\n\nx\n--===============@@==--\n\n--===============@==--\n"
)
AS_WRITTEN = {
    # What was captured of each library; @ and @@ stand for what it draws anew for every request.
    "curl": ("multipart/form-data; boundary=------------------------@", CURL),
    "browser": (
        "multipart/form-data; boundary=----WebKitFormBoundary@",
        CURL.replace(b"-" * 26, b"------WebKitFormBoundary"),
    ),
    "requests, httpx": ("multipart/form-data; boundary=@", CURL.replace(b"-" * 26, b"--")),
    "undici": (
        "multipart/form-data; boundary=----formdata-undici-@",
        CURL.replace(b"-" * 26, b"------formdata-undici-"),
    ),
    # new FormData() without an entry: https://github.com/tom-sherman/fetch-multipart/issues/13
    "undici, empty": ("multipart/form-data; boundary=----formdata-undici-@", b"------formdata-undici-@--\r\n"),
    # .NET's snippets and some libraries begin with an empty line: https://github.com/defnull/multipart/pull/64
    "empty preamble": ("multipart/form-data; boundary=------------------------@", b"\r\n" + CURL),
    "empty epilogue": ("multipart/form-data; boundary=------------------------@", CURL + b"\r\n"),
    "email.mime": ('multipart/mixed; boundary="===============@=="', MAIL),
    "email.mime, CR LF": ('multipart/mixed; boundary="===============@=="', MAIL.replace(b"\n", b"\r\n")),
    # launchpadlib sends the message's own head, too: https://github.com/defnull/multipart/pull/28
    "a head as preamble": (
        'multipart/mixed; boundary="===============@=="',
        b'Content-Type: multipart/mixed; boundary="===============@=="\n\n' + MAIL,
    ),
    "aiohttp, nested": (
        "multipart/mixed; boundary=@",
        b"--@\r\nContent-Type: multipart/related; boundary=@@\r\nContent-Length: 55\r\n\r\n"
        b"--@@\r\nContent-Type: text/plain\r\n\r\nb\r\n--@@--\r\n\r\n--@--\r\n",
    ),
}


@pytest.mark.parametrize("library", AS_WRITTEN)
def test_what_libraries_write_twice_is_the_same(library: str) -> None:
    """Fails when what a library draws anew makes a retry another request: 422 after the first was executed."""
    content_type, body = AS_WRITTEN[library]

    def drawn(outer: str, inner: str, text: bytes = body) -> bytes:
        filled = text.replace(b"@@", inner.encode()).replace(b"@", outer.encode())
        return meaning(filled, content_type.replace("@", outer))

    first = drawn("f7565923da090e74", "3055330443699511010")
    assert first == drawn("0a3b5e11c44d9f02", "4673742656280594897")
    assert first.startswith(b"multipart")
    for was, becomes in (
        (b"17", b"18"),
        (b"\r\n\r\nb\r\n", b"\r\n\r\nc\r\n"),
        (b"\n\nx", b"\n\ny"),
        (b"mixed", b"Mixed"),
    ):
        if was in body:
            assert drawn("f7565923da090e74", "3055330443699511010", body.replace(was, becomes)) != first


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", multipart(FORM, "one")),
        ("multipart/form-data;boundary=one;boundary=two", multipart(FORM, "one")),
        ("multipart/form-data;boundary=one", multipart(FORM, "one", end=b"")),
        ("multipart/form-data;boundary=one", multipart(FORM, "one").replace(b"17", b"--one")),
        ("multipart/form-data;boundary=one", multipart(FORM, "one").replace(b"17", b"\r\n--one-more")),
        ("multipart/form-data;boundary=one", multipart(FORM, "one") + multipart(FORM, "one")),
        ("multipart/form-data;boundary=on", multipart(FORM, "one")),
    ],
)
def test_where_the_boundary_could_matter_the_body_is_compared_as_it_is(content_type: str, body: bytes) -> None:
    """Fails when a guess is made where two readers could find other parts."""
    assert meaning(body, content_type) == raw(content_type, body)


TOKENS = st.sampled_from([b"\r\n", b"\n", b"\r", b"--", b"a", b"b", b"x", b"\r\n\r\n", b"\r\n--a", b"\r\n--b", b"c: d"])


SOME = st.lists(TOKENS, max_size=12).map(b"".join)


@given(one=SOME, other=SOME, renamed=st.booleans())
def test_two_bodies_that_a_reader_takes_for_two_are_two(one: bytes, other: bytes, *, renamed: bool) -> None:
    """Fails when bodies are the same of which a parser finds other parts. The parser is the standard library's.

    ``renamed`` makes the second body from the first, as a library would which draws another boundary.
    """
    first, second = b"--a" + one + b"\r\n--a--", b"--b" + other + b"\r\n--b--"
    if renamed:
        second = first.replace(b"--a", b"--b")
    head = "multipart/mixed; boundary="
    if meaning(first, head + "a") == meaning(second, head + "b"):
        assert parts_of(first, "a") == parts_of(second, "b")


def parts_of(body: bytes, boundary: str) -> list[str] | str:
    head = f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode()
    found = message_from_bytes(head + body).get_payload()
    return [part.as_string() for part in found] if isinstance(found, list) else str(found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Content_Type": "text/plain"}, {"Content_Type": "application/x-www-form-urlencoded"}),
        ({"Content_Type": "text/plain; charset=utf-8"}, {"Content_Type": "text/plain; charset=latin-1"}),
        ({"Content_Type": "application/json"}, {"Content_Type": "application/merge-patch+json"}),
        ({"Content_Type": "application/json;version=1"}, {"Content_Type": "application/json;version=2"}),
        ({"Content_Type": "text/plain"}, {"Content_Type": "text/plain", "Content_Encoding": "br"}),
        (
            {"Content_Type": 'multipart/x; start="<A>"; boundary=q'},
            {"Content_Type": 'multipart/x; start="<a>"; boundary=q'},
        ),
        ({"Content_Type": 'multipart/x; a="b ;c"; boundary=q'}, {"Content_Type": 'multipart/x; a="b;c"; boundary=q'}),
    ],
)
def test_the_same_bytes_of_another_type_are_another_body(one: dict[str, str], other: dict[str, str]) -> None:
    """Fails when the type and encoding are left out: they say what the bytes mean (RFC 9110, 8.3 and 8.4)."""
    for body in (b"1", multipart(FORM, "q")):
        sent = [
            meaning(body, **{"content_type": headers["Content_Type"], **without_type(headers)})
            for headers in (one, other)
        ]
        assert sent[0] != sent[1]


def without_type(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "Content_Type"}


@pytest.mark.parametrize(
    "same", ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_another_spelling_of_the_type_is_the_same_type(same: str) -> None:
    assert meaning(b"[1]", same) == meaning(b" [ 1 ] ", "application/json; charset=utf-8")


def raw(content_type: str, body: bytes) -> bytes:
    return b"raw\0" + content_type.encode() + b"\0" + body


def test_a_gzipped_body_is_what_it_unpacks_to() -> None:
    """Fails when gzip's header, which holds the time of packing (RFC 1952), is fingerprinted."""
    body = b'{"amount": 1, "currency": "EUR"}'
    first = meaning(gzip.compress(body, mtime=1), "application/json", Content_Encoding="gzip")
    second = meaning(gzip.compress(body, 1, mtime=2), "application/json", Content_Encoding="X-GZip")
    assert first == second == meaning(body, "application/json")


def test_broken_and_endless_gzip_is_compared_as_it_is() -> None:
    """Fails when a bomb is unpacked without an end."""
    bomb = gzip.compress(bytes(MAX_UNPACKED_BYTES + 1))
    for body in (b"no gzip", gzip.compress(b"x") + b"more", gzip.compress(b"x")[:-3], bomb):
        assert meaning(body, "text/plain", Content_Encoding="gzip") == raw("text/plain\ngzip", body)


@pytest.mark.parametrize(("size", "times"), [(LARGE_BODY_BYTES, 0), (LARGE_BODY_BYTES + 1, 1)])
def test_a_large_body_is_read_elsewhere(size: int, times: int) -> None:
    """Fails when the sidecar's only thread parses megabytes while everybody waits."""
    world, handed = World(), []

    def elsewhere(work: Callable[[], str]) -> str:
        handed.append(work)
        return work()

    world.service._elsewhere = elsewhere
    assert world.post(b"x" * size).status == 201
    assert len(handed) == times
