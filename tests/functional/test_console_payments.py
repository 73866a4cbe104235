"""The console's pages of payments, keys and webhooks, behind its own handlers, each within its function's role."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import openpyxl
import pytest

from payonce.console.operators import Role
from payonce.domain.ids import event_id
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import find_event
from payonce.ports import Table
from payonce.webhooks.deliveries import delivery_from, delivery_key, new_delivery
from payonce.webhooks.delivery_writes import insert_write, status_write
from tests.functional.conftest import load_handler
from tests.support.console import BASE, Browser, signed_in
from tests.support.events import Context, event

if TYPE_CHECKING:
    from payonce.wiring.delivery import DeliveryApplication
    from tests.support.console import Seen

KEY = "key-of-a-shop-00001"
XSS = "\"><script>alert(1)</script>'"


class Shop:
    """A merchant that pays, and operators who look."""

    def __init__(self, application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> None:
        self.application = application
        self.handler = partial(load_handler, application=application, monkeypatch=monkeypatch)
        self.merchant_id = application.merchants.create_merchant("Acme")
        self.other_id = application.merchants.create_merchant("Other")
        self._browsers: dict[tuple[Role, str | None], Browser] = {}

    @property
    def bank(self) -> Any:
        """The gateway, whose script a test writes."""
        return self.application._gateways["bank"]

    def call(self, operation: str, body: dict[str, Any], key: str, **named: str) -> dict[str, Any]:
        """Call the API as the merchant, and return the answer's document."""
        asked = event(body, key=key, merchant_id=self.merchant_id, path=named)
        answer = self.handler(operation)(asked, Context())
        assert answer["statusCode"] < 300, answer["body"]
        return dict(json.loads(answer["body"]))

    def pay(self, key: str = KEY, **members: Any) -> str:
        """Make a payment and return its id."""
        body = {"amount_minor": 1050, "currency": "EUR", "payment_method": "pm_visa", **members}
        return str(self.call("create_payment", body, key)["id"])

    def endpoint(self) -> str:
        """Make a webhook endpoint and return its id."""
        body = {"url": "https://shop.example/hooks", "event_types": ["*"]}
        return str(self.call("create_webhook_endpoint", body, "key-of-an-endpoint")["id"])

    def browser(self, role: Role = Role.OPERATOR, merchant_id: str | None = "") -> Browser:
        """Return a browser with an operator of the merchant signed in; ``None`` for one of the platform."""
        whose = self.merchant_id if merchant_id == "" else merchant_id
        if (role, whose) not in self._browsers:
            self._browsers[role, whose] = signed_in(self.application, role, whose, self.handler)
        return self._browsers[role, whose]


