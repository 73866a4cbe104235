"""A browser of a few lines before the console's own handlers: cookies, forms, and redirects that a test follows."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from payonce.console.operators import Role
from payonce.console.parts import Parts
from payonce.entrypoints.console import handlers_of
from tests.support.events import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.entrypoints.console import Handler
    from payonce.wiring.application import Application

HOST = "console.example"
ORIGIN = f"https://{HOST}"
STAGE = "/production"
BASE = f"{STAGE}/console"
FAMILIES = {
    "/keys": "key_actions",
    "/webhooks": "webhook_actions",
    "/gateways": "routing_actions",
    "/breaks": "case_actions",
    "/files": "file_actions",
}


@dataclass(frozen=True)
class Seen:
    """An answer as a browser has it: header names in lower case, each with all values."""

    status: int
    headers: Mapping[str, list[str]]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def location(self) -> str:
        """Where a redirect leads, below the console's base."""
        (value,) = self.headers["location"]
        return value.removeprefix(BASE) or "/"

    def hidden(self, name: str) -> str:
        """Return the value of the page's first hidden field of this name."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.text)
        assert found is not None, f"no field {name}"
        return unescape(found[1])


@dataclass
class Browser:
    """Keeps cookies, and sends what a browser would send with a request from the console's own pages."""

    application: Application
    handler_named: Callable[[str], Handler] | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    address: str = "192.0.2.7"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Seen:
        """Load a page."""
        return self._send("pages", "GET", path, b"", {"sec-fetch-site": "same-origin", **(headers or {})})

    def post(
        self,
        path: str,
        fields: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        *,
        body: bytes | None = None,
        content_type: str = "application/x-www-form-urlencoded",
    ) -> Seen:
        """Send a form, or the raw ``body``."""
        family = next((name for start, name in FAMILIES.items() if path.startswith(start)), "session_actions")
        sent = {"origin": ORIGIN, "sec-fetch-site": "same-origin", "content-type": content_type, **(headers or {})}
        return self._send(family, "POST", path, urlencode(fields).encode() if body is None else body, sent)

    def sign_in(self, key: str) -> Seen:
        """Sign in with an operator's key, by the form of the sign-in page."""
        page = self.get("/sign-in")
        return self.post("/sign-in", {"csrf": page.hidden("csrf"), "next": page.hidden("next"), "operator_key": key})

    def csrf(self) -> str:
        """Return the token of the session's forms."""
        return self.get("/audit").hidden("csrf")

    def _send(self, handler: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Seen:
        parts = urlsplit(path)
        sent = {"Host": HOST, **{name: value for name, value in headers.items() if value}}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        below = "" if parts.path == "/" else parts.path
        event = {
            "httpMethod": method,
            "path": f"/console{below}",
            "multiValueHeaders": {name: [value] for name, value in sent.items()},
            "multiValueQueryStringParameters": query or None,
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": bool(body),
            "requestContext": {
                "path": f"{BASE}{below}",
                "requestId": "request-1",
                "identity": {"sourceIp": self.address},
            },
        }
        handler_named = self.handler_named or handlers_of(self.application)
        return self._taken(handler_named(handler)(event, Context()))

    def _taken(self, answer: Mapping[str, Any]) -> Seen:
        headers = {name.lower(): values for name, values in answer["multiValueHeaders"].items()}
        for line in headers.get("set-cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        body = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
        return Seen(answer["statusCode"], headers, body)


def operator_key(application: Application, name: str, role: Role, merchant_id: str | None = None) -> str:
    """Add an operator and return the key."""
    return Parts(application).operators.add(name, role, merchant_id)


def signed_in(
    application: Application,
    role: Role = Role.APPROVER,
    merchant_id: str | None = None,
    handler_named: Callable[[str], Handler] | None = None,
) -> Browser:
    """Return a browser in which an operator of this role is signed in."""
    browser = Browser(application, handler_named)
    name = f"{role.value} {merchant_id or 'of all'}".replace("_", "")
    assert browser.sign_in(operator_key(application, name, role, merchant_id)).status == 303
    return browser
