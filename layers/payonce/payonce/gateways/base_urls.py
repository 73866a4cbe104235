"""To which addresses a gateway's credentials may be sent."""

from __future__ import annotations

from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def is_web_address(url: str) -> bool:
    """Return whether ``url`` is one of HTTP."""
    return urlsplit(url).scheme in {"http", "https"}


def is_in_the_clear(url: str) -> bool:
    """Return whether what is sent to ``url`` leaves this machine unencrypted."""
    target = urlsplit(url)
    return target.scheme == "http" and target.hostname not in LOOPBACK_HOSTS
