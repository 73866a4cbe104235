"""Links of the fake Mollie's documents."""

from __future__ import annotations

API = "https://api.mollie.com/v2"
HAL = "application/hal+json"


def link(href: str, kind: str = HAL) -> dict[str, str]:
    """Return a link object."""
    return {"href": href, "type": kind}
