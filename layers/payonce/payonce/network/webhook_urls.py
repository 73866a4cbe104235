"""Which URLs may receive webhooks. Registration and sending share one parser, so that both mean the same receiver."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from payonce.domain.errors import BodyMalformed
from payonce.network.addresses import Address, is_loopback, refusal

MAX_URL_CHARACTERS = 2_048  # longer URLs are not accepted by every client and proxy
MAX_HOST_CHARACTERS = 253  # RFC 1035, without the root's dot
DEFAULT_PORTS = {"http": 80, "https": 443}
# Lower ports belong to the system's services (mail, SSH, DNS ...), which no webhook is for, and to which a POST with
# content chosen by a merchant could do harm. Receivers do run on higher ports (8443).
MIN_UNPRIVILEGED_PORT = 1_024
MAX_PORT = 65_535

_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?P<fragment>#.*)?", re.I)
_AUTHORITY = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^\[\]:]*))(?::(?P<port>[0-9]{1,5}))?")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last label starts with a letter: 127.1, 0x7f.1 and 2130706433, which resolvers read as 127.0.0.1, are not names.
_NAME = re.compile(rf"(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
# RFC 6761, 6762, 8375 and ICANN's reservation: never names on the public internet. This check helps whoever registers
# one by mistake; the check of the connected address is what protects private networks.
_LOCAL_SUFFIXES = ("localhost", "local", "home.arpa", "internal")


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """An accepted URL. ``host`` is lower-case and without brackets; ``address`` is set for an IP literal."""

    scheme: str
    host: str
    address: Address | None
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The value of ``Host`` (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if isinstance(self.address, IPv6Address) else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(url: str, *, allow_local: bool) -> None:
    """Check the URL of an endpoint to be registered. Raises ``BodyMalformed``, see ``parse_url``."""
    parse_url(url, allow_local=allow_local)


def parse_url(url: str, *, allow_local: bool) -> WebhookUrl:
    """Return the parts of a webhook's URL. Raises ``BodyMalformed`` with a sentence that says what to change.

    Accepted is ``https://`` with a public name or public IP address, port 443 or from 1024 on, visible ASCII only,
    without user info and fragment. ``allow_local`` (local runs) also accepts ``localhost`` and loopback addresses,
    there with ``http://`` and port 80 too.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise BodyMalformed("url must be visible ASCII characters only. An international name is written as xn--.")
    if len(url) > MAX_URL_CHARACTERS:
        raise BodyMalformed(f"url must not be over {MAX_URL_CHARACTERS} characters.")
    parts = _URL.fullmatch(url)
    if parts is None or parts["scheme"].lower() not in DEFAULT_PORTS:
        raise BodyMalformed("url must start with https:// and a host.")
    if parts["fragment"] is not None:
        raise BodyMalformed("url must have no fragment (#...): it would never be sent.")
    if "@" in parts["authority"]:
        raise BodyMalformed("url must have no user info (user@); webhooks are signed, and need no password.")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise BodyMalformed("url must have a host, and after it at most a port number.")
    scheme = parts["scheme"].lower()
    host = (authority["v6"] or authority["host"] or "").lower()
    address = _literal(host, bracketed=authority["v6"] is not None)
    local = allow_local and (host == "localhost" if address is None else is_loopback(address))
    if not local:
        _check_public(scheme, host, address)
    rest = parts["rest"]
    return WebhookUrl(
        scheme=scheme,
        host=host,
        address=address,
        port=_port(authority["port"], scheme),
        path=rest if rest.startswith("/") else f"/{rest}",
    )


def _literal(host: str, *, bracketed: bool) -> Address | None:
    try:
        return IPv6Address(host) if bracketed else IPv4Address(host)
    except ValueError:
        if bracketed:
            raise BodyMalformed("url must have an IPv6 address between its brackets.") from None
        return None


def _check_public(scheme: str, host: str, address: Address | None) -> None:
    if scheme != "https":
        raise BodyMalformed("url must start with https://: a webhook is not sent in the clear.")
    if address is not None:
        if refusal(address) is not None:
            raise BodyMalformed("url must have a public host; webhooks are not sent to this address.")
    elif len(host) > MAX_HOST_CHARACTERS or not _NAME.fullmatch(host):
        raise BodyMalformed("url must have a full host name such as hooks.example.com, or a plain IP address.")
    elif any(host == suffix or host.endswith(f".{suffix}") for suffix in _LOCAL_SUFFIXES):
        raise BodyMalformed("url must have a public host; this name exists in local networks only.")


def _port(text: str | None, scheme: str) -> int:
    if text is None:
        return DEFAULT_PORTS[scheme]
    port = int(text)
    if port != DEFAULT_PORTS[scheme] and not MIN_UNPRIVILEGED_PORT <= port <= MAX_PORT:
        raise BodyMalformed(f"url must have port {DEFAULT_PORTS[scheme]}, or one from {MIN_UNPRIVILEGED_PORT} on.")
    return port
