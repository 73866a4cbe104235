"""One payment's story: complete, in order, only its merchant's, and honest about a doubt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from payonce.console.views import gathering
from payonce.console.views.payment import payment_page
from payonce.domain.delivery import Answer
from payonce.domain.dispute import dispute_id_of
from payonce.domain.errors import NotFound
from payonce.domain.gateway import CaptureMethod, Notice, NoticeOutcome, OperationKind
from payonce.domain.ids import event_id
from payonce.domain.payment import Change, PaymentStatus
from payonce.idempotency.release import ReleaseOrder
from payonce.notices.told import told_writes
from payonce.outbox import find_event
from payonce.payments.booking import first_writes
from payonce.payments.recovery_run import release_desk
from payonce.reconciliation.model import break_id_of
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.breaks import store_break
from tests.support.console_reads import CountingDatabase
from tests.support.console_views import AuditedTable, payment_id_of, sources_of
from tests.support.disputes import store_dispute
from tests.support.payments import stored_payment
from tests.support.webhooks import WebhookWorld
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.console.views.payment import PaymentPage

KEY = "key-of-a-shop-0001"


@pytest.fixture
def world() -> World:
    return World(database=CountingDatabase())


@pytest.fixture
def trail(world: World) -> AuditedTable:
    return AuditedTable(world)


def paid(world: World, **how: object) -> str:
    return str(json.loads(world.create(KEY, **how).response.body)["id"])  # type: ignore[arg-type]


def page_of(world: World, payment_id: str) -> PaymentPage:
    return payment_page(sources_of(world), MERCHANT, payment_id)


def titles(page: PaymentPage) -> list[str]:
    return [moment.title for moment in page.moments]


def test_a_captured_payment_tells_its_story_in_order(world: World, trail: AuditedTable) -> None:
    """Fails when a part of the story is missing or out of order, or the books do not balance."""
    payment_id = paid(world)
    world.clock.ms += 400
    trail.note()
    page = page_of(world, payment_id)
    assert titles(page) == [
        "Claimed: create_payment",
        "Routed to bank",
        "Sent to bank",
        "Payment captured",
        "Booked: payment.captured",
        "Concluded, and its answer stored: create_payment",
    ]
    assert (page.standing.stands, page.standing.is_settled) == ("The payment is captured and booked.", True)
    assert page.is_balanced
    assert {each.amount_minor for each in page.sums} == {1000, -1000}
    assert [key.view["state"] for key in page.keys] == ["completed"]
    assert page.notes == ()


def test_a_doubt_says_why_and_who_asks_next_until_it_is_resolved(world: World, trail: AuditedTable) -> None:
    """Fails when a payment in doubt does not say why, when it is asked about, or refreshes for ever."""
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    payment_id = paid(world)
    trail.note()
    page = page_of(world, payment_id)
    assert page.row is not None
    assert page.row.status is PaymentStatus.IN_DOUBT
    assert "not known whether bank has charged the payer" in page.standing.stands
    assert "recovery asks bank again by itself" in page.standing.next_step
    facts = {fact.name: fact for fact in page.standing.facts}
    assert "gave no answer" in facts["why"].text
    assert (facts["next question"].at_ms or 0) > world.clock.ms
    assert facts["look it up at bank as"].text == f"{payment_id}-1"
    assert not page.standing.is_settled
    (key,) = page.keys
    assert (key.is_open, key.references) == (True, (f"{payment_id}-1",))
    assert "Outcome unknown, left in doubt: create_payment" in titles(page)

    world.clock.ms = (facts["next question"].at_ms or 0) + 1
    assert "asks bank within a minute" in page_of(world, payment_id).standing.next_step
    world.clock.ms += 180_000
    assert "it is behind, or failing" in page_of(world, payment_id).standing.next_step
    world.gateway.lookup_fails = False
    world.recover()
    trail.note()
    page = page_of(world, payment_id)
    assert page.standing.is_settled
    assert page.row is not None
    assert page.row.status is PaymentStatus.CAPTURED
    told = titles(page)
    assert told.index("Payment in doubt") < told.index("Owner 2 took over and asks the gateway: create_payment")
    assert told[-1] == "Concluded, and its answer stored: create_payment"


def test_what_is_stored_of_a_request_in_flight_is_shown(world: World) -> None:
    """Fails when a payment that was never committed has no page: it is the one to be worried about."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    world.gateway.submit = killed  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        world.create(KEY)
    open_ids = [world.store.open_claims(shard, lease_expired_at_ms=10**15, limit=9) for shard in range(32)]
    (record,) = world.store.get_many([one for ids in open_ids for one in ids])
    page = page_of(world, record.claim_id)
    assert page.payment is None
    assert "being made right now" in page.standing.stands
    assert titles(page) == ["Claimed: create_payment", "Routed to bank", "Sent to bank, or about to be"]
    world.clock.ms = record.lease_expires_at_ms + 1
    assert "it may have charged the payer" in page_of(world, record.claim_id).standing.stands
    with pytest.raises(NotFound):
        payment_page(sources_of(world), "mer_2", record.claim_id)


def test_a_declined_payments_key_is_found_by_the_trail(world: World, trail: AuditedTable) -> None:
    """Fails when a payment that booked nothing has no key on its page."""
    world.gateway.script = ["decline"]
    answer = world.create(KEY)
    payment_id = json.loads(answer.response.body)["payment"]["id"]
    trail.note()
    page = page_of(world, payment_id)
    assert [key.view["operation"] for key in page.keys] == ["create_payment"]
    assert page.standing.stands == "The payment was declined: nobody was charged."


