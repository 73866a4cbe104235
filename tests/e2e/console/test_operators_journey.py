"""What operators do: drain a gateway, redeliver a webhook, release a key. Each says who did it and why."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Client
from tests.e2e.console.world import Shop, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from local.receiver import Received
    from local.stack import Stack
    from tests.e2e.console.conftest import Console
    from tests.e2e.console.person import Person

HELD_GATEWAY, HELD_BANK = "late_bank", "late"


def form_of(person: Person, button: str) -> Locator:
    """Return the form with the button."""
    return (
        person.main().locator("form").filter(has=person.page.get_by_role("button", name=re.compile(button, re.I))).first
    )


def drain(person: Person, gateway: str, reason: str) -> None:
    """Fill in the form that drains, and send it."""
    person.open("/gateways")
    form = form_of(person, "^drain")
    form.get_by_label("Gateway").select_option(gateway)
    form.get_by_label(re.compile("reason", re.I)).fill(reason)
    form.get_by_role("button", name=re.compile("^drain", re.I)).click()


def release(person: Person, reason: str) -> None:
    """End the override, if there is one."""
    person.open("/gateways")
    form = form_of(person, "^(release|end)")
    if form.count():
        form.get_by_label(re.compile("reason", re.I)).fill(reason)
        form.get_by_role("button", name=re.compile("^(release|end)", re.I)).click()
        expect(person.page.get_by_role("status").first).to_contain_text(re.compile("release|end", re.I))


def test_a_gateway_is_drained_with_a_reason_and_released(
    visit: Callable[..., Person], keys: dict[str, str], stack: Stack
) -> None:
    """New payments go elsewhere at once, the page says who did it and why, and after the release they come back."""
    routed = _routed(stack)
    assert "honouring_bank" in {routed.pay(500)["gateway"] for _ in range(12)}
    reason = f"maintenance {uuid.uuid4().hex[:6]}"
    person = visit(keys["operator"])
    person.go("Gateways")
    drain(person, "honouring_bank", reason)
    expect(person.main().get_by_text(reason).first).to_be_visible()
    time.sleep(2)  # payments follow within 1.5 s
    assert {routed.pay(500)["gateway"] for _ in range(12)} == {"sandbox_bank"}
    release(person, "the maintenance is over")
    time.sleep(2)
    assert "honouring_bank" in {routed.pay(501)["gateway"] for _ in range(12)}
    person.open("/audit")
    expect(person.main().get_by_text(reason).first).to_be_visible()


def test_without_a_reason_nothing_is_drained(visit: Callable[..., Person], keys: dict[str, str], stack: Stack) -> None:
    """Whatever the browser's own check of the form is, the server refuses, and says what is missing."""
    person = visit(keys["operator"])
    person.open("/gateways")
    person.page.evaluate("document.querySelectorAll('form').forEach(one => { one.noValidate = true })")
    with person.expecting_refusals():
        form_of(person, "^drain").get_by_role("button", name=re.compile("^drain", re.I)).click()
        expect(person.page.get_by_role("alert").first).to_contain_text(re.compile("reason", re.I))
    assert "drain" not in stack.operator("routing", "show").stdout


def test_the_last_gateway_is_not_drained(visit: Callable[..., Person], keys: dict[str, str]) -> None:
    """Draining both leaves payments without a route: the second is refused, in words."""
    person = visit(keys["operator"])
    try:
        drain(person, "honouring_bank", "one of both")
        expect(person.page.get_by_role("status").first).to_contain_text(re.compile("drain", re.I))
        with person.expecting_refusals():
            drain(person, "sandbox_bank", "the other one, too")
            expect(person.page.get_by_role("alert").first).to_contain_text(re.compile("no gateway would be left", re.I))
    finally:
        release(person, "it was a test")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_webhook_is_redelivered(
    visit: Callable[..., Person], keys: dict[str, str], stack: Stack, shop: Shop, scripts: bool
) -> None:
    """The receiver gets the same event once more, also when the browser runs no scripts."""
    endpoint = shop.endpoint(description=f"to redeliver {uuid.uuid4().hex[:6]}")
    payment_id = shop.pay(610)["id"]

    delivery = wait_for(lambda: _captured(shop, str(endpoint["id"])), "the delivery")

    def came() -> list[Received]:
        got = stack.receiver.received(str(endpoint["path"]))
        return [one for one in got if one.headers["webhook-id"] == delivery["event_id"]]

    before = len(came())
    person = visit(keys["operator"], scripts=scripts)
    person.open("/webhooks", {"merchant": shop.merchant_id})
    person.main().get_by_role("link").filter(has_text=re.compile(re.escape(str(endpoint["path"])))).first.click()
    row = person.main().get_by_role("row").filter(has_text="payment.captured")
    expect(row.first).to_contain_text(re.compile("delivered", re.I))
    row.get_by_role("link").first.click()
    person.main().get_by_role("button", name=re.compile("redeliver|again", re.I)).first.click()
    expect(person.page.get_by_role("status").first).to_contain_text(re.compile("redeliver|again|sent|queued", re.I))
    wait_for(lambda: len(came()) > before, "the same event again")
    assert payment_id in came()[-1].body.decode()


