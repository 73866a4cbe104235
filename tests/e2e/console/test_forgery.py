"""Requests that another site makes with an operator's browser, and those that lack our token.

By https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html and OWASP ASVS
5.0, V3.5 (origin separation).
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.e2e.console.crawl import Crawl, crawl
from tests.e2e.console.raw import FORM, forms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.raw import Form
    from tests.e2e.console.world import Shop

REFUSED = {400, 403, 404, 405, 415}


@contextmanager
def attacker(page: str) -> Iterator[str]:
    """Serve a page on another port, which is another origin (though the same site); yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.encode()
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_address[1]}/"  # another host than the console's, so another site, too
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def token_of(form: Form) -> str:
    """Return the name of the field that holds the token against forgery: hidden, long and not the act's own key."""
    names = [name for name in form.hidden if re.search("csrf|token", name, re.I)]
    assert names, f"{form.action} has no token: {form.hidden.keys()}"
    return names[0]


@pytest.fixture(scope="module")
def offered(console: Console, keys: dict[str, str], shop: Shop) -> Crawl:
    """Everything that an approver is offered."""
    shop.endpoint(description="forged")
    shop.doubtful(reference="forged")
    found = crawl(console.raw(keys["approver"]), merchant_id=shop.merchant_id)
    assert len(found.actions) >= 6, found.actions.keys()
    return found


def acts(offered: Crawl) -> list[tuple[str, Form]]:
    """Return the forms that change something, without the sign-out."""
    return [(pattern, form) for pattern, form in offered.actions.items() if "sign" not in pattern]


