"""The console by raw HTTP, as an attacker asks it: no browser forbids anything, and nothing is followed unasked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS = 120
THROTTLED = {429, 502, 503, 504}
TRIES = 20
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Form:
    """A form of a page: where it goes, how, and with which fields as they stand."""

    page: str
    action: str
    method: str
    fields: dict[str, str]
    kinds: dict[str, str]
    multipart: bool

    def filled(self) -> dict[str, str]:
        """Return the fields as somebody fills them in who looks at nothing but their kinds."""
        by_kind = {"text": "x", "textarea": "x", "number": "1", "datetime-local": "2026-11-01T00:00", "search": "x"}
        return {name: value or by_kind.get(self.kinds[name], "") for name, value in self.fields.items()}

    @property
    def hidden(self) -> dict[str, str]:
        """Return the fields that nobody sees."""
        return {name: value for name, value in self.fields.items() if self.kinds[name] == "hidden"}


@dataclass
class Answer:
    """An answer. Header names are in lower case; of a repeated header all values are kept."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode(errors="replace")

    def header(self, name: str) -> str:
        """Return a header, or nothing."""
        return ", ".join(self.headers.get(name, []))


@dataclass
class Raw:
    """A client with a jar of cookies for one console."""

    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = urllib3.PoolManager(retries=False, maxsize=8)

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        parts = urlsplit(self.base)
        return f"{parts.scheme}://{parts.netloc}"

    def url(self, path: str) -> str:
        """Return the address of a path of the console, or of one that a page gave."""
        prefix = urlsplit(self.base).path
        if path.startswith(("http://", "https://")):
            return path
        return self.origin + path if path.startswith(f"{prefix}/") or path == prefix else self.base + path

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        patient: bool = True,
    ) -> Answer:
        """Send one request with the jar's cookies, or with others; what the cloud throttles is asked again."""
        jar = self.cookies if cookies is None else cookies
        sent = {"Accept": "*/*"}
        if jar:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        for _ in range(TRIES if patient else 1):
            got = self.pool.request(
                method, self.url(path), body=body, headers={**sent, **(headers or {})}, redirect=False,
                timeout=TIMEOUT_SECONDS,
            )  # fmt: skip
            if got.status not in THROTTLED or "content-security-policy" in got.headers:
                break  # it is the console's own word, and not the cloud's
            time.sleep(0.5)
        answer_headers: dict[str, list[str]] = {}
        for name, value in got.headers.items():
            answer_headers.setdefault(name.lower(), []).append(value)
        answer = Answer(got.status, answer_headers, got.data)
        if cookies is None:
            self._keep(got.headers.getlist("set-cookie"))
        return answer

    def get(self, path: str, **values: str) -> Answer:
        """Read a page."""
        return self.ask("GET", f"{path}{'?' + urlencode(values) if values else ''}")

    def post(self, path: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None) -> Answer:
        """Post a form as a browser does from a page of the same origin."""
        same = {"Content-Type": FORM, "Origin": self.origin, "Referer": self.url("/")}
        return self.ask("POST", path, body=urlencode(fields).encode(), headers={**same, **(headers or {})})

    def submit(self, form: Form, *, headers: Mapping[str, str] | None = None, **fields: str) -> Answer:
        """Submit a form with some of its fields filled in."""
        return self.post(form.action, {**form.fields, **fields}, headers=headers)

    def sign_in(self, key: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Sign in by the page's form, whatever its field is called."""
        page = self.get("/sign-in")
        (form,) = [one for one in forms_of(page.text, self.url("/sign-in")) if "password" in one.kinds.values()]
        name = next(name for name, kind in form.kinds.items() if kind == "password")
        return self.submit(form, headers=headers, **{name: key})

    def _keep(self, lines: list[str]) -> None:
        for line in lines:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value


class _Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._select = ""
        self._awaited = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        path = urlsplit(self.page)._replace(fragment="").geturl()
        if tag == "a" and given.get("href"):
            self.links.append(urljoin(path, given["href"]))
        elif tag == "form":
            multipart = "multipart" in given.get("enctype", "")
            action = urljoin(path, given.get("action", ""))
            self.forms.append(Form(path, action, given.get("method", "get").lower(), {}, {}, multipart))
        elif self.forms and tag in ("input", "button", "textarea", "select") and given.get("name"):
            self._field(tag, given)
        elif self.forms and tag == "option" and self._select:
            known = self.forms[-1].fields
            if "selected" in given or not known.get(self._select):
                known[self._select] = given.get("value", "")
                self._awaited = "value" not in given  # without a value, its text is the value

    def _field(self, tag: str, given: dict[str, str]) -> None:
        kind = given.get("type", "text") if tag == "input" else tag
        if kind in ("checkbox", "radio") and "checked" not in given and given["name"] in self.forms[-1].fields:
            return
        self.forms[-1].fields[given["name"]] = given.get("value", "")
        self.forms[-1].kinds[given["name"]] = kind
        self._select = given["name"] if tag == "select" else ""

    def handle_data(self, data: str) -> None:
        if self._awaited and self._select:
            self.forms[-1].fields[self._select] = data.strip()
            self._awaited = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""


def forms_of(html: str, page: str) -> list[Form]:
    """Return the forms of a page whose address is ``page``."""
    reader = _Reader(page)
    reader.feed(html)
    return reader.forms


def links_of(html: str, page: str) -> list[str]:
    """Return the addresses that a page links to."""
    reader = _Reader(page)
    reader.feed(html)
    return reader.links