def test_a_double_click_redelivers_once(
    visit: Callable[..., Person], keys: dict[str, str], stack: Stack, shop: Shop
) -> None:
    """The form carries its own key: submitting it twice acts once."""
    endpoint = shop.endpoint(description="clicked twice")
    shop.pay(611)
    delivery = wait_for(lambda: _captured(shop, str(endpoint["id"])), "the delivery")

    def came() -> int:
        got = stack.receiver.received(str(endpoint["path"]))
        return sum(one.headers["webhook-id"] == delivery["event_id"] for one in got)

    person = visit(keys["operator"])
    person.open(f"/webhooks/{endpoint['id']}/deliveries/{delivery['id']}", {"merchant": shop.merchant_id})
    person.main().get_by_role("button", name=re.compile("redeliver|again", re.I)).first.dblclick()
    wait_for(lambda: came() > 1, "the redelivery")
    person.page.wait_for_timeout(3_000)
    assert came() == 2


def test_a_key_is_released_with_a_reason(visit: Callable[..., Person], console: Console, stack: Stack) -> None:
    """The bank books nothing: a person has looked there, says so, and the key works again."""
    merchant_id, api_key = stack.create_merchant("Held", gateway=HELD_GATEWAY, holder="ann")
    held = Shop(stack, "Held", merchant_id, Client(stack, api_key))
    key = f"stuck-{uuid.uuid4()}"
    body = {"amount_minor": 3100, "currency": "EUR", "payment_method": "pm_sandbox_visa"}
    with stack.bank.misbehaving(HELD_BANK, "drop_before_booking"):
        assert held.ask("POST", "/payments", body, key=key).status == 202
        name = f"ada {uuid.uuid4().hex[:4]}"
        person = visit(console.add(name, "operator"))
        person.open("/keys", {"merchant": merchant_id})
        person.main().get_by_label(re.compile("look up a key", re.I)).fill(key)  # a record holds its hash alone
        person.main().get_by_role("button", name=re.compile("look up", re.I)).click()
        expect(person.main().get_by_role("heading").filter(has_text=key)).to_be_visible()
        reason = f"ticket {uuid.uuid4().hex[:6]}"

        def released() -> bool:
            person.open("/keys", {"merchant": merchant_id, "key": key})
            person.main().locator("summary").filter(has_text=re.compile("release this key", re.I)).first.click()
            form = form_of(person, "^release").first
            form.get_by_label(re.compile("reason", re.I)).fill(reason)
            form.get_by_label(re.compile("found", re.I)).fill("nothing is booked there")
            with person.expecting_refusals():
                form.get_by_role("button", name=re.compile("^release", re.I)).click()
                done = person.page.get_by_role("status").filter(has_text="was released")
                expect(done.or_(person.main().get_by_role("alert")).first).to_be_visible()
            return done.count() > 0

        wait_for(released, "a release: its lease must have run out", seconds=180)
    assert held.ask("GET", f"/idempotency-keys/{key}?operation=create_payment").json()["data"][0]["state"] == "released"
    again = held.ask("POST", "/payments", body, key=key)
    assert again.status == 201
    person.open("/audit", {"merchant": merchant_id})
    person.reload_until(person.main().get_by_text(reason))
    expect(person.main().get_by_text(re.compile(name)).first).to_be_visible()


def _captured(shop: Shop, endpoint_id: str) -> dict[str, Any]:
    """Return the delivery of a payment's event, once it was delivered."""
    done = [one for one in shop.deliveries(endpoint_id) if one["status"] == "delivered"]
    return next((one for one in done if one["event_type"] == "payment.captured"), {})


def _routed(stack: Stack) -> Shop:
    """Return a merchant whom routing may send anywhere."""
    merchant_id, api_key = stack.create_merchant("Routed")
    return Shop(stack, "Routed", merchant_id, Client(stack, api_key))
