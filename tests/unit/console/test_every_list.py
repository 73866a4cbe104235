"""Every list of the console can be saved, as CSV and XLSX: none is forgotten, and none has fewer rows than its page."""

from __future__ import annotations

import csv
import io
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

import openpyxl
import pytest

from payonce.console import rendering
from payonce.console.operators import Role
from payonce.console.routes import ACTIONS, PAGES
from payonce.console.serving import matched
from payonce.console.signing_in import SESSION_FORMS
from tests.support.console import BASE, signed_in
from tests.support.stocked_console import Stocked
from tests.unit.console.test_files_runs_balances import BAD, send_file
from tests.unit.reconciliation.test_inbox import STATEMENT

if TYPE_CHECKING:
    from tests.support.console import Browser

TEMPLATES = sorted(Path(rendering.TEMPLATES).glob("*.html"))
# Pages whose view saves their only list itself.
BY_THEMSELVES = {"/keys": "keys", "/balances": "balances"}

POSTS = re.compile(r'<form[^>]*method="post" action="([^"?]+)[^"]*"[^>]*>(.*?)</form>', re.DOTALL)
ONE_A_TABLE = {"wrong"}  # what is wrong with a file: each has a table of the lines around it


@pytest.fixture(scope="module")
def stocked() -> Stocked:
    return Stocked()


@pytest.fixture(scope="module")
def browser(stocked: Stocked) -> Browser:
    return signed_in(stocked.application, Role.APPROVER)


@pytest.fixture(scope="module")
def pages(stocked: Stocked, browser: Browser) -> dict[str, str]:
    """Every page with something on it, by its path."""
    uploaded = [send_file(browser, name, body).location for name, body in (("bad.csv", BAD), ("good.csv", STATEMENT))]
    found = {path: browser.get(path) for path in (*stocked.pages(), *uploaded)}
    assert {path: page.status for path, page in found.items() if page.status != 200} == {}
    return {path: page.text for path, page in found.items()}


def tables_of(page: str) -> dict[str, int]:
    """Return the lists of a page's tables, each with the rows of its largest table's body."""
    found: dict[str, int] = {}
    for attributes, inner in re.findall(r"<table([^>]*)>(.*?)</table>", page, re.DOTALL):
        name = re.search(r'data-list="([a-z_]+)"', attributes)
        assert name is not None, f"a table names no list: <table{attributes}>{inner[:200]}"
        rows = inner.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr")
        if name[1] in ONE_A_TABLE:
            rows = 1
        found[name[1]] = max(found.get(name[1], 0), rows)
    return found


def links_of(page: str, name: str) -> dict[str, str]:
    """Return the links that save the list, by the form of the file."""
    part = re.search(rf'data-saves="{name}">(.*?)</p>', page, re.DOTALL)
    links = re.findall(r'href="([^"]+)"', part[1]) if part else []
    return {re.findall(r"format=(\w+)", link)[0]: unescape(link).removeprefix(BASE) for link in links}


def test_every_table_of_every_page_is_a_list_that_can_be_saved(pages: dict[str, str], browser: Browser) -> None:
    """Fails when a page gets a table without an export, or an export that lacks rows, columns or the page's filters."""
    for path, page in pages.items():
        for name, rows in tables_of(page).items():
            links = links_of(page, name)
            assert sorted(links) == ["csv", "xlsx"], f"{path} does not save {name}"
            answer = browser.get(links["csv"])
            assert answer.headers.get("content-type") == ["text/csv; charset=utf-8"], f"{links['csv']}: {answer.status}"
            head, *saved = csv.reader(io.StringIO(answer.body.decode("utf-8-sig"), newline=""))
            assert len(saved) >= rows, f"{path} shows {rows} rows of {name}, and saves {len(saved)}"
            assert len(head) > 1
            book = openpyxl.load_workbook(io.BytesIO(browser.get(links["xlsx"]).body))
            assert book.active is not None
            assert book.active.max_row == len(saved) + 1


