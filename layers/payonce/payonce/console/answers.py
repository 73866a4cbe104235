"""What the console answers: status, headers and bytes, with the headers that protect every answer."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.console.assets import packed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.assets import Asset
    from payonce.console.page import Download

HTML = "text/html; charset=utf-8"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# OWASP HTTP Headers Cheat Sheet: https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
PROTECTION: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # With no-referrer a browser would send "Origin: null" with our own forms.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Robots-Tag": "noindex",
    }
)
NOT_KEPT = "no-store"
KEPT_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. ``cookies`` are values of Set-Cookie. The headers of ``PROTECTION`` come to each."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    cookies: tuple[str, ...] = ()


def page(html: str, status: int = 200, cookies: tuple[str, ...] = ()) -> Answer:
    """Return a page, or a fragment of one. No cache keeps it."""
    headers = {"Content-Type": HTML, "Cache-Control": NOT_KEPT, "Vary": "HX-Request, Cookie"}
    return Answer(status, headers, html.encode("utf-8", "replace"), cookies)


def see(location: str, cookies: tuple[str, ...] = ()) -> Answer:
    """Return the answer that sends the browser to another page of the console (303, RFC 9110)."""
    return Answer(303, {"Location": location, "Cache-Control": NOT_KEPT}, b"", cookies)


def leave(location: str, cookies: tuple[str, ...] = ()) -> Answer:
    """Return the answer that makes htmx load another page as a whole: the session of a page that stood open is over."""
    return Answer(401, {"HX-Redirect": location, "Cache-Control": NOT_KEPT, "Content-Type": HTML}, b"", cookies)


def again(location: str) -> Answer:
    """Return the answer that makes htmx leave the request to the browser: the answer is a file to save."""
    return Answer(200, {"HX-Redirect": location, "Cache-Control": NOT_KEPT, "Content-Type": HTML})


def download(file: Download) -> Answer:
    """Return a file that the browser saves."""
    return Answer(
        200,
        {
            "Content-Type": file.media_type,
            "Content-Disposition": f'attachment; filename="{file.name}"',
            "Cache-Control": NOT_KEPT,
        },
        file.body,
    )


def kept(file: Asset, *, packs: bool) -> Answer:
    """Return a file of the console, which caches keep for a year: another content has another name. ``packs``: gzip."""
    headers = {"Content-Type": file.media_type, "Cache-Control": KEPT_FOR_GOOD, "Vary": "Accept-Encoding"}
    if packs:
        return Answer(200, {**headers, "Content-Encoding": "gzip"}, packed(file))
    return Answer(200, headers, file.body)
