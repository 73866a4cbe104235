"""The console's cookies. Each has the prefix ``__Host-``: Secure, for the whole host, and set by this host alone.

See RFC 6265bis, section 4.1.3.2 (https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis).
"""

from __future__ import annotations

import base64
import binascii

SESSION = "__Host-payonce-session"
FORM = "__Host-payonce-form"  # the secret of the sign-in page's form, which has no session yet
SAID = "__Host-payonce-said"  # what an action said, until the next page shows it
THEME = "__Host-payonce-theme"
TIMES = "__Host-payonce-times"
LOOKS_SECONDS = 365 * 86_400
SAID_SECONDS = 60
MAX_SAID_CHARACTERS = 600


def set_cookie(name: str, value: str, *, max_age_seconds: int | None = None) -> str:
    """Return the value of a Set-Cookie header. Without ``max_age_seconds`` it lasts as long as the browser runs."""
    age = "" if max_age_seconds is None else f"; Max-Age={max_age_seconds}"
    return f"{name}={value}; Path=/{age}; Secure; HttpOnly; SameSite=Strict"


def end_cookie(name: str) -> str:
    """Return the value of a Set-Cookie header that removes the cookie."""
    return set_cookie(name, "", max_age_seconds=0)


def cookies_of(header: str) -> dict[str, str]:
    """Return the cookies of a Cookie header. Of two with one name the first counts: browsers send the closest first."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value)
    return found


def said_cookie(text: str) -> str:
    """Return the Set-Cookie header's value that carries a sentence to the next page."""
    encoded = base64.urlsafe_b64encode(text[:MAX_SAID_CHARACTERS].encode()).decode().rstrip("=")
    return set_cookie(SAID, encoded, max_age_seconds=SAID_SECONDS)


def said_in(value: str) -> str:
    """Return the sentence, or "" for what is none."""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