def test_every_table_of_every_template_was_on_a_page(pages: dict[str, str]) -> None:
    """Fails when the pages of these tests lack a table, so that nothing is said about its export."""
    seen = {name for page in pages.values() for name in tables_of(page)}
    named = {name for page in PAGES for name in page.lists} | set(BY_THEMSELVES.values())
    assert seen == named - {"story"}, "a time line is no table"
    tables = [tag for path in TEMPLATES for tag in re.findall(r"<table[^>]*", path.read_text())]
    assert [tag for tag in tables if "data-list=" not in tag] == []


def test_every_page_of_these_tests_is_a_page_and_every_page_is_in_them(pages: dict[str, str]) -> None:
    seen = {matched(PAGES, path.partition("?")[0])[0].path for path in pages}
    assert seen == {page.path for page in PAGES}


def test_a_time_line_is_saved_too(stocked: Stocked, browser: Browser, pages: dict[str, str]) -> None:
    path = f"/payments/{stocked.payment_id}?merchant={stocked.merchant_id}"
    saved = browser.get(links_of(pages[path], "story")["csv"]).body.decode("utf-8-sig")
    assert "Claimed: create_payment" in saved
    assert len(saved.splitlines()) > 5


def test_a_file_keeps_the_pages_filters(browser: Browser, stocked: Stocked) -> None:
    """Fails when what is saved is another list than the one that is looked at."""
    page = browser.get(f"/payments?merchant={stocked.merchant_id}&currency=eur&cursor=").text
    links = links_of(page, "payments")
    assert links["csv"] == f"/payments?merchant={stocked.merchant_id}&format=csv&currency=eur&list=payments"


@pytest.mark.parametrize("query", ["format=pdf", "format=csv&list=nothing", "format=pdf&list=overrides"])
def test_what_can_not_be_saved_is_said(browser: Browser, query: str) -> None:
    assert browser.get(f"/gateways?{query}").status == 400


def test_a_reason_of_an_override_is_no_formula(browser: Browser, stocked: Stocked) -> None:
    """Fails when a new export is written otherwise than the others, which neutralise what a spreadsheet would run."""
    page = browser.get("/gateways")
    form = {name: page.hidden(name) for name in ("csrf", "key", "seen")}
    drain = {**form, "gateway": "cedar", "percent": "90", "minutes": "5", "reason": "=HYPERLINK(1)"}
    assert browser.post("/gateways/overrides/drains", drain).status == 303
    saved = browser.get("/gateways?format=csv&list=overrides").body.decode("utf-8-sig")
    assert "'=HYPERLINK(1)" in saved
    assert len(list(csv.reader(io.StringIO(saved, newline="")))) == 4


def test_every_form_of_every_page_is_drawn_from_what_is_given_back(pages: dict[str, str]) -> None:
    """Fails when a page's form has a field that its action's form has not: a refusal would lose what is typed there."""
    actions, seen = [action for family in ACTIONS.values() for action in family], set()
    for path, page in pages.items():
        for place, inner in re.findall(
            r'<form[^>]*method="post" action="([^"?]+)[^"]*"[^>]*>(.*?)</form>', page, re.DOTALL
        ):
            below = place.removeprefix(BASE)
            if below in SESSION_FORMS:
                continue
            action, _ = matched(actions, below)
            assert action.form is not None
            known = {each.name for each in action.form.fields} | {"csrf", "key", "merchant"}
            known |= {action.form.other[0]} if action.form.other else set()
            names = set(re.findall(r'<(?:input|textarea|select|button)[^>]* name="([^"]+)"', inner))
            assert names <= known, f"{path}: {names - known}"
            seen.add(action.path)
    # What these pages have no occasion for: a delivery that has ended, a match in force, a break that is only probable.
    rare = {one.path for one in actions if one.path.endswith(("/redeliver", "/unmatch", "/dismiss"))}
    assert seen == {action.path for action in actions} - rare
