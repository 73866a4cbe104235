"""Protection of forms against other sites: where a request comes from, and a token that only our pages hold.

Both have to hold (OWASP CSRF Prevention Cheat Sheet:
https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html). The token is an
HMAC under the cookie's secret: it belongs to one session, and nothing is stored for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from payonce.domain.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping

FIELD = "csrf"
_PURPOSE = b"payonce/console/csrf/v1"
_ELSEWHERE = "This request did not come from a page of the console, so nothing was done. Open the page and try again."
_STALE = "This form is not of your session, so nothing was done. Open the page again, and send the form from there."


def token_of(secret: str) -> str:
    """Return the token of the forms of the session, or of the sign-in page, whose cookie holds ``secret``."""
    mac = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def require_own_page(headers: Mapping[str, str]) -> None:
    """Raise ``Forbidden`` unless the browser says that a page of this site sent the request.

    ``headers`` has lower-case names. Each of Sec-Fetch-Site and Origin must fit where it is sent, and one must be sent:
    every browser in support sends Origin with a POST (https://fetch.spec.whatwg.org/#origin-header).
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        raise Forbidden(_ELSEWHERE)
    if site not in {None, "same-origin"}:
        raise Forbidden(_ELSEWHERE)
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise Forbidden(_ELSEWHERE)


def require_token(secret: str, sent: str) -> None:
    """Raise ``Forbidden`` unless ``sent`` is the token of the cookie's ``secret``, compared in constant time.

    Without a cookie nothing fits: anybody could compute the token of an empty secret.
    """
    if not secret or not hmac.compare_digest(token_of(secret).encode(), sent.encode("utf-8", "replace")):
        raise Forbidden(_STALE)
