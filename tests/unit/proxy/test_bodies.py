"""The meaning of a body: what a library makes anew for each try is not part of it."""

from __future__ import annotations

import gzip

import pytest

from payonce.proxy.bodies import MAX_UNPACKED_BYTES, meaning_of
from payonce.proxy.messages import ProxyRequest

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


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", multipart(FORM, "one")),
        ("multipart/form-data; boundary=one; boundary=two", multipart(FORM, "one")),
        ("multipart/form-data; boundary=one", b"preamble\r\n" + multipart(FORM, "one")),
        ("multipart/form-data; boundary=one", multipart(FORM, "one") + b"epilogue"),
        ("multipart/form-data; boundary=one", multipart(FORM, "one", end=b"")),
        ("multipart/form-data; boundary=one", multipart(FORM, "one").replace(b"\r\n", b"\n")),
        ("multipart/form-data; boundary=one", b"--one--"),
        ("multipart/form-data; boundary=on", multipart(FORM, "one")),
    ],
)
def test_what_is_not_exactly_multipart_is_compared_as_it_is(content_type: str, body: bytes) -> None:
    """Fails when a guess is made where two readers could find other parts."""
    assert meaning(body, content_type) == b"raw\0" + body


def test_a_gzipped_body_is_what_it_unpacks_to() -> None:
    """Fails when gzip's header, which holds the time of packing (RFC 1952), is fingerprinted."""
    body = b'{"amount": 1, "currency": "EUR"}'
    first = meaning(gzip.compress(body, mtime=1), "application/json", Content_Encoding="gzip")
    second = meaning(gzip.compress(body, 1, mtime=2), "application/json", Content_Encoding="gzip")
    assert first == second == meaning(body, "application/json")


def test_broken_and_endless_gzip_is_compared_as_it_is() -> None:
    """Fails when a bomb is unpacked without an end."""
    bomb = gzip.compress(bytes(MAX_UNPACKED_BYTES + 1))
    for body in (b"no gzip", gzip.compress(b"x") + b"more", gzip.compress(b"x")[:-3], bomb):
        assert meaning(body, "text/plain", Content_Encoding="gzip") == b"raw\0" + body
