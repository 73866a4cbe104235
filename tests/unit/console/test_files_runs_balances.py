"""Files, runs and balances in the console: what they show, what an upload becomes, and what the pages cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.console.operators import Role
from payonce.console.views.files import files
from payonce.console.views.runs import one_run, runs
from payonce.domain.errors import NotFound
from payonce.payments.journal import ACCOUNT_PREFIX, balance_partition
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.readers.read import file_id_of
from payonce.reconciliation.runs.files import KnownFile, remember_file
from payonce.reconciliation.runs.run_log import RUNS_PARTITION
from payonce.reconciliation.runs.upload_desk import MAX_UPLOAD_BYTES
from payonce.reconciliation.runs.uploads import remember_refusal
from payonce.wiring.settings import load_settings
from tests.support.console import signed_in
from tests.support.read_costs import CountedReads
from tests.unit.console.requests import page_request
from tests.unit.reconciliation.test_inbox import REPORT, STATEMENT

if TYPE_CHECKING:
    from payonce.wiring.application import Application
    from tests.support.console import Browser, Seen

BAD = STATEMENT.replace(b",5.50", b",five")
BOUNDARY = "----formboundary7MA4"


def send_file(browser: Browser, name: str, body: bytes, fields: dict[str, str] | None = None) -> Seen:
    """Send the upload form as a browser does."""
    page = browser.get("/files")
    told = {"csrf": page.hidden("csrf"), "key": page.hidden("key"), **(fields or {})}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in told.items()
    ]
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    head = f"--{BOUNDARY}\r\n{disposition}\r\nContent-Type: text/csv\r\n\r\n"
    whole = "".join(parts).encode() + head.encode() + body + f"\r\n--{BOUNDARY}--\r\n".encode()
    return browser.post("/files", {}, body=whole, content_type=f"multipart/form-data; boundary={BOUNDARY}")


def test_a_bad_bank_file_says_which_line_is_wrong_and_what_to_do(application: Application) -> None:
    """Fails when who uploads a file learns only that it was refused."""
    browser = signed_in(application, Role.OPERATOR)
    answer = send_file(browser, "march.csv", BAD)
    assert (answer.status, answer.location) == (303, f"/files/{file_id_of(BAD)}")
    page = browser.get(answer.location).text
    for told in ("Line 3", "amount", "&#39;five&#39; is not an amount", "To do:", "plain amounts", "five,BANK1"):
        assert told in page, told
    assert "/accept" not in page
    assert "can&#39;t be accepted" in browser.get("/files").text
    assert application.files.stored.keys() == {f"uploads/{file_id_of(BAD)}", f"readings/{file_id_of(BAD)}.json"}  # type: ignore[attr-defined]


def test_a_good_file_is_shown_first_and_accepted_by_a_second_step(application: Application) -> None:
    browser = signed_in(application, Role.OPERATOR)
    place = send_file(browser, "march.csv", STATEMENT).location
    page = browser.get(place)
    for told in ("2026-03-01", "5.50 EUR", "pay_1, BANK1", "Shop Order 7", "proves itself"):
        assert told in page.text, told
    form = {"csrf": page.hidden("csrf"), "key": page.hidden("key")}
    assert [browser.post(f"{place}/accept", form).status for _ in range(2)] == [303, 303]
    arrived = [name for name in application.files.stored if name.startswith("incoming/")]  # type: ignore[attr-defined]
    assert arrived == [f"incoming/bank/console/{file_id_of(STATEMENT)[:16]}-march.csv"]
    assert "handed in" in browser.get("/files").text
    remember_refusal(application.database, arrived[0], "It <b>is</b> not wanted.", application.clock.now_ms() + 1)
    listed = browser.get("/files").text
    assert ("It &lt;b&gt;is" in listed, ">refused<" in listed) == (True, True)


def test_a_gateways_report_asks_for_its_gateway(application: Application) -> None:
    gateways = '[{"name": "shop_a", "kind": "stripe"}, {"name": "shop_b", "kind": "stripe"}]'
    application.settings = load_settings({"PAYONCE_GATEWAYS": gateways, "PAYONCE_DEFAULT_GATEWAY": "shop_a"})
    browser = signed_in(application, Role.OPERATOR)
    place = send_file(browser, "report.csv", REPORT).location
    page = browser.get(place)
    gateway = "shop_b"
    form = {"csrf": page.hidden("csrf"), "key": page.hidden("key")}
    assert browser.post(f"{place}/accept", {**form, "gateway": "nobody"}).status == 422
    assert f'<option value="{gateway}">' in page.text
    assert browser.post(f"{place}/accept", {**form, "gateway": gateway}).status == 303


def test_a_known_file_says_when_it_was_accepted(application: Application) -> None:
    known = KnownFile(
        file_id=file_id_of(STATEMENT),
        name="incoming/bank/before.csv",
        file_format="generic_bank_csv",
        gateway=None,
        received_at_ms=1_790_000_000_000,
    )
    remember_file(application.database, known)
    browser = signed_in(application, Role.OPERATOR)
    place = send_file(browser, "again.csv", STATEMENT).location
    page = browser.get(place)
    assert "incoming/bank/before.csv" in page.text
    assert "2026-09-21" in page.text
    form = {"csrf": page.hidden("csrf"), "key": page.hidden("key")}
    assert "/accept" not in page.text
    assert browser.post(f"{place}/accept", form).status == 422


def test_what_is_no_file_or_too_large_is_said(application: Application) -> None:
    browser = signed_in(application, Role.OPERATOR)
    assert f"{MAX_UPLOAD_BYTES:,} bytes" in browser.get("/files").text
    assert send_file(browser, "a.csv", b"").status == 422
    assert send_file(browser, "a.csv", b"x" * (MAX_UPLOAD_BYTES + 1)).status == 413
    csrf = browser.get("/files").hidden("csrf")
    assert browser.post("/files", {"csrf": csrf}).status == 422
    for path in ("/files/x", "/files/" + "0" * 64, "/files/..%2Fpolicy"):
        assert browser.get(path).status == 404
    place = send_file(browser, "a.csv", STATEMENT).location
    assert browser.get(f"{place}?from=x").status == 400
    assert browser.get(f"{place}?from=9999").status == 200


def test_a_viewer_uploads_nothing_and_a_merchants_operator_finds_no_files(application: Application) -> None:
    viewer = signed_in(application, Role.VIEWER)
    assert 'type="file"' not in viewer.get("/files").text
    csrf = viewer.get("/files").hidden("csrf")
    assert viewer.post("/files", {"csrf": csrf}).status == 403
    assert viewer.post("/files/" + "0" * 64 + "/accept", {"csrf": csrf}).status == 403
    merchant_id = application.merchants.create_merchant("Acme")
    bound = signed_in(application, Role.APPROVER, merchant_id)
    csrf = bound.get("/audit").hidden("csrf")
    assert bound.post("/files", {"csrf": csrf}).status == 404


def test_pages_of_files_and_runs_cost_the_same_whatever_there_is(application: Application) -> None:
    """Fails when a page reads more as there are more."""
    counted = CountedReads(application.database)
    application.database = counted  # type: ignore[misc]
    costs = []
    for number in range(2_000):
        known = KnownFile(
            file_id=f"{number:064x}", name=f"n{number}", file_format="camt", gateway=None, received_at_ms=number
        )
        remember_file(counted, known)
        remember_refusal(counted, f"n{number}", "x", number)
        item = dict.fromkeys(
            ("as_of_ms", "seconds", "files", "rows", "breaks", "opened", "reopened", "closed", "notices"), 0
        )
        run = {**item, "run_id": f"run_{number:026d}", "policy_refused": False}
        counted.write(
            [Insert(Table.RECONCILIATION, {**run, "pk": RUNS_PARTITION, "sk": f"{number:013d}#run_{number:026d}"})]
        )
        if number in (199, 1_999):
            counted.reset()
            files(application, page_request(application))
            of_files = (counted.round_trips, counted.items, counted.units)
            counted.reset()
            runs(application, page_request(application))
            costs.append((of_files, (counted.round_trips, counted.items, counted.units)))
    assert costs[0] == costs[1]
    assert costs[0][0][:2] == (3, 70)
    assert costs[0][1][:2] == (1, 50)
    browser = signed_in(application)
    page = browser.get("/runs").text
    assert page.count('href="/production/console/runs/run_') == 50
    older = (
        page.partition('class="more"')[2].partition('href="')[2].partition('"')[0].removeprefix("/production/console")
    )
    assert browser.get(older).text.count('href="/production/console/runs/run_') == 50
    older = browser.get("/files").text.partition('class="more"')[2].partition('href="')[2].partition('"')[0]
    assert browser.get(older.removeprefix("/production/console")).text.count('data-label="File">n19') == 70


def test_there_is_no_report_of_a_run_that_is_not_in_the_log(application: Application) -> None:
    with pytest.raises(NotFound):
        one_run(application, page_request(application, run_id="run_x"))
    assert "There was no run yet." in signed_in(application).get("/runs").text


def test_balances_are_in_their_currencys_form_and_sum_to_zero(application: Application) -> None:
    merchant_id = application.merchants.create_merchant("Acme")
    _book(application, merchant_id, "EUR", 123_450)
    _book(application, merchant_id, "JPY", 700)
    _book(application, merchant_id, "KWD", 1_234)
    browser = signed_in(application, Role.VIEWER, merchant_id)
    page = browser.get("/balances").text
    for told in ("1\u202f234.50 EUR", "-1\u202f234.50 EUR", "700 JPY", "1.234 KWD", "What the gateway owes."):
        assert told in page, told
    assert page.count(">sums to zero<") == 3
    saved = browser.get("/balances?format=csv").body.decode("utf-8-sig").splitlines()
    assert saved[1] == "EUR,gateway_receivable:bank,What the gateway owes.,1234.50"
    assert browser.get("/balances?format=xlsx").body.startswith(b"PK")


def test_a_journal_that_does_not_sum_to_zero_is_an_alarm(application: Application) -> None:
    """Fails when a page shows broken books as if nothing were wrong."""
    merchant_id = application.merchants.create_merchant("Acme")
    _book(application, merchant_id, "EUR", 5, other=-4)
    page = signed_in(application, Role.VIEWER, merchant_id).get("/balances").text
    assert "does not sum to zero" in page
    assert "Nothing may be paid out" in page


def test_an_operator_of_the_platform_chooses_whose_balances(application: Application) -> None:
    merchant_id = application.merchants.create_merchant("Acme")
    browser = signed_in(application)
    assert "Choose a merchant" in browser.get("/balances").text
    assert "Nothing is booked yet." in browser.get(f"/balances?merchant={merchant_id}").text


def _book(
    application: Application, merchant_id: str, currency: str, amount_minor: int, other: int | None = None
) -> None:
    other = -amount_minor if other is None else other
    accounts = {
        f"{ACCOUNT_PREFIX}gateway_receivable:bank": amount_minor,
        f"{ACCOUNT_PREFIX}merchant_payable": other,
    }
    key = {"pk": balance_partition(merchant_id, 1), "sk": f"{currency}#0001"}
    application.database.write([Adjust(table=Table.LEDGER, key=key, add=accounts, upsert=True)])
