"""Names in the events that gateways post. They are stored, logged and shown to operators, so they have one form."""

from __future__ import annotations

import re

MAX_NAME_CHARACTERS = 255  # Stripe's ids have at most as many: https://docs.stripe.com/upgrades
_NAME = re.compile(rf"[!-~]{{1,{MAX_NAME_CHARACTERS}}}", re.ASCII)


def name_of(value: object) -> str | None:
    """Return ``value`` if it is a name, visible ASCII of at most ``MAX_NAME_CHARACTERS``; otherwise ``None``."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None
