"""A payments team looks for payments, and watches one in doubt: what a person sees in Chromium."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.e2e.console.world import BANK, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.stack import Stack
    from tests.e2e.console.person import Person
    from tests.e2e.console.world import Shop

DOUBT = re.compile(r"in[ _]doubt", re.I)


def look_for(person: Person, shop: Shop, text: str) -> None:
    """Search for the text on the page of payments."""
    person.open("/payments", {"merchant": shop.merchant_id})
    person.page.get_by_label(re.compile("search|find|look for", re.I)).first.fill(text)
    person.page.get_by_label(re.compile("search|find|look for", re.I)).first.press("Enter")
    person.page.wait_for_load_state("load")


def shows(person: Person, payment_id: str) -> None:
    """Assert that the payment is shown, alone or in a list."""
    expect(person.main().get_by_text(payment_id).first).to_be_visible()


def test_a_payment_in_doubt_is_found_understood_and_seen_to_resolve(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop, stack: Stack
) -> None:
    """Fails when the overview does not count it, the filter does not find it, or its page does not say why."""
    reference = f"doubt-{uuid.uuid4().hex[:8]}"
    payment_id = shop.doubtful(reference=reference)
    person = visit(keys["viewer"])
    expect(person.main().get_by_text(DOUBT).first).to_be_visible()
    person.go("Payments")
    person.open("/payments", {"merchant": shop.merchant_id})
    person.page.get_by_label(re.compile("status", re.I)).first.select_option("in_doubt")
    person.main().get_by_role("button", name=re.compile("filter|search|show|apply", re.I)).first.click()
    expect(person.page).to_have_url(re.compile("status=in_doubt"))
    person.main().get_by_role("link").filter(has_text=re.compile(f"{reference}|{payment_id[:12]}")).first.click()
    expect(person.main().get_by_text(payment_id).first).to_be_visible()
    expect(person.main().get_by_text(DOUBT).first).to_be_visible()
    # Why: that the gateway did not answer, or what was lost; and what happens next.
    expect(person.main().get_by_text(re.compile("no answer|lost|unknown|not known|not sure|connection", re.I)).first)
    assert re.search(r"answer|lost|unknown|not known|certain|connection", person.text(), re.I), person.text()

    def resolved() -> bool:
        shop.recover()
        return str(shop.payment(payment_id)["status"]) != "in_doubt"

    wait_for(resolved, "recovery has asked the bank")
    person.reload_until(person.main().get_by_text(re.compile("captured", re.I)))
    assert len(stack.bank.charges(bank=BANK, reference=f"{payment_id}-1")) <= 1
    expect(person.main().get_by_text(re.compile("claim", re.I)).first).to_be_visible()


def test_a_payment_is_found_by_whatever_somebody_holds_in_the_hand(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop
) -> None:
    """Its id, its reference, its idempotency key, the payer's token and the gateway's reference."""
    key = f"held-{uuid.uuid4()}"
    reference = f"ref {uuid.uuid4().hex[:8]} <b>&amp;"
    token = f"pm_{uuid.uuid4().hex}"
    payment_id = shop.pay(4_711, key=key, reference=reference, payment_method=token)["id"]
    person = visit(keys["viewer"])
    for held in (payment_id, reference, key, token, f"{payment_id}-1"):
        look_for(person, shop, held)
        shows(person, payment_id)
    look_for(person, shop, f"nothing-{uuid.uuid4().hex}")
    expect(person.main().get_by_text(payment_id)).to_have_count(0)
    assert re.search(r"no payment|nothing|none|not found", person.text(), re.I), "an empty state says so"


def test_a_filter_is_in_the_address_and_opens_for_somebody_else(
    visit: Callable[..., Person], keys: dict[str, str], shop: Shop
) -> None:
    """A deep link, the back button, and a second person."""
    first = visit(keys["viewer"])
    first.open("/payments", {"merchant": shop.merchant_id})
    rows = first.main().get_by_role("row")
    expect(rows.first).to_be_visible()
    all_rows = rows.count()
    first.page.get_by_label(re.compile("status", re.I)).first.select_option("declined")
    first.main().get_by_role("button", name=re.compile("filter|search|show|apply", re.I)).first.click()
    expect(first.page).to_have_url(re.compile("status=declined"))
    expect(first.main().get_by_text("order-declined").first).to_be_visible()
    expect(first.main().get_by_text("order-paid")).to_have_count(0)
    link = first.page.url
    second = visit(keys["operator"])
    second.page.goto(link)
    expect(second.main().get_by_text("order-declined").first).to_be_visible()
    expect(second.page.get_by_label(re.compile("status", re.I)).first).to_have_value("declined")
    first.page.go_back()
    expect(first.main().get_by_text("order-paid").first).to_be_visible()
    assert first.main().get_by_role("row").count() == all_rows


def test_a_deep_link_survives_the_sign_in(visit: Callable[..., Person], keys: dict[str, str], shop: Shop) -> None:
    """Who follows a link without a session signs in, and is where the link led."""
    person = visit()
    with person.expecting_refusals():
        person.open("/payments", {"merchant": shop.merchant_id, "status": "declined"})
    expect(person.page).to_have_url(re.compile("/sign-in"))
    person.page.get_by_label(re.compile("key", re.I)).first.fill(keys["viewer"])
    person.page.get_by_role("button", name=re.compile("sign in", re.I)).click()
    expect(person.page).to_have_url(re.compile("status=declined"))
    expect(person.main().get_by_text("order-declined").first).to_be_visible()


def test_the_whole_story_is_on_one_time_line(visit: Callable[..., Person], keys: dict[str, str], shop: Shop) -> None:
    """Claim, submission, commit, journal, event, delivery and refund, in their order."""
    endpoint = shop.endpoint(description="story")
    payment_id = shop.pay(2_222, reference="a-story")["id"]
    shop.ask("POST", f"/payments/{payment_id}/refunds", {"amount_minor": 222})
    wait_for(
        lambda: [one for one in shop.deliveries(str(endpoint["id"])) if one["status"] == "delivered"], "a delivery"
    )
    person = visit(keys["viewer"])
    person.open(f"/payments/{payment_id}", {"merchant": shop.merchant_id})
    for word in ("claim", "captured", "refund", "deliver", "journal"):
        person.reload_until(person.main().get_by_text(re.compile(word, re.I)))
    text = person.text()
    assert "22.22" in text
    assert "2.22" in text
    times = person.main().locator("time").evaluate_all("all => all.map(one => one.dateTime)")
    assert len(times) >= 4
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00)", one) for one in times), times


def test_money_is_shown_in_its_currencys_form(visit: Callable[..., Person], keys: dict[str, str], shop: Shop) -> None:
    """The yen has no decimals and the dinar three (ISO 4217)."""
    person = visit(keys["viewer"])
    person.open("/payments", {"merchant": shop.merchant_id})
    text = person.text().replace("\u00a0", " ").replace("\u202f", " ")
    assert re.search(r"9[,. ]?900 ?JPY|JPY ?9[,. ]?900|¥9,900", text), text[:2000]
    assert re.search(r"12[.,]345 ?KWD|KWD ?12[.,]345", text)
    assert re.search(r"12[.,]50 ?EUR|EUR ?12[.,]50|€12.50", text)


def test_ids_are_copied_by_a_click(visit: Callable[..., Person], keys: dict[str, str], shop: Shop) -> None:
    """The clipboard holds the whole id, and the page says that it was copied."""
    payment_id = shop.pay(800)["id"]
    person = visit(keys["viewer"])
    person.open(f"/payments/{payment_id}", {"merchant": shop.merchant_id})
    person.main().get_by_role("button", name=re.compile(f"copy.*{payment_id}", re.I)).first.click()
    wait_for(lambda: person.page.evaluate("navigator.clipboard.readText()"), "something is in the clipboard", seconds=5)
    assert person.page.evaluate("navigator.clipboard.readText()") == payment_id
    assert re.search("copied", person.page.locator("body").inner_text(), re.I)


def test_times_are_local_and_the_hover_is_utc(visit: Callable[..., Person], keys: dict[str, str], shop: Shop) -> None:
    """A person in New York reads New York's clock; without scripts it is UTC and says so."""
    payment_id = shop.pay(801)["id"]
    path, query = f"/payments/{payment_id}", {"merchant": shop.merchant_id}
    person = visit(keys["viewer"], time_zone="America/New_York")
    person.open(path, query)
    shown = person.main().locator("time").first
    expect(shown).to_be_visible()
    machine, said, title = (
        shown.get_attribute("datetime") or "",
        shown.inner_text(),
        shown.get_attribute("title") or "",
    )
    hour_utc, hour_there = (
        machine[11:13],
        str(
            person.page.evaluate(
                "iso => new Date(iso).toLocaleTimeString('en-GB', {hour: '2-digit', timeZone: 'America/New_York'})",
                machine,
            )
        )[:2],
    )
    assert "UTC" in title or title.endswith("Z"), title
    assert f"{hour_utc}:" in title
    assert hour_utc != hour_there
    assert re.search(rf"\b{hour_there}:|\b{int(hour_there) % 12 or 12}:", said), (machine, said)
    plain = visit(keys["viewer"], scripts=False)
    plain.open(path, query)
    unscripted = plain.main().locator("time").first.inner_text()
    assert f"{hour_utc}:" in unscripted
    assert "UTC" in unscripted or "Z" in unscripted
