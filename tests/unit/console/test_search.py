"""The search box: every name finds its payment by a key, no stranger's, with reads that do not grow."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from payonce.console.views.finders import FINDERS
from payonce.console.views.search import Search, search
from payonce.domain.dispute import dispute_id_of
from payonce.domain.errors import BodyMalformed
from payonce.domain.gateway import Notice, NoticeOutcome, OperationKind
from payonce.domain.gateway_address import PLATFORM
from payonce.domain.ids import event_id
from payonce.domain.payment import Change
from payonce.domain.webhooks import DeliveryStatus
from payonce.notices.kept import insert_notice
from payonce.notices.told import told_writes
from payonce.outbox import find_event
from payonce.payments.booking import first_writes
from payonce.payments.setup_items import methods_at_gateway
from payonce.webhooks.deliveries import new_delivery
from payonce.webhooks.delivery_writes import insert_write
from tests.support.breaks import store_break
from tests.support.console_reads import CountingDatabase
from tests.support.console_views import payment_id_of, sources_of
from tests.support.disputes import store_dispute
from tests.support.payments import stored_payment
from tests.support.webhooks import WebhookWorld
from tests.support.world import MERCHANT, World

STRANGER = "mer_2"
KEY = "key-of-a-shop-0001"
BREAK = "brk_" + "0" * 64


class Killed(BaseException):
    """The end of a process."""


def killed(*_: object) -> None:
    raise Killed


@pytest.fixture
def world() -> World:
    return World(database=CountingDatabase())


def paid(world: World, key: str = KEY, **how: object) -> str:
    answer = world.create(key, **how)  # type: ignore[arg-type]
    return str(json.loads(answer.response.body)["id"])


def found(world: World, text: str, merchant_id: str = MERCHANT) -> Search:
    return search(sources_of(world), merchant_id, text)


def paths(world: World, text: str, merchant_id: str = MERCHANT) -> list[str]:
    return [hit.path for hit in found(world, text, merchant_id).hits]


def test_ids_that_hold_their_payments_id_find_it(world: World) -> None:
    """Fails when a payment's id, its reference at the gateway or its event's id does not lead to the payment."""
    payment_id = paid(world)
    for text in (payment_id, f"{payment_id}-1", f"  {payment_id}\n", event_id(payment_id, 1)):
        assert paths(world, text) == [f"/payments/{payment_id}"], text
        assert paths(world, text, STRANGER) == [], text
    assert found(world, payment_id).payments[payment_id].amount_minor == 1000


def test_a_key_finds_its_record_and_its_payment(world: World) -> None:
    payment_id = paid(world)
    assert paths(world, KEY) == ["/keys", f"/payments/{payment_id}"]
    assert paths(world, KEY, STRANGER) == []
    assert paths(world, KEY.upper()) == [], "a key in another spelling is another key"


def test_operations_are_found_by_their_id_and_reference(world: World) -> None:
    payment_id = paid(world)
    refunded = world.follow_up(OperationKind.REFUND, payment_id, "key-of-a-refund-01", 100)
    refund_id = json.loads(refunded.response.body)["id"]
    for text in (refund_id, f"{refund_id}-1"):
        assert paths(world, text) == [f"/payments/{payment_id}"]
        assert paths(world, text, STRANGER) == []


def test_a_payment_in_flight_is_found_by_its_claim(world: World) -> None:
    """Fails when a payment of which only the claim is stored can't be found: it is the one that is looked for."""
    world.gateway.submit = killed  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        world.create(KEY)
    open_ids = [world.store.open_claims(shard, lease_expired_at_ms=10**15, limit=9) for shard in range(32)]
    (record,) = world.store.get_many([one for ids in open_ids for one in ids])
    hits = found(world, record.claim_id).hits
    assert [(hit.what, hit.path) for hit in hits] == [("payment in flight", f"/payments/{record.claim_id}")]
    assert paths(world, record.claim_id, STRANGER) == []


def test_an_operation_in_flight_is_found_by_its_claim(world: World) -> None:
    payment_id = paid(world)
    world.gateway.submit = killed  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        world.follow_up(OperationKind.REFUND, payment_id, "key-of-a-refund-01", 100)
    open_ids = [world.store.open_claims(shard, lease_expired_at_ms=10**15, limit=9) for shard in range(32)]
    (record,) = world.store.get_many([one for ids in open_ids for one in ids])
    hits = found(world, record.claim_id).hits
    assert [(hit.what, hit.path) for hit in hits] == [("operation in flight", f"/payments/{payment_id}")]
    assert paths(world, record.claim_id, STRANGER) == []


