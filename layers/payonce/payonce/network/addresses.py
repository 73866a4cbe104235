"""Decides which IP addresses are public, without asking the network.

``ipaddress.is_global`` follows the IANA registries but is no filter: it is true for multicast, for translation prefixes
that embed a private IPv4 address, and for a cloud's platform address. For IPv4 this module lists what is refused. Of
IPv6, IANA has allocated only 2000::/3 as global unicast, so everything else is refused, and so are the listed networks
within it.

Sources: IANA IPv4 and IPv6 special-purpose address registries (RFC 6890, 8190), IANA multicast registries.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

type Address = IPv4Address | IPv6Address

# The first network that contains an address gives the reason, so narrower networks come before wider ones.
REFUSED_NETWORKS = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "this network (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "carrier-grade NAT (RFC 6598); also a cloud's metadata service"),
        ("127.0.0.0/8", "loopback (RFC 1122)"),
        ("168.63.129.16/32", "Azure's platform service, reachable from every virtual machine there"),
        ("169.254.0.0/16", "link-local (RFC 3927); also the clouds' metadata services"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "protocol assignments (RFC 6890); also a cloud's metadata service"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.31.196.0/24", "AS112 (RFC 7535)"),
        ("192.52.193.0/24", "automatic multicast tunnelling (RFC 7450)"),
        ("192.88.99.0/24", "6to4 relays (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("192.175.48.0/24", "AS112 (RFC 7534)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast (RFC 5771)"),
        ("255.255.255.255/32", "broadcast (RFC 919)"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback (RFC 4291)"),
        ("::/96", "IPv4-compatible (RFC 4291, deprecated)"),
        ("::ffff:0:0/96", "IPv4-mapped (RFC 4291): an IPv4 address has its own spelling"),
        ("::ffff:0:0:0/96", "IPv4-translated (RFC 2765)"),
        ("64:ff9b:1::/48", "local NAT64 (RFC 8215): its operator decides where it leads"),
        ("100::/64", "discard (RFC 6666)"),
        ("2001::/32", "Teredo (RFC 4380): an IPv4 address inside"),
        ("2001::/23", "protocol assignments (RFC 2928): benchmarking, ORCHID, AMT, AS112"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("2002::/16", "6to4 (RFC 3056): an IPv4 address inside"),
        ("2620:4f:8000::/48", "AS112 (RFC 7534)"),
        ("3ffe::/16", "6bone (RFC 3701, returned)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("5f00::/16", "segment routing (RFC 9602)"),
        ("fc00::/7", "unique local (RFC 4193); also a cloud's metadata service"),
        ("fe80::/10", "link-local (RFC 4291)"),
        ("fec0::/10", "site-local (RFC 3879, deprecated)"),
        ("ff00::/8", "multicast (RFC 4291)"),
    )
)
GLOBAL_UNICAST = ip_network("2000::/3")  # all of IPv6 that IANA has allocated as global unicast (RFC 4291)
# DNS64 synthesizes such addresses for receivers without IPv6, so refusing all of them would cut off IPv6-only networks.
# The last 32 bits are the IPv4 address to which the packet goes (RFC 6052).
NAT64 = ip_network("64:ff9b::/96")
LOOPBACK_V4 = ip_network("127.0.0.0/8")
LOOPBACK_V6 = IPv6Address("::1")


def refusal(address: Address) -> str | None:
    """Return why ``address`` is not public, or ``None`` when it is."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return "an address with a scope id is local to one link (RFC 4007)"
        if address in NAT64:
            embedded = refusal(IPv4Address(address.packed[-4:]))
            return embedded and f"NAT64 (RFC 6052) to an address that is {embedded}"
    for network, reason in REFUSED_NETWORKS:
        if address in network:
            return reason
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return "not global unicast (RFC 4291)"
    return None


def is_loopback(address: Address) -> bool:
    """Return whether ``address`` is loopback without tricks: 127.0.0.0/8, or ::1 without a scope id."""
    return address in LOOPBACK_V4 or address == LOOPBACK_V6
