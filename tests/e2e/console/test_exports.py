"""Every list as CSV and as a workbook: opened by other programs than ours, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

import openpyxl
import pytest

from tests.e2e.console.crawl import LISTS
from tests.e2e.console.hostile import formulas
from tests.e2e.console.payloads import TRIGGERS
from tests.e2e.console.world import Shop

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


@pytest.fixture(scope="module")
def calculating(stack: Stack) -> Shop:
    """A shop whose references, keys and descriptions are formulas."""
    shop = Shop.opened(stack, "Formula Shop")
    for number, text in enumerate(formulas()):
        key = f"{text}{'k' * 20}{number}"
        visible = "".join(one for one in key if "!" <= one <= "~" and one not in ',"')
        shop.pay(100 + number, reference=text[:100], description=text[:200], metadata={text[:40]: text}, key=visible)
    shop.endpoint(description='=HYPERLINK("http://attacker.example","open")')
    shop.doubtful(key="=1+1kkkkkkkkkkkkkkkkkkk", reference="=1+1")
    return shop


def rows_of(body: bytes) -> list[list[str]]:
    """Return the rows of a CSV as another program reads them (RFC 4180)."""
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("path", LISTS)
def test_no_cell_of_an_export_is_a_formula(
    console: Console, keys: dict[str, str], calculating: Shop, path: str
) -> None:
    """By OWASP's list of beginnings; a negative number stays one."""
    raw = console.raw(keys["operator"])
    answer = raw.get(path, merchant=calculating.merchant_id, format="csv")
    assert answer.status == 200, answer.text[:300]
    assert answer.header("content-type").startswith("text/csv")
    assert re.match(r'attachment; filename="?[\w.-]+\.csv"?', answer.header("content-disposition"))
    rows = rows_of(answer.body)
    assert rows, "at least the header"
    assert len({len(row) for row in rows}) == 1
    for row in rows:
        for cell in row:
            assert not cell.startswith(TRIGGERS) or NUMBER.fullmatch(cell), cell
    workbook = raw.get(path, merchant=calculating.merchant_id, format="xlsx")
    assert workbook.status == 200
    assert "spreadsheetml" in workbook.header("content-type")
    opened = openpyxl.load_workbook(io.BytesIO(workbook.body))
    for sheet in opened.worksheets:
        for cells in sheet.iter_rows():
            for cell in cells:
                assert cell.data_type != "f", cell.value
                assert cell.hyperlink is None, cell.value
                text = str(cell.value or "")
                assert not (cell.data_type == "s" and text.startswith(TRIGGERS) and not NUMBER.fullmatch(text)), text
    assert b"<f>" not in workbook.body
    assert opened.worksheets[0].max_row == len(rows)


def test_an_export_has_what_the_page_shows(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop, console: Console
) -> None:
    """The link on the page keeps the filter, and the file has its rows, amounts as numbers with their currency."""
    person = visit(keys["viewer"])
    person.open("/payments", {"merchant": shop.merchant_id, "status": "declined"})
    with person.page.expect_download() as got:
        person.main().get_by_role("link", name=re.compile("csv", re.I)).first.click()
    body = got.value.path().read_bytes()
    rows = rows_of(body)
    flat = [cell for row in rows for cell in row]
    assert "order-declined" in flat
    assert "order-paid" not in flat
    assert any(re.fullmatch(r"7[.,]00|700", cell) for cell in flat), rows
    assert "EUR" in flat
    with person.page.expect_download() as got:
        person.main().get_by_role("link", name=re.compile("xlsx|workbook|excel", re.I)).first.click()
    body = got.value.path().read_bytes()
    assert body.startswith(b"PK"), body[:200]
    opened = openpyxl.load_workbook(io.BytesIO(body))
    values = [cell.value for row in opened.worksheets[0].iter_rows() for cell in row]
    assert "order-declined" in values
    assert "order-paid" not in values


def test_every_list_offers_its_exports(console: Console, keys: dict[str, str], calculating: Shop) -> None:
    raw = console.raw(keys["viewer"])
    for path in LISTS:
        # Of a merchant for whom nobody did anything the trail is empty; the platform's has the sign-ins.
        chosen = {} if path == "/audit" else {"merchant": calculating.merchant_id}
        page = raw.get(path, **chosen).text
        assert "format=csv" in page, path
        assert "format=xlsx" in page, path
