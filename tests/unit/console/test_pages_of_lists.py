"""The pages of a list: what a caption says of them, the order that was asked for, and pages that the list has not."""

from __future__ import annotations

import base64
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from payonce.console.operators import Role
from payonce.paging import make_cursor
from payonce.ports import Insert, Table
from payonce.reconciliation.runs.run_log import RUNS_PARTITION
from tests.support.breaks import store_break, store_proposal
from tests.support.console import BASE, Browser, signed_in
from tests.support.console_views import payment_id_of
from tests.support.stocked_console import ENDPOINT_ID, RUN_ID, Stocked
from tests.support.webhooks import WebhookWorld

if TYPE_CHECKING:
    from payonce.wiring.application import Application

MADE_UP = base64.urlsafe_b64encode(b"pay_00000000000000000000000001.abcdefgh").decode().rstrip("=")


@pytest.fixture(scope="module")
def stocked() -> Stocked:
    return Stocked()


@pytest.fixture(scope="module")
def browser(stocked: Stocked) -> Browser:
    return signed_in(stocked.application, Role.APPROVER)


def captions(page: str) -> list[str]:
    return [
        " ".join(re.sub(r"<[^>]+>", " ", one).split()) for one in re.findall(r"<caption[^>]*>(.*?)</caption>", page)
    ]


def following(page: str) -> str:
    link = re.search(r'class="more"><a class="button" href="([^"]+)"', page)
    assert link is not None
    return unescape(link[1]).removeprefix(BASE)


def store_runs(application: Application, count: int, first: int = 0) -> None:
    names = ("as_of_ms", "seconds", "files", "rows", "breaks", "opened", "reopened", "closed", "notices")
    for number in range(first, first + count):
        run_id = f"run_{number:026d}"
        line = {**dict.fromkeys(names, 0), "run_id": run_id, "policy_refused": False}
        application.database.write(
            [Insert(Table.RECONCILIATION, {**line, "pk": RUNS_PARTITION, "sk": f"{number:013d}#{run_id}"})]
        )


def test_a_caption_counts_its_rows_and_claims_no_more(application: Application) -> None:
    """Fails when a page of fifty says "50 runs" although more follow, or a last page that it is all."""
    browser = signed_in(application, Role.VIEWER)
    store_runs(application, 3)
    assert captions(browser.get("/runs").text) == ["3 runs, newest first"]
    store_runs(application, 117, 3)
    first = browser.get("/runs").text
    second = browser.get(following(first)).text
    third = browser.get(following(second)).text
    assert [captions(page)[0] for page in (first, second, third)] == [
        "The first 50 runs; more may follow, newest first",
        "50 further runs; more may follow, newest first",
        "The last 20 runs, newest first",
    ]
    assert 'class="more"' not in third


def test_one_break_is_one(application: Application) -> None:
    merchant_id = application.merchants.create_merchant("Acme")
    store_break(application.database, merchant_id, "brk_" + "a" * 64, application.clock.now_ms())
    assert captions(signed_in(application, Role.VIEWER).get("/breaks").text) == ["1 break"]


def awaiting(application: Application, merchant_id: str, count: int) -> list[str]:
    """Store breaks whose corrections wait for a decision, and return their ids, the earliest deadline first."""
    ids = [f"brk_{number:064x}" for number in range(count)]
    for number, break_id in enumerate(ids):
        case = store_break(
            application.database, merchant_id, break_id, application.clock.now_ms(), payment_id_of(number)
        )
        store_proposal(application.database, case, expires_at_ms=application.clock.now_ms() + 60_000 * (number + 1))
    return ids


@pytest.mark.parametrize("of", ["", "merchant"])
def test_what_awaits_a_decision_is_sorted_as_asked_for(application: Application, of: str) -> None:
    """Fails when the order of what awaits approval is always the same, or is called another one than it is."""
    merchant_id = application.merchants.create_merchant("Acme")
    ids = awaiting(application, merchant_id, 120)
    browser = signed_in(application, Role.VIEWER)
    chosen = f"merchant={merchant_id}&" if of else ""
    for sort, expected, title in (
        ("urgent", ids, "earliest deadline first"),
        ("latest", ids[::-1], "latest deadline first"),
        ("", ids, "earliest deadline first"),
    ):
        page, found = browser.get(f"/breaks?{chosen}state=awaiting&sort={sort}").text, []
        for _ in range(3):
            found += re.findall(r'href="/production/console/breaks/(brk_[0-9a-f]{64})', page)
            assert re.findall(r"selected>([^<]+)<", page)[-1] == title
            if 'class="more"' in page:
                page = browser.get(following(page)).text
        assert found == expected


