"""Answers: headers, errors as pages, fragments, files, and what is audited of an act."""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import TYPE_CHECKING, Any

import pytest

from payonce.console import cookies
from payonce.console.answers import PROTECTION
from payonce.console.operators import Role
from payonce.console.page import MAX_PARAMETER_LENGTH
from payonce.domain.errors import StoreUnavailable
from payonce.entrypoints.console import MAX_UPLOAD_BYTES
from payonce.ports import Table
from tests.support.webhook_api import items_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.unit.console.conftest import Stage

RELEASE = "/keys/k1/release"


def test_every_answer_has_the_headers_that_protect_it(stage: Stage) -> None:
    """Fails when an answer leaves without a policy: a page, a refusal, a file, an asset, a redirect, or a 413."""
    browser, stranger = stage.browser(), stage.stranger()
    style = next(part for part in browser.get("/audit").text.split('"') if "/static/console" in part and ".css" in part)
    answers = [
        browser.get("/audit"),
        browser.get("/audit", {"hx-request": "true"}),
        browser.get("/nothing"),
        browser.get("/broken"),
        browser.get("/file"),
        browser.get(style.removeprefix("/production/console")),
        stranger.get("/audit"),
        stranger.get("/sign-in"),
        stranger.post(RELEASE, {}),
        browser.post(RELEASE, {"csrf": "x"}),
        browser.post(RELEASE, {"x": "y" * (MAX_UPLOAD_BYTES + 1)}),
    ]
    assert [answer.status for answer in answers] == [200, 200, 404, 500, 200, 200, 303, 200, 303, 403, 413]
    for answer in answers:
        assert {name: answer.headers.get(name.lower()) for name in PROTECTION} == {
            name: [value] for name, value in PROTECTION.items()
        }
    kept = [answer.headers.get("cache-control") for answer in answers]
    assert kept[5] == ["public, max-age=31536000, immutable"]
    assert {value for number, value in enumerate(map(str, kept)) if number not in {5, 10}} == {"['no-store']"}


def test_the_policy_allows_nothing_inline_and_no_other_host() -> None:
    policy = PROTECTION["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert set(policy.split("; ")) >= {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"}


def test_what_nobody_foresaw_is_a_page_without_the_reason(stage: Stage) -> None:
    answer = stage.browser().get("/broken")
    assert (answer.status, "what nobody foresaw" in answer.text, "request-1" in answer.text) == (500, False, True)


def test_a_refused_act_is_a_page_with_what_to_do_and_in_the_trail(stage: Stage) -> None:
    browser = stage.browser(Role.OPERATOR)
    answer = browser.post("/keys/k1/conflict", {"csrf": browser.csrf()})
    assert answer.status == 409
    assert "The payment is captured." in answer.text
    assert "Open the page again" in answer.text
    assert acts(stage)[-1] == ("/keys/{thing}/conflict", "refused", "payment-state: The payment is captured.")


def test_an_act_is_in_the_trail_and_said_once(stage: Stage) -> None:
    browser = stage.browser(Role.OPERATOR)
    browser.post(RELEASE, {"csrf": browser.csrf()})
    assert acts(stage)[-1] == ("/keys/{thing}/release", "acted", "It was <done>.")
    assert '<p class="said" role="status">It was &lt;done&gt;.</p>' in browser.get("/audit").text
    assert 'class="said"' not in browser.get("/audit").text


def acts(stage: Stage) -> list[tuple[str, str, str]]:
    """Return operation, status and reason of each act, in order."""
    entries = items_of(stage.application.database, Table.AUDIT)  # type: ignore[arg-type]
    return [
        (each["record_id"].split("#")[1].removeprefix("console "), each["status"], each["reason"])
        for each in entries
        if "status" in each
    ]


