"""The audit page: newest first, in pages, of one merchant or all, and as a file that runs no formula."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import openpyxl

from payonce.console.operators import Role
from payonce.console.parts import Parts
from tests.support.console import signed_in

if TYPE_CHECKING:
    from payonce.wiring.application import Application

FORMULA = '=HYPERLINK("https://evil.example","x")'


def noted(application: Application, number: int, merchant_id: str | None, result: str = "done") -> None:
    """Write an act, a millisecond after the one before."""
    application.clock.ms += 1  # type: ignore[attr-defined]
    Parts(application).acts.note(
        principal="operator:ann", operation="/x", on=f"/x/{number}", merchant_id=merchant_id, result=result
    )


def test_a_page_has_fifty_acts_and_leads_to_the_older_ones(application: Application) -> None:
    for number in range(60):
        noted(application, number, None)
    browser = signed_in(application, Role.VIEWER)
    first = browser.get("/audit").text
    assert first.count("<tr>") == 51
    older = re.search(r'href="/production/console(/audit[?]cursor=[^"]+)">Older', first)
    assert older is not None
    second = browser.get(older[1]).text
    assert 'class="more"' not in second
    shown = [int(number) for number in re.findall(r">/x/(\d+)<", first + second)]
    assert shown == list(reversed(range(60)))


def test_one_merchants_acts_are_those_about_it(application: Application) -> None:
    one, other = (application.merchants.create_merchant(name) for name in ("One", "Other"))
    noted(application, 1, one)
    noted(application, 2, other)
    bound = signed_in(application, Role.VIEWER, one)
    assert "/x/1<" in bound.get("/audit").text
    assert "/x/2<" not in bound.get("/audit").text
    everybody = signed_in(application, Role.VIEWER)
    assert {"/x/1<" in everybody.get("/audit").text, "/x/2<" in everybody.get("/audit").text} == {True}
    assert "/x/1<" not in everybody.get(f"/audit?merchant={other}").text


def test_the_list_is_saved_and_no_text_of_it_is_a_formula(application: Application) -> None:
    """Fails when what somebody typed runs in the spreadsheet of whoever looks into the trail."""
    noted(application, 1, None, FORMULA)
    browser = signed_in(application, Role.VIEWER)
    csv = browser.get("/audit?format=csv")
    assert csv.headers["content-disposition"] == ['attachment; filename="audit.csv"']
    assert FORMULA[1:10] in csv.text
    assert not re.search(r"(^|,|\")=HYPERLINK", csv.text)
    book = openpyxl.load_workbook(io.BytesIO(browser.get("/audit?format=xlsx").body))
    cells = [cell for row in book.active.iter_rows() for cell in row]  # type: ignore[union-attr]
    assert [cell.data_type for cell in cells if str(cell.value).endswith(FORMULA[1:])] == ["s"]
    assert browser.get("/audit?format=pdf").status == 400