def test_captures_refunds_and_their_keys_are_part_of_it(world: World, trail: AuditedTable) -> None:
    payment_id = paid(world, capture=CaptureMethod.MANUAL)
    world.clock.ms += 60_000
    world.follow_up(OperationKind.CAPTURE, payment_id, "key-of-a-capture-1", 900)
    world.clock.ms += 60_000
    world.gateway.script = ["lost"]
    world.gateway.lookup_fails = True
    world.follow_up(OperationKind.REFUND, payment_id, "key-of-a-refund-01", 100)
    trail.note()
    page = page_of(world, payment_id)
    assert [(each.kind, each.status) for each in page.operations] == [("capture", "succeeded"), ("refund", "in_doubt")]
    assert {key.view["operation"] for key in page.keys} == {"create_payment", "capture", "refund"}
    assert not page.standing.is_settled
    assert any("The refund re_" in said and "in doubt" in said for said in page.standing.also)
    assert "Refund in doubt" in titles(page)
    assert page.is_balanced


def test_deliveries_are_told_with_each_attempt(world: World) -> None:
    """Fails when an attempt, its answer or what comes next is missing."""
    webhooks = WebhookWorld(clock=world.clock, database=world.database)
    webhooks.endpoint("we_" + "0" * 26)
    url = f"https://we_{'0' * 26}.example/"
    payment_id = paid(world)
    webhooks.receivers.scripts[url] = [Answer(status=500, latency_ms=70, excerpt="oh no")]
    event = find_event(world.database, MERCHANT, event_id(payment_id, 1))
    assert event is not None
    webhooks.relay_events(event)
    webhooks.dispatch()
    page = page_of(world, payment_id)
    assert "payment.captured not accepted: HTTP 500" in titles(page)
    assert "payment.captured to be delivered" in titles(page)
    assert "Webhook deliveries on their way, or waiting for their next attempt: 1." in page.standing.also


def test_disputes_breaks_and_gateways_events_are_told(world: World) -> None:
    payment_id = payment_id_of(5)
    store_dispute(world.database, MERCHANT, payment_id=payment_id, name="dp_bank")
    found = break_id_of(BreakClass.AMOUNT_MISMATCH, ("bank", f"{payment_id}-1"))
    other = payment_id_of(6)
    store_break(world.database, MERCHANT, found, world.clock.ms, payment_id=other)
    outcome = NoticeOutcome(
        kind=OperationKind.PAYMENT, executed=True, gateway_operation_id="psp_1", amount_minor=1050, currency="EUR"
    )
    notice = Notice(
        notice_id="ev_1", type="paid", created_at_ms=1, gateway_reference=f"{payment_id}-1", outcome=outcome
    )
    world.database.write(told_writes("bank", notice, now_ms=world.clock.ms))
    page = page_of(world, payment_id)
    assert [dispute.dispute_id for dispute in page.disputes] == [dispute_id_of(payment_id, "dp_bank")]
    assert "Dispute lost" in titles(page)
    assert "Reconciliation found a break: duplicate capture" in titles(page)
    assert "The gateway's event told: payment executed" in titles(page)
    assert "Reconciliation has an open break of it: duplicate capture." in page.standing.also
    assert page.is_balanced


def test_a_release_is_told_with_its_reason(world: World, trail: AuditedTable) -> None:
    world.gateway.script = ["lost"]
    world.gateway.lookup_fails = True
    payment_id = paid(world)
    trail.note()
    (key,) = page_of(world, payment_id).keys
    world.clock.ms += 3_600_000
    desk = release_desk(world.store, lambda _at: world.gateway, world.services)
    desk.release(
        ReleaseOrder(
            record_id=key.record_id,
            claim_id=key.view["claim_id"],
            fence=key.view["fence"],
            operator="ana",
            reason="Ticket 4711",
            finding="not there",
        )
    )
    trail.note()
    page = page_of(world, payment_id)
    (released,) = [moment for moment in page.moments if moment.title.startswith("Key given back")]
    assert released.title == "Key given back by operator:ana: create_payment"
    assert [fact.text for fact in released.facts] == ["Ticket 4711", "not there"]
    assert page.standing.stands == "The gateway did not execute the payment: nobody was charged."


def test_a_story_that_is_cut_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a part of a story passes for all of it."""
    monkeypatch.setattr(gathering, "MOST_CHANGES", 1)
    payment_id = paid(world)
    world.follow_up(OperationKind.REFUND, payment_id, "key-of-a-refund-01", 100)
    assert any("first 1 changes" in note for note in page_of(world, payment_id).notes)


def test_another_merchants_payment_is_not_found(world: World) -> None:
    """Fails when a payment is shown to a stranger who knows its id."""
    payment_id = paid(world)
    for foreign in (payment_id, payment_id_of(9), "we_" + "0" * 26, "nonsense"):
        with pytest.raises(NotFound):
            payment_page(sources_of(world), "mer_2", foreign)
    assert page_of(world, payment_id).payment is not None


def test_a_payment_reads_as_much_among_10_000_as_among_1_000() -> None:
    """Fails when a payment's page reads more where more is stored."""
    read = []
    for payments in (1_000, 10_000):
        world = World(database=(database := CountingDatabase()))
        trail = AuditedTable(world)
        wanted = paid(world)
        trail.note()
        for number in range(payments):
            payment = stored_payment(MERCHANT, payment_id_of(number), captured=True)
            world.database.write(first_writes(payment, Change.CHARGED, None))
        database.tally.clear()
        page_of(world, wanted)
        read.append((database.tally.round_trips, database.tally.units))
    assert read[0] == read[1]
    assert read[0][0] <= 8, read
    assert read[0][1] <= 30, read