@pytest.fixture
def shop(application: DeliveryApplication, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop, with the console's functions within their roles."""
    return Shop(application, monkeypatch)


def forms(page: Seen) -> str:
    """Return the token of the page's forms."""
    return page.hidden("csrf")


def test_a_payment_is_found_seen_and_saved(shop: Shop) -> None:
    """Fails when a page is missing, is not within its role, or when a merchant's text is markup."""
    payment_id = shop.pay(reference=XSS, customer="cus_1", description=XSS, metadata={"note": XSS})
    browser = shop.browser(Role.VIEWER)
    for path in ("/payments", f"/payments/{payment_id}", "/payments?reference=none", f"/payments?q={payment_id}"):
        page = browser.get(path)
        assert page.status == 200, page.text
        assert "<script>alert" not in page.text
    listed = browser.get("/payments")
    assert payment_id in listed.text
    assert "10.50\u202fEUR" in listed.text or "10.50 EUR" in listed.text
    story = browser.get(f"/payments/{payment_id}").text
    assert "The payment is captured and booked." in story
    assert "its entries balance" in story
    assert "every 5s" not in story, "a settled payment is not asked for again"
    assert "Release" not in story
    found = browser.get(f"/payments?q={KEY}").text
    assert payment_id in found
    assert "idempotency key" in found
    saved = browser.get("/payments?format=csv")
    assert saved.headers["content-type"] == ["text/csv; charset=utf-8"]
    rows = list(csv.reader(io.StringIO(saved.body.decode("utf-8-sig"), newline="")))
    assert (rows[1][0], rows[1][9]) == (payment_id, XSS)
    sheet = openpyxl.load_workbook(io.BytesIO(browser.get("/payments?format=xlsx").body)).active
    assert (sheet["A2"].value, sheet["C2"].value) == (payment_id, 10.5)


NAMES = (
    "pay_{}", "re_{}", "dp_{}_0000000000000000", "we_{}", "whd_{}", "method_{}", "evt_pay_{}_1", "evt_we_{}_1",
)  # fmt: skip


@pytest.mark.parametrize("text", [*(name.format("0" * 26) for name in NAMES), f"brk_{'0' * 64}", f"cor_{'0' * 40}-1"])
def test_each_kind_of_name_is_looked_up_within_the_role(shop: Shop, text: str) -> None:
    """Fails when the role lacks what a finder reads."""
    shop.endpoint()
    page = shop.browser(Role.VIEWER).get(f"/payments?q={text}")
    assert page.status == 200
    assert "Nothing has this name" in page.text


def test_another_merchants_payment_key_and_endpoint_do_not_exist(shop: Shop) -> None:
    """Fails when an operator of one merchant sees or changes another's."""
    payment_id, endpoint_id = shop.pay(), shop.endpoint()
    stranger = shop.browser(merchant_id=shop.other_id)
    for path in (f"/payments/{payment_id}", f"/webhooks/{endpoint_id}", f"/webhooks/{endpoint_id}/deliveries/whd_1"):
        assert stranger.get(path).status == 404, path
    assert payment_id not in stranger.get("/payments").text
    assert "Nothing has this name" in stranger.get(f"/payments?q={payment_id}").text
    assert "Nothing has this name" in stranger.get(f"/payments?q={KEY}").text
    assert stranger.get(f"/payments/{payment_id}?merchant={shop.merchant_id}").status == 404
    fields = {"csrf": forms(stranger.get("/audit")), "key": "form_" + "0" * 26, "status": "disabled"}
    assert stranger.post(f"/webhooks/{endpoint_id}/status", fields).status == 404


def test_a_doubt_is_seen_and_released_with_a_reason_once(shop: Shop) -> None:
    """Fails when a doubt is not explained, or when a second copy of the form does anything or says anything else."""
    shop.bank.script[:] = ["lost"]
    shop.bank.lookup_fails = True
    payment_id = shop.pay()
    browser = shop.browser()
    page = browser.get(f"/payments/{payment_id}")
    assert "not known whether bank has charged the payer" in page.text
    assert 'hx-trigger="every 5s"' in page.text
    assert "Release this key" in page.text
    listed = browser.get("/keys")
    assert payment_id in listed.text
    assert "in doubt" in listed.text
    fields = {name: page.hidden(name) for name in ("csrf", "key", "record_id", "claim_id", "fence", "next")}
    refused = browser.post("/keys/release", {**fields, "reason": "Ticket 1", "finding": "not there"})
    assert refused.status == 409 or refused.status == 400, "the owner may be at work"
    shop.application.clock.offset_ms += 600_000  # the session lasts on
    page = browser.get(f"/payments/{payment_id}")
    sent = {**fields, "csrf": forms(page), "reason": "Ticket 4711 <b>", "finding": "not there"}
    assert browser.post("/keys/release", {**sent, "reason": ""}).status >= 400
    for _ in range(2):
        done = browser.post("/keys/release", sent)
        assert (done.status, done.location) == (303, f"/payments/{payment_id}")
    approver = shop.browser(Role.APPROVER)
    assert approver.post("/keys/release", {**sent, "csrf": approver.csrf()}).status == 404, "somebody else's release"
    after = browser.get(f"/payments/{payment_id}").text
    told = f"The key of claim {payment_id} was released (Ticket 4711 &lt;b&gt;): it may be used again."
    assert told in after
    assert told in browser.get("/audit").text, "who asks why reads the list of acts"
    assert "The gateway did not execute the payment" in after
    # The trail of a claim is found by its key; that of a payment by the stream's entries, of which there are none here.
    assert "Ticket 4711 &lt;b&gt;" in browser.get(f"/keys?key={KEY}").text
    assert "every 5s" not in after
    audited = browser.get("/audit").text
    assert "/keys/release" in audited
    assert "refused" in audited


def test_a_release_is_an_operators_of_that_merchant_and_by_force_an_approvers(shop: Shop) -> None:
    """Fails when a viewer, a stranger, or an operator by force releases a claim."""
    shop.bank.script[:] = ["lost"]
    shop.bank.lookup_fails = True
    payment_id = shop.pay()
    fields = {}
    page = shop.browser().get(f"/payments/{payment_id}")
    for name in ("key", "record_id", "claim_id", "fence", "next"):
        fields[name] = page.hidden(name)
    fields |= {"reason": "Ticket 1", "finding": "not there"}
    shop.application.clock.offset_ms += 600_000  # the session lasts on
    viewer = shop.browser(Role.VIEWER)
    assert viewer.post("/keys/release", {**fields, "csrf": viewer.csrf()}).status == 403
    stranger = shop.browser(merchant_id=shop.other_id)
    assert stranger.post("/keys/release", {**fields, "csrf": stranger.csrf()}).status == 404
    operator = shop.browser()
    assert operator.post("/keys/release", {**fields, "csrf": operator.csrf(), "force": "yes"}).status == 403
    for broken in ({"fence": "0"}, {"fence": "x"}, {"record_id": "x"}, {"claim_id": "pay_other"}):
        assert operator.post("/keys/release", {**fields, "csrf": operator.csrf(), **broken}).status >= 400
    page_now = operator.get(f"/payments/{payment_id}").text
    assert "not known whether bank has charged the payer" in page_now
    approver = shop.browser(Role.APPROVER)
    assert approver.post("/keys/release", {**fields, "csrf": approver.csrf(), "force": "yes"}).status == 303


def test_where_a_release_leads_is_a_page_of_the_console(shop: Shop) -> None:
    """Fails when the form's own field sends the operator to another site."""
    shop.bank.script[:] = ["lost"]
    shop.bank.lookup_fails = True
    payment_id = shop.pay()
    shop.application.clock.offset_ms += 600_000  # the session lasts on
    browser = shop.browser()
    page = browser.get(f"/payments/{payment_id}")
    fields = {name: page.hidden(name) for name in ("csrf", "key", "record_id", "claim_id", "fence")}
    sent = {**fields, "reason": "r", "finding": "f", "next": "//evil.example/"}
    assert browser.post("/keys/release", sent).location == "/keys"


def test_a_key_is_looked_up(shop: Shop) -> None:
    payment_id = shop.pay()
    browser = shop.browser(Role.VIEWER)
    page = browser.get(f"/keys?key={KEY}").text
    assert f"/payments/{payment_id}" in page
    assert "Executed: a copy gets the same answer" in page
    assert "has not used this key" in browser.get("/keys?key=key-that-nobody-has-used").text
    assert browser.get("/keys?key=short").status == 400
    assert browser.get("/keys?page=0").status == 400
    assert browser.get("/keys?format=csv").status == 200
    everywhere = shop.browser(Role.VIEWER, merchant_id=None)
    assert everywhere.get("/keys").status == 200, "what is in doubt of all merchants"
    assert everywhere.get(f"/keys?key={KEY}").status == 400
    assert payment_id in everywhere.get(f"/keys?key={KEY}&merchant={shop.merchant_id}").text


def test_an_endpoint_is_disabled_enabled_replayed_and_a_delivery_repeated(shop: Shop) -> None:
    """Fails when one of the actions is not done, is done twice, or is not within its role."""
    endpoint_id, payment_id = shop.endpoint(), shop.pay()
    database = shop.application.database
    told = find_event(database, shop.merchant_id, event_id(payment_id, 1))
    assert told is not None
    made = new_delivery(told, endpoint_id, DeliveryStatus.PENDING, now_ms=shop.application.clock.now_ms())
    database.write([insert_write(made)])
    browser = shop.browser()
    assert "https://shop.example/hooks" in browser.get("/webhooks").text
    path = f"/webhooks/{endpoint_id}/deliveries/{made.delivery_id}"
    assert "nothing to repeat yet" in browser.get(path).text
    database.write([status_write(made, DeliveryStatus.FAILED, at_ms=made.created_at_ms)])
    page = browser.get(path)
    assert "Deliver again" in page.text
    fields = {"csrf": forms(page), "key": page.hidden("key")}
    # The first hidden key of a page is the theme's form; each form has its own.
    for _ in range(2):
        done = browser.post(f"{path}/redeliver", fields)
        assert (done.status, done.location) == (303, path)
    stored = database.get(Table.DELIVERIES, delivery_key(shop.merchant_id, endpoint_id, made.delivery_id))
    assert stored is not None
    assert delivery_from(stored).status is DeliveryStatus.PENDING
    assert browser.post(f"{path}/redeliver", {"csrf": browser.csrf()}).status == 400, "a form without a key"

    here = f"/webhooks/{endpoint_id}"
    ranged = {"csrf": browser.csrf(), "from": "2020-01-01T00:00", "until": "2020-01-02T00:00"}
    assert browser.post(f"{here}/replays", {**ranged, "key": "form_" + "1" * 26}).status == 303
    wrong = ({"from": "2020-01-03T00:00"}, {"until": ""}, {"only": "held"}, {"only": "x"})
    for number, fields_of in enumerate(wrong):
        sent = {**ranged, "key": f"form_{number + 2}" + "2" * 25, **fields_of}
        assert browser.post(f"{here}/replays", sent).status == 400, fields_of

    assert (
        browser.post(f"{here}/status", {"csrf": browser.csrf(), "key": "form_" + "8" * 26, "status": "x"}).status == 400
    )
    off = browser.post(f"{here}/status", {"csrf": browser.csrf(), "key": "form_" + "8" * 26, "status": "disabled"})
    assert off.status == 303
    assert "somebody disabled it" in browser.get(here).text
    on = browser.post(f"{here}/status", {"csrf": browser.csrf(), "key": "form_" + "9" * 26, "status": "enabled"})
    assert on.status == 303
    assert "somebody disabled it" not in browser.get(here).text
    for query in ("?status=failed", "?format=csv", "?format=xlsx"):
        assert browser.get(here + query).status == 200
    assert browser.get("/webhooks?format=csv").status == 200
    assert browser.get(f"{here}?status=nonsense").status == 400
    viewer = shop.browser(Role.VIEWER)
    assert "Deliver again" not in viewer.get(path).text
    for action in (f"{path}/redeliver", f"{here}/replays", f"{here}/status"):
        assert viewer.post(action, {"csrf": viewer.csrf(), "key": "form_" + "7" * 26}).status == 403


def test_a_form_that_is_sent_twice_starts_one_replay(shop: Shop) -> None:
    """Fails when the second copy of a form starts a second replay, or is told otherwise than the first."""
    here = f"/webhooks/{shop.endpoint()}"
    browser = shop.browser()
    sent = {"csrf": browser.csrf(), "from": "2020-01-01T00:00", "until": "2020-01-02T00:00", "key": "form_" + "1" * 26}
    first, second = (browser.post(f"{here}/replays", sent) for _ in range(2))
    assert (first.status, first.location) == (second.status, second.location) == (303, here)
    assert browser.get(here).text.count('data-label="Replay"') == 1
    other = browser.post(f"{here}/replays", {**sent, "until": "2020-01-03T00:00"})
    assert other.status == 422, "one form's key with other fields"


def test_captures_refunds_and_disputes_are_on_the_page_within_the_role(shop: Shop) -> None:
    payment_id = shop.pay(capture="manual")
    shop.call("capture_payment", {"amount_minor": 1000}, "key-of-a-capture-1", payment_id=payment_id)
    refunded = shop.call("refund_payment", {"amount_minor": 100}, "key-of-a-refund-01", payment_id=payment_id)
    browser = shop.browser(Role.VIEWER)
    page = browser.get(f"/payments/{payment_id}").text
    assert refunded["id"] in page
    assert "Part of the captured payment is refunded." in page
    assert payment_id in browser.get(f"/payments?q={refunded['id']}").text


def test_a_live_page_sends_no_story_that_is_known(shop: Shop) -> None:
    """Fails when the page of a doubt is swapped whole every five seconds: who reads it would lose the place."""
    shop.bank.script[:] = ["lost"]
    shop.bank.lookup_fails = True
    payment_id = shop.pay()
    browser = shop.browser(Role.VIEWER)
    whole = browser.get(f"/payments/{payment_id}").text
    link = unescape(whole.partition('hx-get="')[2].partition('"')[0]).removeprefix(BASE)
    asked = {"hx-request": "true"}
    again = browser.get(link, asked).text
    assert 'id="standing"' in again
    assert 'id="story"' not in again
    assert 'id="keys"' not in again
    changed = browser.get(f"/payments/{payment_id}?seen=0.0&owned=x", asked).text
    assert 'id="story"' in changed
    assert 'id="keys"' in changed


def test_filters_that_are_none_say_what_to_do(shop: Shop) -> None:
    browser = shop.browser(Role.VIEWER)
    for query, said in (
        ("min=5", "needs a currency"),
        ("status=x", "status is one of"),
        ("from=x", "is a date"),
        ("format=pdf", "format=csv"),
    ):
        page = browser.get(f"/payments?{query}")
        assert (page.status, said in page.text) == (400, True), query
    page = browser.get("/payments?cursor=x")
    assert (page.status, "The list has no such page" in page.text) == (404, True)
    assert browser.get("/payments/nonsense").status == 404
    assert browser.get("/payments/pay_" + "0" * 26).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/payments/{}",
        "/payments?q={}",
        "/payments?cursor={}",
        "/payments?customer={}",
        "/payments?reference={}",
        "/keys?key={}",
        "/webhooks/{}",
        "/webhooks?after={}",
        "/webhooks/{0}/deliveries/{0}",
    ],
)
def test_hostile_names_are_answered_with_a_page(shop: Shop, path: str) -> None:
    """Fails when a name in an address or a field is markup, or brings a page down."""
    browser = shop.browser(Role.VIEWER)
    for text in (
        XSS,
        "'\"><img src=x onerror=alert(1)>",
        "{{7*7}}",
        "\x00",
        "%00",
        "\u202e",
        "é" * 120,
        "#",
        "..",
        "=1+1",
    ):
        page = browser.get(path.format(quote(text, safe="")))
        assert page.status in (200, 400, 404), (page.status, text)
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert ">49<" not in page.text