def test_reference_and_customer_find_the_newest_and_lead_to_the_list(world: World) -> None:
    for number in range(1, 15):
        payment = stored_payment(MERCHANT, payment_id_of(number), captured=True)
        payment = replace(payment, created_at_ms=payment.created_at_ms + number, reference="order 1", customer="cus_1")
        world.database.write(first_writes(payment, Change.CHARGED, None))
    for text, name in (("order 1", "reference"), ("cus_1", "customer")):
        hits = found(world, text).hits
        assert (hits[0].path, hits[0].query) == ("/payments", {name: text})
        assert [hit.payment_id for hit in hits[1:]] == [payment_id_of(number) for number in range(14, 4, -1)]
        assert paths(world, text, STRANGER) == []


def test_a_dispute_a_break_an_endpoint_and_a_delivery_are_found(world: World) -> None:
    payment_id = payment_id_of(7)
    store_dispute(world.database, MERCHANT, payment_id=payment_id, name="dp_bank")
    dispute_id = dispute_id_of(payment_id, "dp_bank")
    store_break(world.database, MERCHANT, BREAK, 1, payment_id=payment_id_of(8))
    webhooks = WebhookWorld(clock=world.clock, database=world.database)
    endpoint_id = webhooks.endpoint("we_" + "0" * 26).endpoint_id
    event = find_event(world.database, MERCHANT, event_id(payment_id, 1))
    assert event is not None
    delivery = new_delivery(event, endpoint_id, DeliveryStatus.PENDING, now_ms=1)
    world.database.write([insert_write(delivery)])
    for text, path in (
        (dispute_id, f"/payments/{payment_id}"),
        (BREAK, f"/breaks/{BREAK}"),
        (endpoint_id, f"/webhooks/{endpoint_id}"),
        (event_id(endpoint_id, 1), f"/webhooks/{endpoint_id}"),
        (delivery.delivery_id, f"/webhooks/{endpoint_id}/deliveries/{delivery.delivery_id}"),
    ):
        assert paths(world, text) == [path]
        assert paths(world, text, STRANGER) == [], text


def test_events_of_gateways_lead_to_the_payment_that_is_the_merchants(world: World) -> None:
    """Fails when an event's own words decide whose the payment is, or when a charge that events told of isn't found."""
    payment_id = paid(world)
    outcome = NoticeOutcome(
        kind=OperationKind.PAYMENT, executed=True, gateway_operation_id="psp_1", amount_minor=1000, currency="EUR"
    )
    notice = Notice(
        notice_id="ev_1",
        type="charge.captured",
        created_at_ms=1,
        gateway_reference=f"{payment_id}-1",
        gateway_charge_id="psp_1",
        outcome=outcome,
    )
    world.database.write([insert_notice("bank", notice, b"{}", now_ms=1), *told_writes("bank", notice, now_ms=1)])
    for text in ("ev_1", "psp_1"):
        assert paths(world, text) == [f"/payments/{payment_id}"]
        assert paths(world, text, STRANGER) == []


def test_a_saved_method_leads_to_its_customers_payments(world: World) -> None:
    world.set_up()
    (method,) = methods_at_gateway(world.database, "bank", PLATFORM, "tok_0")
    method_id = method.method_id
    for text in (method_id, "tok_0"):
        (hit,) = found(world, text).hits
        assert (hit.path, hit.query) == ("/payments", {"customer": "cus_1"})
        assert paths(world, text, STRANGER) == []


def test_what_has_no_index_is_offered_to_be_looked_for(world: World) -> None:
    paid(world, payment_method="tok_of_a_payer")
    nothing = found(world, "tok_of_a_payer")
    assert (nothing.hits, nothing.look_through) == ((), {"payer": "tok_of_a_payer"})


def test_the_text_is_bounded(world: World) -> None:
    for text in ("", "  ", "x" * 256):
        with pytest.raises(BodyMalformed):
            found(world, text)
    for text in ("#", "mer_1#x", "\x00", "evt_", "evt_pay_1_0", "dp_", "🙂", "pay_" + "I" * 26):
        assert paths(world, text) == []


def test_every_kind_of_name_says_by_what_it_is_found() -> None:
    assert all(finder.name and finder.by for finder in FINDERS)


@pytest.mark.parametrize("text", ["order", "nobody-has-this-key", payment_id_of(3), "re_" + "0" * 26])
def test_a_search_reads_as_much_of_10_000_payments_as_of_1_000(text: str) -> None:
    """Fails when a search reads more where more is stored."""
    read = []
    for payments in (1_000, 10_000):
        world = World(database=(database := CountingDatabase()))
        for number in range(payments):
            payment = replace(stored_payment(MERCHANT, payment_id_of(number), captured=True), reference="order")
            world.database.write(first_writes(payment, Change.CHARGED, None))
        database.tally.clear()
        search(sources_of(world), MERCHANT, text)
        read.append((database.tally.round_trips, database.tally.units))
    assert read[0] == read[1]
    assert read[0][0] <= 20, read
    assert read[0][1] <= 60, read