def acted(stack: Stack) -> int:
    """Return how many acts of operators the trail has that were done. Refusals are in it, too, and do not count."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.outputs["AuditTableName"])
    items = [item for page in pages for item in page["Items"]]
    return sum("operator" in json.dumps(item) and item["status"] == {"S": "acted"} for item in items)


def test_without_the_token_nothing_is_done(console: Console, keys: dict[str, str], offered: Crawl) -> None:
    """Missing, empty, another session's, another's shape: each of all forms is refused before anything is looked at."""
    stranger = console.raw(keys["operator"])
    (foreign, *_) = [
        form.fields[token_of(form)] for form in crawl(stranger, each=1, limit=4).forms.values() if form.method == "post"
    ]
    raw = console.raw(keys["approver"])
    for pattern, form in acts(offered):
        name = token_of(form)
        for token in (None, "", "x", foreign, form.fields[name][:-1] + "_", form.fields[name].swapcase()):
            fields = {key: value for key, value in form.fields.items() if key != name}
            fields |= {} if token is None else {name: token}
            answer = raw.post(form.action, fields)
            assert answer.status in REFUSED, (pattern, token, answer.status)


def test_a_token_in_the_address_or_a_header_is_none(console: Console, keys: dict[str, str], offered: Crawl) -> None:
    """A token that a page can leak by its address must not count."""
    raw = console.raw(keys["approver"])
    fresh = crawl(raw, each=1, limit=3)
    token = next(form.fields[token_of(form)] for form in fresh.forms.values() if form.method == "post")
    for pattern, form in acts(offered)[:4]:
        name = token_of(form)
        fields = {key: value for key, value in form.fields.items() if key != name}
        assert raw.post(f"{form.action}?{urlencode({name: token})}", fields).status in REFUSED, pattern


def test_another_origin_is_refused_even_with_the_token(console: Console, keys: dict[str, str], offered: Crawl) -> None:
    """The browser says from where a request comes: https://www.w3.org/TR/fetch-metadata/."""
    raw = console.raw(keys["approver"])
    fresh = crawl(raw, each=1, limit=3)
    token = next(form.fields[token_of(form)] for form in fresh.forms.values() if form.method == "post")
    for pattern, form in acts(offered):
        for headers in (
            {"Origin": "https://attacker.example"},
            {"Origin": "null"},
            {"Origin": raw.origin + ".attacker.example"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            answer = raw.post(form.action, {**form.fields, token_of(form): token}, headers=headers)
            assert answer.status in REFUSED, (pattern, headers, answer.status)


def test_get_never_changes_anything(console: Console, keys: dict[str, str], offered: Crawl, stack: Stack) -> None:
    """Neither as a link, nor as HEAD, nor by a header or field that names another method."""
    raw = console.raw(keys["approver"])
    before = acted(stack)
    for pattern, form in acts(offered):
        plain = raw.ask("GET", f"{form.action.partition('?')[0]}?{urlencode(form.fields)}")
        assert plain.status in (200, 303, 404, 405), (pattern, plain.status)  # 200: a page of the same address
        for headers in ({"X-HTTP-Method-Override": "POST"}, {"X-Method-Override": "POST"}):
            assert raw.ask("GET", form.action, headers=headers).status in (200, 303, 404, 405), pattern
        for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE"):
            assert raw.ask(method, form.action).status in (200, 204, 403, 404, 405, 501), (pattern, method)
        assert raw.ask("GET", f"{form.action.partition('?')[0]}?_method=POST").status in (200, 303, 404, 405)
    assert acted(stack) == before


def test_json_or_text_in_place_of_a_form_is_refused(console: Console, keys: dict[str, str], offered: Crawl) -> None:
    """What a page may send without asking first (text/plain) or what no form sends."""
    raw = console.raw(keys["approver"])
    for pattern, form in acts(offered)[:5]:
        for kind, body in (
            ("application/json", json.dumps(form.fields).encode()),
            ("text/plain", urlencode(form.fields).encode()),
            ("application/xml", b"<a/>"),
            ("", urlencode(form.fields).encode()),
        ):
            answer = raw.ask("POST", form.action, body=body, headers={"Content-Type": kind, "Origin": raw.origin})
            assert answer.status in REFUSED, (pattern, kind, answer.status)


def test_another_sites_page_can_not_act_with_an_operators_browser(
    browser: Browser, console: Console, keys: dict[str, str], offered: Crawl, stack: Stack, visit: Callable[..., object]
) -> None:
    """A form that submits itself, and fetch with cookies, from another origin in the same browser."""
    person = visit(keys["approver"])
    person.context.unroute("**/*")  # type: ignore[attr-defined]
    pattern, form = next((one for one in acts(offered) if "drain" in one[0] or "override" in one[0]), acts(offered)[0])
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{"stolen" if name == token_of(form) else "forged reason"}">'
        for name in form.fields
    )
    page = f"""<form id="f" method="post" action="{form.action}">{fields}</form><script>
      fetch({json.dumps(form.action)}, {{method: 'POST', mode: 'no-cors', credentials: 'include',
        headers: {{'Content-Type': 'application/x-www-form-urlencoded'}}, body: 'reason=forged+reason'}})
        .catch(() => 0).finally(() => document.getElementById('f').submit())</script>"""
    before = acted(stack)
    with attacker(page) as address:
        tab = person.context.new_page()  # type: ignore[attr-defined]
        sent: list[dict[str, str]] = []
        tab.on("request", lambda request: sent.append({**request.all_headers(), "url": request.url}))
        tab.goto(address)
        tab.wait_for_url(lambda url: url.startswith(console.base), timeout=20_000)
        posts = [one for one in sent if one["url"].startswith(form.action.partition("?")[0])]
        assert posts
        assert not any("session" in one.get("cookie", "") for one in posts), "the cookie is not strict"
    assert acted(stack) == before, pattern


def test_the_sign_in_can_not_be_forged(console: Console, keys: dict[str, str]) -> None:
    """A page of an attacker must not sign somebody in as the attacker (login CSRF)."""
    raw = console.raw()
    raw.get("/sign-in")
    (form,) = [one for one in forms_of(raw.get("/sign-in").text, raw.url("/sign-in")) if one.method == "post"]
    name = next(name for name, kind in form.kinds.items() if kind == "password")
    stranger = console.raw()
    answer = stranger.ask(
        "POST", form.action, body=urlencode({name: keys["viewer"]}).encode(),
        headers={"Content-Type": FORM, "Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site"},
    )  # fmt: skip
    assert answer.status in REFUSED
    assert "set-cookie" not in answer.headers or "session" not in answer.header("set-cookie")
