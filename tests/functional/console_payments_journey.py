"""What operators do on the console's pages of payments, keys and webhooks, for the test of the functions' roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.console.operators import Role
from payonce.domain.ids import event_id
from payonce.domain.webhooks import DeliveryStatus
from payonce.outbox import find_event
from payonce.webhooks.deliveries import new_delivery
from payonce.webhooks.delivery_writes import insert_write, status_write
from tests.functional.test_console_payments import KEY, NAMES, Shop
from tests.functional.test_roles import LOCAL_CLOUD, ON_GATEWAYS, TOLD
from tests.support.console import signed_in
from tests.support.roles import Grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.webhooks.deliveries import Delivery
    from tests.support.console import Browser, Handler

JUST_USED = {
    Grant(
        "dynamodb:UpdateItem", "ConsoleTable", ("SESSION#*",), ("pk", "sk", "seen_at_ms")
    ): "A page has just noted it."
}
NOT_ASKED_FOR = {
    # A release asks no gateway, so it needs no book either of those that can't be asked.
    "key_actions": JUST_USED | {grant: why for grant, why in ON_GATEWAYS.items() if grant != TOLD},
    "webhook_actions": JUST_USED
    | {
        Grant("sqs:SendMessageBatch", "DeliveryQueue"): LOCAL_CLOUD,
        Grant(
            "dynamodb:GetItem", "IdempotencyTable"
        ): "Whoever waits for another's claim, or lost an answer, reads it.",
    },
}


def look_and_act(shop: Shop, handlers: Callable[[str], Handler]) -> None:
    """Look at every page with what it shows, find by every kind of name, and use every form."""
    endpoint_id = shop.endpoint()
    payment_id = shop.pay(KEY, customer="cus_1", reference="order 1", capture="manual")
    shop.call("capture_payment", {"amount_minor": 1000}, "key-of-a-capture-1", payment_id=payment_id)
    shop.bank.script[:] = ["lost"]
    shop.bank.lookup_fails = True
    doubt_id = shop.pay("key-of-a-doubt-00001")
    shop.bank.script[:] = ["lost"]
    shop.call("refund_payment", {"amount_minor": 100}, "key-of-a-refund-01", payment_id=payment_id)
    made = failed_delivery(shop, endpoint_id, payment_id)
    browser = signed_in(shop.application, Role.APPROVER, shop.merchant_id, handlers)
    here = f"/webhooks/{endpoint_id}"
    one = f"{here}/deliveries/{made.delivery_id}"
    pages = ("/payments", "/payments?customer=cus_1", "/payments?reference=order+1", "/keys", f"/keys?key={KEY}")
    finds = [name.format("0" * 26) for name in NAMES]
    finds += [f"brk_{'0' * 64}", payment_id, "order", KEY, made.delivery_id, endpoint_id]
    stories = (f"/payments/{payment_id}", f"/payments/{doubt_id}", "/webhooks", here, one)
    for path in (*pages, *(f"/payments?q={name}" for name in finds), *stories):
        assert browser.get(path).status == 200, path
    shop.application.clock.offset_ms += 600_000  # type: ignore[attr-defined]
    for path in (f"/payments/{doubt_id}", f"/payments/{payment_id}"):
        release(browser, path)
    for number, expected in enumerate((303, 303, 409)):
        form = {"csrf": browser.csrf(), "key": f"form_{number // 2}" + "0" * 25}
        assert browser.post(f"{one}/redeliver", form).status == expected
    ranged = {
        "csrf": browser.csrf(),
        "from": "2020-01-01T00:00",
        "until": "2020-01-02T00:00",
        "key": "form_" + "3" * 26,
    }
    assert [browser.post(f"{here}/replays", ranged).status for _ in range(2)] == [303, 303]
    for number, status in enumerate(("disabled", "enabled")):
        form = {"csrf": browser.csrf(), "key": f"form_{number + 4}" + "0" * 25, "status": status}
        assert browser.post(f"{here}/status", form).status == 303


def failed_delivery(shop: Shop, endpoint_id: str, payment_id: str) -> Delivery:
    """Store a delivery of the payment's first event that has failed for good."""
    database = shop.application.database
    told = find_event(database, shop.merchant_id, event_id(payment_id, 1))
    assert told is not None
    made = new_delivery(told, endpoint_id, DeliveryStatus.PENDING, now_ms=shop.application.clock.now_ms())
    database.write([insert_write(made)])
    database.write([status_write(made, DeliveryStatus.FAILED, at_ms=made.created_at_ms)])
    return made


def release(browser: Browser, path: str) -> None:
    """Release the first open claim of the page, twice: the second copy of the form finds the first one's release."""
    page = browser.get(path)
    fields = {name: page.hidden(name) for name in ("csrf", "key", "record_id", "claim_id", "fence", "next")}
    for _ in range(2):
        done = browser.post("/keys/release", {**fields, "reason": "Ticket 1", "finding": "not there"})
        assert done.status == 303, done.text
