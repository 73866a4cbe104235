"""Headers on their way through, and requests that two servers could read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import BodyMalformed
from payonce.proxy.headers import answer_lines, check_request, end_to_end, normal_path, upstream_lines
from payonce.proxy.messages import ProxyRequest

HOP = [
    ("Connection", "close, X-Mine"),
    ("X-Mine", "1"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
    ("Proxy-Authorization", "Basic eA=="),
    ("TE", "trailers"),
    ("Trailer", "Digest"),
    ("Transfer-Encoding", "chunked"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AA"),
]


def forwarded(
    *lines: tuple[str, str], trust: bool = False, preserve: bool = False, client: str = "192.0.2.7"
) -> dict[str, str]:
    request = ProxyRequest(method="POST", target="/x", lines=lines, body=b"", client=client, scheme="https")
    found = upstream_lines(
        request, host="up:9", preserve_host=preserve, trust_forwarded=trust, without=frozenset({"idempotency-key"})
    )
    assert len({name.lower() for name, _ in found}) == len(found)
    return {name.lower(): value for name, value in found}


def test_what_is_of_the_connection_ends_here_in_both_directions() -> None:
    """RFC 9110, 7.6.1. Fails when a field that Connection names is passed on."""
    kept = ("X-Kept", "1")
    assert end_to_end([*HOP, kept]) == (kept,)
    assert answer_lines((*HOP, kept), ["*"]) == (kept,)
    assert set(forwarded(*HOP, kept, ("Content-Length", "3"), ("Expect", "100-continue"))) == {
        "host", "x-kept", "via", "forwarded", "x-forwarded-for", "x-forwarded-proto",
    }  # fmt: skip


def test_a_client_can_not_say_who_it_is() -> None:
    """Fails when a Forwarded of the client's own reaches a service that trusts it."""
    theirs = (("Forwarded", "for=10.0.0.1"), ("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Proto", "http"))
    found = forwarded(("Host", "shop.example"), *theirs)
    assert found["x-forwarded-for"] == "192.0.2.7"
    assert found["forwarded"] == 'for=192.0.2.7;host="shop.example";proto=https'
    assert (found["x-forwarded-proto"], found["x-forwarded-host"]) == ("https", "shop.example")
    trusted = forwarded(("Host", "shop.example"), *theirs, trust=True)
    assert trusted["x-forwarded-for"] == "10.0.0.1, 192.0.2.7"
    assert trusted["forwarded"].startswith("for=10.0.0.1, for=192.0.2.7;")
    assert trusted["x-forwarded-proto"] == "http"
    assert 'for="[2001:db8::1]"' in forwarded(client="2001:db8::1")["forwarded"]


def test_the_host_is_the_upstreams_unless_it_is_to_be_kept() -> None:
    assert forwarded(("Host", "shop.example"))["host"] == "up:9"
    assert forwarded(("Host", "shop.example"), preserve=True)["host"] == "shop.example"
    assert forwarded(("Via", "1.1 edge"))["via"] == "1.1 edge, 1.1 payonce"
    assert "idempotency-key" not in forwarded(("Idempotency-Key", "k"))


def test_answers_keep_what_is_allowed_in_its_order() -> None:
    lines = (
        ("Set-Cookie", "a"),
        ("X-A", "1"),
        ("set-cookie", "b"),
        ("Idempotency-Replayed", "true"),
        ("Content-Length", "9"),
    )
    assert answer_lines(lines, ["*"]) == (("Set-Cookie", "a"), ("X-A", "1"), ("set-cookie", "b"))
    assert answer_lines(lines, ["Set-Cookie"]) == (("Set-Cookie", "a"), ("set-cookie", "b"))
    assert ("Content-Length", "9") in answer_lines(lines, ["*"], keep_length=True)
    assert answer_lines((("X-Bad", "a\r\nX-Smuggled: 1"), ("bad name", "x")), ["*"]) == ()


@pytest.mark.parametrize(
    "lines",
    [
        [("Content-Length", "3"), ("Transfer-Encoding", "chunked")],
        [("Content-Length", "3"), ("Content-Length", "4")],
        [("Content-Length", "3, 3")],
        [("Content-Length", "+3")],
        [("Content-Length", "0x3")],
        [("Transfer-Encoding", "gzip, chunked")],
        [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")],
        [("Transfer-Encoding", "xchunked")],
        [("X-A", "a\r\nX-B: b")],
        [("X-A", "a\0")],
        [("X A", "a")],
        [("X-A:", "a")],
        [("X-A", "€")],
        [("X-A", "a" * 40_000)],
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(lines: list[tuple[str, str]]) -> None:
    """RFC 9112, 11.2. Fails when one of two lengths is believed: the rest is then another request to the upstream."""
    check_request("POST", "/orders", (("Content-Length", "3"),))
    with pytest.raises(BodyMalformed):
        check_request("POST", "/orders", tuple(lines))


@pytest.mark.parametrize(
    "target",
    ["orders", "http://evil/", "/a b", "/a\r\nHost: x", "/a#b", "/a\\b", "/a/../b", "/a/%2e%2E/b", "/./a", "/ü", ""],
)
def test_a_target_that_means_something_else_upstream_is_refused(target: str) -> None:
    """Fails when /orders/../refunds is matched as an order and executed as a refund."""
    with pytest.raises(BodyMalformed):
        check_request("POST", target, ())


@pytest.mark.parametrize("method", ["", "post", "GET /", "A" * 21])
def test_a_method_is_a_word(method: str) -> None:
    with pytest.raises(BodyMalformed):
        check_request(method, "/", ())


def test_a_path_has_one_spelling_for_its_route() -> None:
    assert normal_path("/%6Frders/%31%2F2?x=%6F") == "/orders/1%2F2"


@given(st.text(alphabet=[chr(octet) for octet in range(256)], max_size=60))
def test_no_path_gets_past_the_dot_segments(text: str) -> None:
    target = "/" + text
    try:
        check_request("POST", target, ())
    except BodyMalformed:
        return
    assert ".." not in normal_path(target).split("/")
    assert "\n" not in target
