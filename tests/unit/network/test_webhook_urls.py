"""Which URLs can be registered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import BodyMalformed
from payonce.network.addresses import is_loopback, refusal
from payonce.network.webhook_urls import MAX_URL_CHARACTERS, check_url, parse_url

REFUSED = {
    "https://": [
        "",
        "hooks.example.com/x",
        "//hooks.example.com",
        "ftp://hooks.example.com",
        "javascript:alert(1)",
        "https:hooks.example.com",
        "https:/hooks.example.com",
        "http://hooks.example.com/",
        "http://1.1.1.1/",
        "http://localhost/",
        "http://127.0.0.1/",
    ],
    "visible ASCII": [
        " https://hooks.example.com",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nX: y",
        "https://hooks.example\t.com/",
        "https://hooks.example.com/\x00",
        "https://hooks.example.com/\x7f",
        "https://bücher.example/",
        "https://①②⑦.⓪.⓪.①/",
        "https://hooks。example.com/",
        "https://hooks.example.com/ü",
    ],
    "fragment": [
        "https://hooks.example.com/#",
        "https://hooks.example.com#@10.0.0.1/",
        "https://hooks.example.com/x#y",
    ],
    "user info": [
        "https://user:password@hooks.example.com/",
        "https://@hooks.example.com/",
        "https://hooks.example.com\\@10.0.0.1/",
        "https://hooks.example.com%40@10.0.0.1/",
    ],
    "port": [
        *(f"https://hooks.example.com:{port}/" for port in (0, 1, 22, 25, 80, 442, 444, 1023, 65536, 99999)),
    ],
    "at most a port": [
        "https://hooks.example.com:/",
        "https://hooks.example.com:443:443/",
        "https://hooks.example.com:x/",
        "https://hooks.example.com:-1/",
        "https://hooks.example.com:000443/",
        "https://[2606:4700::1111]x/",
        "https://[2606:4700::1111/",
        "https://2606:4700::1111/",
        "https://[[::1]]/",
    ],
    "IPv6": [
        "https://[]/",
        "https://[1.1.1.1]/",
        "https://[hooks.example.com]/",
        "https://[v1.x]/",
    ],
    "this address": [
        "https://127.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://168.63.129.16/",
        "https://[::1]/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:1.1.1.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[2606:4700::1111%1]/",
    ],
    "full host name": [
        "https:///x",
        "https://?x",
        "https://localhost/",
        "https://intranet/",
        "https://127.1/",
        "https://0x7f.1/",
        "https://0x7f.0.0.0x1/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://2130706433/",
        "https://127.0.0.1./",
        "https://127.0.0.01/",
        "https://1.2.3.4.5/",
        "https://hooks.example.com./",
        "https://hooks..example.com/",
        "https://.example.com/",
        "https://-hooks.example.com/",
        "https://hooks-.example.com/",
        "https://ho_oks.example.com/",
        "https://hooks.example.com%2e/",
        "https://*.example.com/",
        "https://hooks.example.com\\x/",
        f"https://{'a' * 64}.example.com/",
        f"https://{'a.' * 126}com/",
    ],
    "local networks": [
        "https://x.localhost/",
        "https://printer.local/",
        "https://METADATA.google.INTERNAL/",
        "https://x.home.arpa/",
    ],
    f"{MAX_URL_CHARACTERS} characters": [f"https://hooks.example.com/{'x' * MAX_URL_CHARACTERS}"],
}
TAKEN = [
    "https://hooks.example.com",
    "https://hooks.example.com/payonce?tenant=1&x=%20",
    "HTTPS://Hooks.Example.COM:443/",
    "https://hooks.example.com:1024/",
    "https://hooks.example.com:65535/",
    "https://hooks.example.com?x",
    "https://xn--bcher-kva.example/",
    "https://1.1.1.1:8443/x",
    "https://[2606:4700::1111]/x",
    "https://9gag.example.a9/",
    f"https://hooks.example.com/{'x' * (MAX_URL_CHARACTERS - 26)}",
]


@pytest.mark.parametrize(("reason", "url"), [(reason, url) for reason, urls in REFUSED.items() for url in urls])
def test_a_url_that_is_no_webhook_s_is_refused_with_its_reason(reason: str, url: str) -> None:
    """Fails when the rule is gone: the URL would be stored, and fail only when an event is to be delivered."""
    with pytest.raises(BodyMalformed) as refused:
        check_url(url, allow_local=False)
    assert reason in refused.value.detail
    assert refused.value.detail.startswith("url must ")
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize("url", TAKEN)
def test_a_public_https_url_is_taken(url: str) -> None:
    """Fails when a rule is too wide."""
    check_url(url, allow_local=False)
    check_url(url, allow_local=True)


@pytest.mark.parametrize(
    "url", [f"{scheme}://{host}/x" for scheme in ("http", "https") for host in ("localhost:8080", "127.0.0.1", "[::1]")]
)
def test_a_local_run_takes_this_machine(url: str) -> None:
    """Fails when a local run can't deliver to a receiver beside it."""
    check_url(url, allow_local=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "http://1.1.1.1/",
        "https://10.0.0.1/",
        "http://169.254.169.254/",
        "https://169.254.169.254/",
        "https://intranet/",
        "http://x.localhost/",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://127.1/",
        "http://127.0.0.1:25/",
        "http://127.0.0.1:443/",
    ],
)
def test_a_local_run_takes_nothing_else_more(url: str) -> None:
    """Fails when the switch for local runs opens private networks."""
    with pytest.raises(BodyMalformed):
        check_url(url, allow_local=True)


def test_the_parts_are_those_that_are_sent() -> None:
    """Fails when the port, the brackets or the query are lost between the check and the request."""
    parsed = parse_url("https://Hooks.example.com:8443?x=1/2", allow_local=False)
    assert (parsed.host, parsed.port, parsed.path, parsed.host_header) == (
        "hooks.example.com",
        8443,
        "/?x=1/2",
        "hooks.example.com:8443",
    )
    parsed = parse_url("https://[2606:4700::1111]/a", allow_local=False)
    assert (parsed.host, parsed.port, parsed.path, parsed.host_header) == (
        "2606:4700::1111",
        443,
        "/a",
        "[2606:4700::1111]",
    )


URLISH = st.text(st.sampled_from("htps:/.@[]#?%\\0127fx-abé \n")) | st.text()


@given(URLISH.map(lambda text: f"https://{text}") | URLISH, st.booleans())
def test_any_text_is_refused_or_has_a_public_host(url: str, allow_local: bool) -> None:
    """Fails when a text raises anything but ``BodyMalformed``, or gets past the rule for literal addresses."""
    try:
        parsed = parse_url(url, allow_local=allow_local)
    except BodyMalformed:
        return
    assert all("!" <= character <= "~" for character in parsed.host + parsed.path)
    assert parsed.path.startswith("/")
    if parsed.address is not None:
        assert refusal(parsed.address) is None or (allow_local and is_loopback(parsed.address))
