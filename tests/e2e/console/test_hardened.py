"""Headers of every page, errors that say nothing of the inside, and requests that no browser sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.e2e.console.crawl import PAGES, crawl
from tests.e2e.console.test_forgery import token_of

if TYPE_CHECKING:
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.raw import Answer
    from tests.e2e.console.world import Shop

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
INSIDE = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|/var/task|/opt/|/tmp/|botocore|jinja2|UndefinedError|KeyError|"
    r"dynamodb|arn:aws|Table\b.*-[A-Z0-9]{8}|AccessDenied|Lambda|errorMessage|stackTrace",
    re.I,
)


def check_headers(answer: Answer, where: str) -> None:
    """Assert what every page must say to the browser (OWASP Secure Headers)."""
    policy = dict(
        part.strip().partition(" ")[::2] for part in answer.header("content-security-policy").split(";") if part
    )
    assert {name: policy.get(name) for name in POLICY} == POLICY, (where, policy)
    assert "unsafe" not in answer.header("content-security-policy"), where
    assert "*" not in answer.header("content-security-policy"), where
    assert answer.header("cache-control").replace(" ", "").startswith("no-store") or "no-store" in answer.header(
        "cache-control"
    ), (where, answer.header("cache-control"))
    assert answer.header("x-content-type-options") == "nosniff", where
    assert answer.header("x-frame-options") in ("DENY", "SAMEORIGIN", ""), where
    assert answer.header("referrer-policy") in ("no-referrer", "same-origin", "strict-origin"), where
    assert answer.header("access-control-allow-origin") == "", where
    assert "max-age" in answer.header("strict-transport-security"), where
    assert not re.search("python|werkzeug|jinja", answer.header("server") + answer.header("x-powered-by"), re.I), where


def test_every_page_carries_its_headers(console: Console, keys: dict[str, str], shop: Shop) -> None:
    """Pages, exports, errors, redirects and the sign-in, with and without a session."""
    raw = console.raw(keys["approver"])
    found = crawl(raw, "/no-such-page", f"/payments/pay_{'0' * 26}", merchant_id=shop.merchant_id, each=1)
    seen = 0
    for address, answer in found.answers.items():
        if "immutable" not in answer.header("cache-control"):
            check_headers(answer, address)
            seen += 1
    assert seen > 10
    anonymous = console.raw()
    for path in ("/sign-in", "/", "/no-such-page", "/payments?format=csv"):
        check_headers(anonymous.ask("GET", path), path)
    check_headers(raw.post("/no-such-action", {}), "an act that is none")


def test_an_error_says_what_to_do_and_nothing_of_the_inside(console: Console, keys: dict[str, str], shop: Shop) -> None:
    """Ids that are none, cursors, dates, forms with missing, doubled and absurd fields."""
    raw = console.raw(keys["approver"])
    odd = [
        "0",
        "pay_",
        "../../etc/passwd",
        "%00",
        "%ff%fe",
        "a" * 3_000,
        "{{7*7}}",
        "'; DROP TABLE",
        "\u202e",
        "%c0%ae",
    ]
    for path in ("/payments", "/keys", "/webhooks", "/breaks", "/runs", "/files", "/gateways", "/assets"):
        for one in odd:
            answer = raw.ask("GET", f"{path}/{quote(one, safe='%')}")
            assert answer.status in (200, 301, 302, 303, 400, 403, 404, 414, 422), (path, one, answer.status)
            assert not INSIDE.search(answer.text), (path, one, INSIDE.search(answer.text))
    for path in PAGES.values():
        for name in ("cursor", "from", "until", "limit", "status", "class", "format", "merchant", "created_from_ms"):
            for value in ("", "x", "-1", "9" * 40, "%00", "[]", "null", "a" * 2_000):
                answer = raw.ask("GET", f"{path}?{name}={quote(value, safe='%')}&{name}=twice")
                assert answer.status < 500, (path, name, value)
                assert not INSIDE.search(answer.text), (path, name, value)
    offered = crawl(raw, merchant_id=shop.merchant_id, each=1).actions
    for pattern, form in offered.items():
        if "sign" in pattern or "theme" in pattern:  # without a theme it is the device's
            continue
        kept = {token_of(form): form.fields[token_of(form)]}
        for fields in (
            kept,
            {**dict.fromkeys(form.fields, "x" * 5_000), **kept},
            {**dict.fromkeys(form.fields, "\x00"), **kept},
        ):
            answer = raw.post(form.action, fields)
            assert 400 <= answer.status < 500, (pattern, answer.status)
            assert not INSIDE.search(answer.text), pattern


def test_an_error_is_a_page_with_a_way_back(console: Console, keys: dict[str, str], shop: Shop) -> None:
    raw = console.raw(keys["viewer"])
    for path in ("/no-such-page", f"/payments/pay_{'0' * 26}", "/breaks/brk_none", "/webhooks/we_none"):
        answer = raw.get(path, merchant=shop.merchant_id)
        assert answer.status == 404, path
        assert "html" in answer.header("content-type")
        assert "<nav" in answer.text
        assert "<h1" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/assets/../operators.py",
        "/assets/..%2f..%2foperators.py",
        "/assets/%2e%2e/%2e%2e/app.py",
        "/assets/....//....//app.py",
        "/static/../templates/page.html",
        "/assets/%5c..%5capp.py",
        "//etc/passwd",
        "/assets/console.css%00.html",
        "/.git/config",
        "/.env",
    ],
)
def test_no_path_leads_out_of_the_assets(console: Console, keys: dict[str, str], path: str) -> None:
    answer = console.raw(keys["viewer"]).ask("GET", path)
    assert answer.status in (400, 403, 404), answer.status
    assert "root:" not in answer.text
    assert "import " not in answer.text


def test_a_header_is_not_split(console: Console, keys: dict[str, str], shop: Shop) -> None:
    """CR and LF in what becomes a location, a cookie, a file's name or a log line."""
    raw = console.raw(keys["operator"])
    for text in (
        "%0d%0aX-Planted:%201",
        "%0aSet-Cookie:%20planted=1",
        "%E5%98%8D%E5%98%8AX-Planted:%201",
        "%c4%8d%c4%8a",
    ):
        for path in (
            f"/payments?status={text}",
            f"/payments?format=csv&reference={text}",
            f"/sign-in?next=/{text}",
            f"/{text}",
        ):
            answer = raw.ask("GET", path)
            assert "x-planted" not in answer.headers, path
            assert "planted" not in answer.header("set-cookie"), path
            assert answer.status < 500, path
