"""Which addresses are public."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.network.addresses import GLOBAL_UNICAST, NAT64, REFUSED_NETWORKS, is_loopback, refusal


def words(text: str) -> list[str]:
    """Return the addresses in ``text``."""
    return text.split()


REFUSED = words("""
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
    127.255.255.254 168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1
    192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1
    ::7f00:1 ::ffff:127.0.0.1 ::ffff:93.184.215.14 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1
    64:ff9b::169.254.169.254 64:ff9b::10.0.0.1 64:ff9b:1::1 64:ff9b:1::808:808 64:ff9b:0:1::808:808 100::1
    100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1
    2001:db8::1 2002:7f00:1:: 2002:808:808::1 2620:4f:8000::1 3ffe::1 3fff::1 4000::1 5f00::1 fc00::1
    fd00:ec2::254 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff02::1 ff0e::1 2606:4700::1111%1
""")
PUBLIC = words("""
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0
    192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255 2001:200::1 2001:4860:4860::8888
    2606:4700::1111 2a00::1 3fff:1000::1 64:ff9b::8.8.8.8
""")
V4 = st.ip_addresses(v=4).map(IPv4Address)
REFUSED_V4 = st.sampled_from([network for network, _ in REFUSED_NETWORKS if network.version == 4]).flatmap(
    lambda network: st.ip_addresses(network=network)
)


@pytest.mark.parametrize("text", REFUSED)
def test_an_address_that_is_not_public_is_refused(text: str) -> None:
    """Fails when its network leaves the table, or a wrapped IPv4 address is not looked at."""
    assert refusal(ip_address(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0.0.0.0", "unspecified"),  # noqa: S104
        ("169.254.169.254", "link-local"),
        ("168.63.129.16", "Azure"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::127.0.0.1", "IPv4-compatible"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::ffff:0:127.0.0.1", "IPv4-translated"),
        ("64:ff9b::10.0.0.1", "NAT64 (RFC 6052) to an address that is private"),
        ("64:ff9b:1::1", "local NAT64"),
        ("100::1", "discard"),
        ("2001::1", "Teredo"),
        ("2001:2::1", "protocol assignments"),
        ("2002::1", "6to4"),
        ("5f00::1", "segment routing"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
        ("2606:4700::1111%1", "scope id"),
        ("4000::1", "not global unicast"),
    ],
)
def test_the_reason_is_the_one_that_fits(text: str, reason: str) -> None:
    """Fails when a row leaves the table whose addresses a wider rule refuses for another reason."""
    assert reason in (refusal(ip_address(text)) or "")


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_admitted(text: str) -> None:
    """Fails when a network of the table is too wide, beside whose edges these lie."""
    assert refusal(ip_address(text)) is None


@pytest.mark.parametrize(("network", "reason"), REFUSED_NETWORKS, ids=lambda value: str(value).split(" ")[0])
def test_a_refused_network_is_refused_to_its_edges_and_says_why(network: IPv6Network, reason: str) -> None:
    """Fails when a wider network stands before a narrower one and takes its reason: the table is read from the top."""
    assert {refusal(network[0]), refusal(network[-1])} >= {reason}
    assert refusal(network[0]) and refusal(network[-1])


@given(st.ip_addresses())
def test_nothing_is_admitted_that_the_registries_do_not_call_global(address: IPv4Address | IPv6Address) -> None:
    """Fails when the table misses what the standard library refuses: it may only be stricter."""
    if refusal(address) is None:
        assert address.is_global
        assert not address.is_multicast


@given(REFUSED_V4)
def test_a_refused_ipv4_address_is_refused_in_every_wrapping(address: IPv4Address) -> None:
    """Fails when one of the ways to write an IPv4 address in an IPv6 one is not known."""
    v4 = int(address)
    for wrapped in (
        v4,  # compatible
        0xFFFF << 32 | v4,  # mapped
        0xFFFF << 48 | v4,  # translated
        int(NAT64[0]) | v4,
        int(IPv6Address("64:ff9b:1::")) | v4,
        0x2002 << 112 | v4 << 80,  # 6to4
        0x20010000 << 96 | v4 << 64 | v4 ^ 0xFFFFFFFF,  # Teredo: server and client
    ):
        assert refusal(IPv6Address(wrapped))


@given(V4)
def test_nat64_is_judged_by_the_address_inside(address: IPv4Address) -> None:
    """Fails when DNS64 networks are cut off from public receivers, or are a way to private ones."""
    assert (refusal(IPv6Address(int(NAT64[0]) | int(address))) is None) == (refusal(address) is None)


@given(st.ip_addresses(v=6))
def test_ipv6_outside_global_unicast_is_refused(address: IPv6Address) -> None:
    """Fails when what is not given out yet, and may become anything, is admitted."""
    if address not in GLOBAL_UNICAST and address not in NAT64:
        assert refusal(address)


def test_loopback_is_only_its_plain_spellings() -> None:
    """Fails when a local run admits more than this machine."""
    assert all(is_loopback(ip_address(text)) for text in ("127.0.0.1", "127.9.9.9", "::1"))
    others = words("::ffff:127.0.0.1 ::1%lo 64:ff9b::127.0.0.1 0.0.0.0 :: 10.0.0.1 169.254.169.254 1.1.1.1")
    assert not any(is_loopback(ip_address(text)) for text in others)