def test_an_act_that_can_not_be_audited_is_not_said_to_be_done(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = stage.browser(Role.OPERATOR)
    token = browser.csrf()

    def refuse(_writes: object) -> None:
        raise StoreUnavailable("The database is busy.")

    monkeypatch.setattr(stage.application.database, "write", refuse)
    answer = browser.post(RELEASE, {"csrf": token})
    assert answer.status == 504
    assert cookies.SAID not in browser.cookies
    # The store's own sentence is for a program: it names AWS's code, and a key to repeat.
    assert "busy" not in answer.text
    assert "could not be written" in answer.text


def test_a_fragment_is_the_main_element_alone_and_a_followed_link_brings_the_navigation(stage: Stage) -> None:
    browser = stage.browser()
    fragment = browser.get("/audit", {"hx-request": "true"}).text
    assert fragment.startswith("<title>Audit · payonce</title>\n<main")
    assert "<nav" not in fragment
    boosted = browser.get("/audit", {"hx-request": "true", "hx-boosted": "true"}).text
    assert 'hx-swap-oob="true"' in boosted
    assert "<html" not in boosted
    assert "<html" in browser.get("/audit", {"hx-request": "true", "hx-history-restore-request": "true"}).text


def test_a_file_is_saved_and_htmx_leaves_it_to_the_browser(stage: Stage) -> None:
    browser = stage.browser()
    file = browser.get("/file")
    assert file.body == b"\x00\xff"
    assert file.headers["content-disposition"] == ['attachment; filename="list.xlsx"']
    followed = browser.get("/file?format=xlsx&self=1&path=2", {"hx-request": "true", "hx-boosted": "true"})
    assert followed.headers["hx-redirect"] == ["/production/console/file?format=xlsx&self=1&path=2"]


def test_what_a_path_holds_is_no_header_of_its_own(stage: Stage) -> None:
    """Fails when a line break, or what is no ASCII, in an address comes back as part of a header."""
    browser = stage.browser()
    for path in ("/things/a%0d%0aX-Bad:%201", "/things/%e2%80%ae", "/things/%00"):
        answer = stage.stranger().get(path)
        assert answer.status == 303
        for values in answer.headers.values():
            assert all(value.isascii() and value.isprintable() for value in values)
        assert browser.get(path).status == 200


def test_a_form_with_files_is_read(stage: Stage) -> None:
    browser = stage.browser()
    lines = [
        "--b",
        'Content-Disposition: form-data; name="csrf"',
        "",
        browser.csrf(),
        "--b",
        'Content-Disposition: form-data; name="file"; filename="../bank <é>.csv"',
        "Content-Type: text/csv",
        "",
        "a;b\xff",
        "--b--",
        "",
    ]
    body = "\r\n".join(lines).encode("latin-1").replace("é".encode("latin-1"), "é".encode())
    answer = browser.post(RELEASE, {}, body=body, content_type="multipart/form-data; boundary=b")
    assert answer.status == 303
    (asked,) = stage.done
    assert (asked.files["file"].name, asked.files["file"].body) == ("../bank <é>.csv", b"a;b\xff")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--b\r\nnothing", "multipart/form-data; boundary=b"),
        (b"--b", "multipart/form-data"),
        (b"csrf=%ff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(300)), "application/x-www-form-urlencoded"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b'{"csrf":"x"}', "application/json"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str, stage: Stage) -> None:
    answer = stage.browser().post(RELEASE, {}, body=body, content_type=content_type)
    assert answer.status in {400, 403}
    assert stage.done == []


@pytest.mark.parametrize("key", ["form_x", "pay_01JD0Z2VJ6K0Q5M8YB3W7T9XRA", "<script>"])
def test_a_forms_key_is_one_of_ours(key: str, stage: Stage) -> None:
    browser = stage.browser()
    assert browser.post(RELEASE, {"csrf": browser.csrf(), "key": key}).status == 400
    assert stage.done == []


POLYGLOT = (
    "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert() )//</stYle/</titLe/</scRipt/--!>\\x3csVg/oNloAd=alert()//"
)


def test_what_is_sent_comes_back_as_text(stage: Stage) -> None:
    """Fails when a path, a query or a parameter is written into a page as markup."""
    browser = stage.browser()
    for path in (f"/{POLYGLOT.replace('/', '%2f')}", f"/audit?merchant={POLYGLOT}", f"/sign-in?next={POLYGLOT}"):
        for each in (browser, stage.stranger()):
            page = each.get(path)
            assert "<svg" not in page.text.lower()
            assert "</script/" not in page.text.lower()


def test_an_asset_has_its_hash_in_its_name_and_no_other_name(stage: Stage) -> None:
    browser = stage.browser()
    for path in ("/static/console.css", "/static/../operators.py", "/static/%2e%2e%2foperators.py", "/static/"):
        assert browser.get(path).status == 404


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip, deflate, br, zstd", ["gzip"]),
        ("br;q=1.0, GZIP;q=0.5", ["gzip"]),
        ("gzip;q=0, identity", None),
        ("gzip; q=0.000", None),
        ("br", None),
        ("", None),
        ("x-gzip-not", None),
    ],
)
def test_an_asset_is_compressed_for_who_takes_it(stage: Stage, accepted: str, coding: list[str] | None) -> None:
    """Fails when a browser gets a file three times as large as it may be, or a client one that it can't read."""
    browser = stage.browser()
    [path] = re.findall(r'src="/production/console(/static/htmx[^"]+)"', browser.get("/audit").text)
    answer = browser.get(path, {"accept-encoding": accepted})
    assert answer.headers.get("content-encoding") == coding
    assert answer.headers["vary"] == ["Accept-Encoding"]
    script = gzip.decompress(answer.body) if coding else answer.body
    assert script.startswith(b"var htmx=")
    assert len(answer.body) < 20_000 if coding else len(answer.body) > 50_000
    assert path.split(".")[-2] == hashlib.sha256(script).hexdigest()[:16]


def test_cookies_of_several_headers_are_one_list(stage: Stage) -> None:
    """HTTP/2 lets a browser send them apart (RFC 9113, section 8.2.3)."""
    from payonce.entrypoints.console import incoming_of
    from tests.support.events import Context

    event = {"multiValueHeaders": {"Cookie": ["a=1; b=2", "c=3"]}, "requestContext": {"path": "/console"}}
    assert incoming_of(stage.application, event, Context()).cookies == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("context", "base"),
    [
        ({"path": "/production/console/sign-in"}, "/production/console"),
        ({"path": "/console/sign-in"}, "/console"),
        ({"path": "/pay/v1/console/sign-in"}, "/pay/v1/console"),
        ({"path": "/a<b>/console/sign-in"}, "/console"),
    ],
)
def test_links_begin_with_where_the_console_is(context: Mapping[str, Any], base: str, stage: Stage) -> None:
    from payonce.entrypoints.console import incoming_of
    from tests.support.events import Context

    incoming = incoming_of(stage.application, {"requestContext": context}, Context())
    assert (incoming.base, incoming.path) == (base, "/sign-in")


def test_an_address_that_is_longer_than_any_id_leads_nowhere(stage: Stage) -> None:
    """Fails (500) when DynamoDB is asked for a key that is longer than it takes."""
    browser = stage.browser()
    assert browser.get("/things/" + MAX_PARAMETER_LENGTH * "a").status == 200
    assert browser.get("/things/" + 3_000 * "a").status == 404