def test_open_breaks_are_sorted_as_before(application: Application) -> None:
    merchant_id = application.merchants.create_merchant("Acme")
    now_ms = application.clock.now_ms()
    ids = [f"brk_{number:064x}" for number in range(3)]
    for number, break_id in enumerate(ids):
        store_break(application.database, merchant_id, break_id, now_ms - 9 + number, payment_id_of(number))
    browser = signed_in(application, Role.VIEWER)
    for query, expected in (
        ("sort=urgent", ids),
        ("sort=latest", ids[::-1]),
        (f"merchant={merchant_id}&sort=oldest", ids),
        (f"merchant={merchant_id}&sort=newest", ids[::-1]),
    ):
        page = browser.get(f"/breaks?state=open&{query}").text
        assert re.findall(r"/breaks/(brk_[0-9a-f]{64})", page) == expected


PAGED = (
    "/payments",
    "/breaks",
    "/breaks?state=awaiting",
    "/runs",
    f"/runs/{RUN_ID}",
    "/files",
    "/audit",
    f"/webhooks/{ENDPOINT_ID}",
)


@pytest.mark.parametrize("path", PAGED)
@pytest.mark.parametrize("cursor", ["x", MADE_UP, "%00", make_cursor("pay_" + "0" * 26, ("another", "list"))])
def test_a_page_that_nobody_was_led_to_is_not_there(browser: Browser, stocked: Stocked, path: str, cursor: str) -> None:
    """Fails when a made-up place in a list is called an empty list, or leads nowhere."""
    where = f"{path}{'&' if '?' in path else '?'}merchant={stocked.merchant_id}&cursor={cursor}"
    answer = browser.get(where)
    assert answer.status == 404
    assert "The list has no such page" in answer.text
    first = re.search(
        r'href="([^"]+)">To the list&#39;s first page|href="([^"]+)">To the list\'s first page', answer.text
    )
    assert first is not None
    leads = browser.get(unescape(first[1] or first[2]).removeprefix(BASE))
    assert leads.status == 200
    assert "The list has no such page" not in leads.text


def test_a_page_behind_the_last_one_says_so(browser: Browser, stocked: Stocked) -> None:
    """Fails when the ninth page of one page of keys says that nothing is open."""
    for path in ("/keys?page=9", f"/keys?page=2&merchant={stocked.merchant_id}"):
        answer = browser.get(path)
        assert answer.status == 404
        assert "The list has no page" in answer.text
        assert "Nothing is open" not in answer.text
        assert ">To the first page</a>" in answer.text
    gone = browser.get(f"/webhooks?merchant={stocked.merchant_id}&after=we_zzz").text
    assert "The list has no such page" in gone
    assert "There is no endpoint" not in gone


def test_a_list_that_ends_with_a_page_has_an_end_that_is_not_called_empty(application: Application) -> None:
    """DynamoDB gives a place behind the last row of a full page: what is there is nothing, and not "no run yet"."""
    store_runs(application, 50)
    cursor = make_cursor(f"{0:013d}#run_{0:026d}", ("console", "runs"))
    behind = signed_in(application, Role.VIEWER).get(f"/runs?cursor={cursor}").text
    assert "There was no run yet." not in behind
    assert "The list has no such page." in behind
    assert f'href="{BASE}/runs">To its first page' in behind


@pytest.mark.parametrize(
    ("path", "wrong", "typed"),
    [
        ("/breaks?amount=12&age=3&currency=", "currency", "Name the currency of the amount."),
        ("/breaks?age=%3Cb%3E&kind=missing_in_bank", "age", "An age is a number of whole days"),
        ("/payments?{of}&min=1x&currency=EUR&reference=order+1", "min", "min is an amount of EUR"),
        ("/payments?{of}&from=yesterday", "from", "from is a date or a time"),
        ("/gateways?minutes=61", "minutes", "The minutes to look at"),
        ("/keys?{of}&key=short", "", "An idempotency key has"),
    ],
)
def test_a_filter_that_is_refused_comes_back(
    browser: Browser, stocked: Stocked, path: str, wrong: str, typed: str
) -> None:
    """Fails when one wrong field of a filter loses all the others."""
    answer = browser.get(path.format(of=f"merchant={stocked.merchant_id}"))
    assert answer.status == 400
    assert typed in answer.text
    assert "<b>" not in answer.text
    asked: dict[str, Any] = dict(
        re.findall(r'<input id="asked-\d+" name="([^"]+)" type="text" value="([^"]*)"', answer.text)
    )
    query = path.partition("?")[2].replace("{of}&", "")
    assert list(asked) == [part.partition("=")[0] for part in query.split("&")]
    marked = re.findall(r'name="([^"]+)"[^>]*aria-invalid', answer.text)
    assert marked == ([wrong] if wrong else [])


def test_webhook_endpoints_are_counted_as_a_whole(application: Application, stocked: Stocked) -> None:
    """There the whole number is known: a page says how many of how many it has."""
    hooks = WebhookWorld(clock=stocked.clock, database=application.database)
    for number in range(30):
        hooks.endpoint(f"we_{number:026d}")
    page = signed_in(application, Role.VIEWER).get(f"/webhooks?merchant={stocked.merchant_id}").text
    assert captions(page) == ["25 of 30 endpoints, oldest first"]
