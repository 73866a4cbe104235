"""An event is a hint to ask: doubts end at once, what was done at the gateway is booked once, nothing else happens."""

from __future__ import annotations

import itertools
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import AmountExceedsAvailable, BodyMalformed, PaymentStateConflict, StoreUnavailable
from payonce.domain.gateway import CaptureMethod, ChargeState, OperationKind
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus
from payonce.notices.applying import MAX_TRIES
from payonce.notices.kept import NoticeState, find_notice, listed_notices, notice_of
from payonce.notices.message import ApplyMessage
from payonce.ports import Adjust, Deadline, Insert, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.holding import HoldingGateway
from tests.support.notice_stage import Stage
from tests.support.world import FORGETFUL, LATE, MERCHANT, World
from tests.unit.payments.test_attempts import Killed

if TYPE_CHECKING:
    from payonce.idempotency.records import IdempotencyRecord, KeyedResponse

CAPTURE, VOID, REFUND = OperationKind.CAPTURE, OperationKind.VOID, OperationKind.REFUND
CHARGED = {"gateway_receivable:bank": 1000, "merchant_payable": -1000}
NOBODYS = "pay_01K8X3Q5ZC4T9V7W2M6N8P0R1S"
HOUR_MS = 3_600_000


def told(answer: KeyedResponse) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(answer.response.body)
    return document


def claim(stage: Stage, key: str = "key", operation: str = "create_payment") -> IdempotencyRecord:
    found = stage.world.store.get(record_id(MERCHANT, operation, key))
    assert found is not None
    return found


def in_doubt(stage: Stage, word: str = "booked_lost") -> str:
    """Create a payment whose outcome is not known, and let the gateway answer again; return its id."""
    gateway = stage.world.gateway
    gateway.script, gateway.lookup_fails = [word], True
    payment = told(stage.world.create())
    assert payment["status"] == "in_doubt"
    gateway.lookup_fails = False
    payment_id: str = payment["id"]
    return payment_id


def captured(stage: Stage) -> str:
    payment_id: str = told(stage.world.create())["id"]
    return payment_id


def authorized(stage: Stage, *, single: bool = False) -> str:
    stage.world.gateway.capabilities = replace(FORGETFUL, multiple_captures=not single)
    payment_id: str = told(stage.world.create(capture=CaptureMethod.MANUAL))["id"]
    return payment_id


# ---------------------------------------------------------------- doubts


def test_a_doubt_ends_with_the_event_and_not_with_the_schedule() -> None:
    """Fails when the claim is left until it is due: the clock has not moved, and no recovery has run."""
    stage = Stage()
    payment_id = in_doubt(stage)
    assert claim(stage).lease_expires_at_ms > stage.world.clock.ms
    assert stage.world.recover().seen == 0
    began_ms = stage.world.clock.ms
    key = stage.post(f"{payment_id}-1")
    assert stage.apply() == ["applied"]
    assert stage.world.clock.ms == began_ms
    assert stage.state(key) is NoticeState.APPLIED
    assert stage.payment(payment_id).status.value == "captured"
    assert stage.events(payment_id) == ["payment.in_doubt", "payment.captured"]
    assert stage.balances() == CHARGED
    assert len(stage.world.gateway.bookings) == 1
    again = stage.world.create()
    assert (again.replayed, told(again)["status"]) == (True, "captured")


def test_a_doubt_that_the_gateway_does_not_know_of_stays_one_and_is_asked_about_again() -> None:
    """The gateway's lookups are behind its events. Fails when the event is done with, or something is sent again."""
    stage = Stage(World(gateway=None))  # type: ignore[arg-type]
    stage.world.gateway.capabilities, stage.world.gateway.visible_after_ms = LATE, 12_000
    payment_id = in_doubt(stage)
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["later: its claim is still open"]
    assert stage.payment(payment_id).status.value == "in_doubt"
    outcomes = stage.apply_all(stage.world.clock.ms + 60_000)
    assert (outcomes[-1], len(stage.world.gateway.submissions)) == ("applied", 1)
    assert stage.payment(payment_id).status.value == "captured"
    assert stage.events(payment_id) == ["payment.in_doubt", "payment.captured"]


def test_a_request_that_is_being_answered_is_left_to_its_owner() -> None:
    """The event is faster than our own commit. Fails when it takes the lease from who may still send."""
    stage = Stage()
    seen: list[Any] = []
    submit = stage.world.gateway.submit

    def submitting(instruction: Any, deadline: Any) -> Any:
        outcome = submit(instruction, deadline)
        stage.post(instruction.gateway_reference)
        seen.extend(stage.apply())
        seen.append(claim(stage).fence)
        return outcome

    stage.world.gateway.submit = submitting  # type: ignore[method-assign]
    payment_id = captured(stage)
    assert seen == ["later: somebody is at work on it", 1]
    assert stage.events(payment_id) == ["payment.captured"]
    assert stage.apply_all(stage.world.clock.ms + 60_000) == ["applied"]
    assert stage.events(payment_id) == ["payment.captured"]


@pytest.mark.parametrize("kind", [OperationKind.PAYMENT, REFUND])
def test_an_owner_that_died_before_any_commit_is_followed_when_its_lease_ends(kind: OperationKind) -> None:
    """Nothing is stored but the claim: it is found by its id. Fails when the event is taken for one about nothing."""
    stage = Stage()
    payment_id = captured(stage) if kind is REFUND else ""
    submit, sent = stage.world.gateway.submit, []

    def dying(instruction: Any, deadline: Any) -> Any:
        submit(instruction, deadline)
        sent.append(instruction.gateway_reference)
        raise Killed

    stage.world.gateway.submit = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        stage.world.follow_up(REFUND, payment_id, "key-1", 400) if kind is REFUND else stage.world.create()
    stage.world.gateway.submit = submit  # type: ignore[method-assign]
    began_ms = stage.world.clock.ms
    stage.post(sent[0])
    assert stage.apply() == ["later: somebody is at work on it"]
    assert stage.apply_all(began_ms + 60_000) == ["applied"]
    assert stage.world.clock.ms - began_ms < 32_000  # the lease, and a second
    payment_id = payment_id or sent[0].rpartition("-")[0]
    refunded = 400 if kind is REFUND else 0
    assert (stage.payment(payment_id).captured_minor, stage.payment(payment_id).refunded_minor) == (1000, refunded)
    assert len(stage.world.gateway.bookings) == len(stage.events(payment_id))
    stage.balances()


def test_a_refund_in_doubt_ends_with_its_event() -> None:
    """It is found by the operation's reference. Fails when only payments are looked for."""
    stage = Stage()
    payment_id = captured(stage)
    gateway = stage.world.gateway
    gateway.script, gateway.lookup_fails = ["booked_lost"], True
    assert stage.world.follow_up(REFUND, payment_id, "key-1", 300).response.status == 202
    gateway.lookup_fails = False
    stage.post(gateway.submissions[-1].gateway_reference)
    assert stage.apply() == ["applied"]
    assert stage.payment(payment_id).refunded_minor == 300
    assert stage.events(payment_id) == ["payment.captured", "refund.in_doubt", "refund.succeeded_in_part"]
    assert stage.world.follow_up(REFUND, payment_id, "key-1", 300).response.status == 201


def test_an_event_about_a_refund_of_ours_leads_to_its_payment() -> None:
    """It names the refund and no payment, and no claim is open. Fails when operations are not found by reference."""
    stage = Stage()
    payment_id = captured(stage)
    stage.world.follow_up(REFUND, payment_id, "key-1", 300)
    stage.world.gateway.elsewhere(REFUND, 200)
    stage.post(stage.world.gateway.submissions[-1].gateway_reference)
    assert stage.apply() == ["applied"]
    assert stage.payment(payment_id).refunded_minor == 500


@pytest.mark.parametrize("behind", ["a claim that is concluded", "a claim that is not there yet"])
def test_the_index_of_open_claims_may_be_behind(behind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a concluded claim is waited for, or when a payment's first moment passes for "nothing we know"."""
    stage = Stage()
    store = stage.application.applier._store
    if behind == "a claim that is concluded":
        payment_id = captured(stage)
        monkeypatch.setattr(store, "open_claim", lambda _id: claim(stage).record_id)
        stage.post(f"{payment_id}-1")
        assert stage.apply() == ["applied"]
        return
    submit = stage.world.gateway.submit

    def dying(instruction: Any, deadline: Any) -> Any:
        submit(instruction, deadline)
        stage.post(instruction.gateway_reference)
        raise Killed

    stage.world.gateway.submit = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        stage.world.create()
    with monkeypatch.context() as for_a_moment:
        for_a_moment.setattr(store, "open_claim", lambda _id: None)
        assert stage.apply() == ["later: what it names is not stored, or not yet"]
    assert stage.apply_all(stage.world.clock.ms + 60_000)[-1] == "applied"
    assert len(stage.world.gateway.bookings) == 1


def test_an_event_that_names_the_charge_alone_is_traced_by_the_gateway() -> None:
    """As Stripe's disputes. Fails when the gateway is not asked whose the charge is."""
    stage = Stage()
    payment_id = captured(stage)
    stage.world.gateway.elsewhere(REFUND, 100)
    stage.post(charge_id=stage.payment(payment_id).gateway_charge_id)
    stage.post(charge_id="ch_of_another_system")
    assert stage.apply() == ["applied", "unknown"]
    assert stage.payment(payment_id).refunded_minor == 100


# ---------------------------------------------------------------- what waits


def test_what_waits_for_its_payer_is_followed_at_once() -> None:
    """Fails when the settlement is left until it is due, a quarter of the time after the payment's beginning."""
    world = World()
    world.gateway = gateway = HoldingGateway(world.clock)
    stage = Stage(world)
    payment_id: str = told(world.create(payment_method="pm_3ds"))["id"]
    world.clock.ms += 120_000
    world.settle()
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["applied"]  # the payer has not acted: asked, and nothing has changed
    assert stage.events(payment_id) == ["payment.requires_action"]
    gateway.pay()
    began_ms = world.clock.ms
    stage.post(f"{payment_id}-1")
    assert (stage.apply(), world.clock.ms) == (["applied"], began_ms)
    assert stage.events(payment_id) == ["payment.requires_action", "payment.captured"]
    assert stage.balances() == CHARGED


def test_what_waits_and_could_not_be_asked_about_is_asked_about_again() -> None:
    """Fails when a lookup without an answer passes for one: the settlement's own pause may be hours."""
    world = World()
    world.gateway = gateway = HoldingGateway(world.clock)
    stage = Stage(world)
    payment_id: str = told(world.create(payment_method="pm_debit"))["id"]
    world.clock.ms += 1
    gateway.pay()
    gateway.unanswered = 2
    stage.post(f"{payment_id}-1")
    outcomes = stage.apply_all(world.clock.ms + 60_000)
    assert outcomes == ["later: its claim is still open"] * 2 + ["applied"]
    assert stage.events(payment_id) == ["payment.processing", "payment.captured"]


# ---------------------------------------------------------------- what was done at the gateway


def test_a_refund_in_the_dashboard_is_booked_once_however_often_it_is_told() -> None:
    """Fails when an event is applied as such: two events, or one that comes twice, would be two refunds."""
    stage = Stage()
    payment_id = captured(stage)
    stage.world.gateway.elsewhere(REFUND, 400)
    for event_id in ("evt_a", "evt_a", "evt_b", "evt_a"):
        stage.post(f"{payment_id}-1", event_id=event_id)
        stage.apply()
    assert stage.events(payment_id) == ["payment.captured", "payment.refunded_at_gateway_in_part"]
    assert stage.payment(payment_id).refunded_minor == 400
    assert stage.balances() == {"gateway_receivable:bank": 600, "merchant_payable": -600}
    stage.world.gateway.elsewhere(REFUND, 600)
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["applied"]
    assert stage.events(payment_id)[2:] == ["payment.refunded_at_gateway"]
    assert stage.balances() == {}


def test_a_capture_in_the_dashboard_beside_one_of_ours_in_doubt_is_booked_whole() -> None:
    """Such a gateway captures once, so what it shows is all ours or all somebody else's.

    Fails (364 of 388, for ever) when ours is taken off what the gateway shows: the rest can't be booked any more once
    ours is known to have failed, as the payment is not open to captures.
    """
    stage = Stage()
    payment_id = authorized(stage, single=True)
    gateway = stage.world.gateway
    gateway.script, gateway.lookup_fails = ["lost"], True
    assert stage.world.follow_up(OperationKind.CAPTURE, payment_id, "key-2", 24).response.status == 202
    gateway.elsewhere(OperationKind.CAPTURE, 388)
    gateway.lookup_fails = False
    key = stage.post(f"{payment_id}-1")
    [said] = stage.apply()
    assert said.startswith("later: the gateway shows more than is certainly not ours: ")
    stage.world.clock.ms += HOUR_MS
    stage.world.recover()
    stage.apply_all(stage.world.clock.ms + HOUR_MS)
    assert stage.state(key) is NoticeState.APPLIED
    assert stage.payment(payment_id).captured_minor == 388
    assert stage.balances()["gateway_receivable:bank"] == 388
    assert stage.events(payment_id)[-2:] == ["capture.failed", "payment.captured_at_gateway"]


@pytest.mark.parametrize("single", [True, False])
def test_captures_and_cancellations_in_the_dashboard(single: bool) -> None:
    stage = Stage()
    payment_id = authorized(stage, single=single)
    stage.world.gateway.elsewhere(CAPTURE, 600)
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["applied"]
    part = "payment.captured_at_gateway" if single else "payment.captured_at_gateway_in_part"
    assert stage.events(payment_id) == ["payment.authorized", part]
    assert stage.payment(payment_id).captured_minor == 600

    other = Stage()
    payment_id = authorized(other, single=single)
    other.world.gateway.elsewhere(VOID, 1000)
    other.post(f"{payment_id}-1")
    assert other.apply() == ["applied"]
    assert other.events(payment_id) == ["payment.authorized", "payment.voided_at_gateway"]
    assert other.balances() == {}


def test_what_an_event_says_is_not_believed() -> None:
    """The signature is genuine, and the refund never happened. Fails when the event's word changes money."""
    stage = Stage()
    payment_id = captured(stage)
    before = dict(stage.balances())
    stage.post(f"{payment_id}-1", status="refunded", amount_minor=1000, refunded_minor=1000)
    assert stage.apply() == ["applied"]
    assert (stage.events(payment_id), stage.balances()) == (["payment.captured"], before)


def test_a_refund_of_ours_in_flight_is_not_booked_as_somebody_elses() -> None:
    """The gateway shows 300 of ours and 200 of the dashboard. Fails when the first are booked twice."""
    stage = Stage()
    payment_id = captured(stage)
    gateway = stage.world.gateway
    gateway.script, gateway.lookup_fails = ["booked_lost"], True
    stage.world.follow_up(REFUND, payment_id, "key-1", 300)
    gateway.lookup_fails = False
    gateway.elsewhere(REFUND, 200)
    stage.post(f"{payment_id}-1")
    [said] = stage.apply()
    assert said.startswith("later: the gateway shows more than is certainly not ours: ")
    assert stage.payment(payment_id).refunded_minor == 200
    stage.post(gateway.submissions[-1].gateway_reference)
    assert stage.apply() == ["applied"]
    stage.apply_all(stage.world.clock.ms + 60_000)
    assert stage.payment(payment_id).refunded_minor == 500
    assert stage.events(payment_id) == [
        "payment.captured",
        "refund.in_doubt",
        "payment.refunded_at_gateway_in_part",
        "refund.succeeded_in_part",
    ]
    assert stage.balances() == {"gateway_receivable:bank": 500, "merchant_payable": -500}


@pytest.mark.parametrize("moment", ["after the charge is read", "before the write"])
@pytest.mark.parametrize("names_refunds", [True, False], ids=["names", "sums"])
def test_a_refund_of_ours_that_commits_meanwhile_hides_nothing(names_refunds: bool, moment: str) -> None:
    """Fails when the payment alone is read again: what the charge showed is then older than the payment, and 200 of it
    would pass for a part of our 300.
    """
    stage = Stage()
    payment_id = captured(stage)
    gateway, database = stage.world.gateway, stage.world.database
    gateway.names_refunds = names_refunds
    gateway.elsewhere(REFUND, 200)
    read, write = gateway.read_charge, database.write
    raced: list[int] = []

    def race() -> None:
        if not raced:
            raced.append(1)
            assert stage.world.follow_up(REFUND, payment_id, "key-1", 300).response.status == 201

    def reading(charge_id: str, deadline: Any) -> Any:
        state = read(charge_id, deadline)
        if moment == "after the charge is read":
            race()
        return state

    def writing(writes: Any) -> None:
        if moment == "before the write" and any(isinstance(one, Adjust) and "version" in one.require for one in writes):
            race()
        write(writes)

    gateway.read_charge, database.write = reading, writing  # type: ignore[method-assign]
    stage.post(f"{payment_id}-1")
    assert (stage.apply(), raced) == (["applied"], [1])
    assert stage.payment(payment_id).refunded_minor == 500
    assert sorted(stage.events(payment_id)) == [
        "payment.captured",
        "payment.refunded_at_gateway_in_part",
        "refund.succeeded_in_part",
    ]
    assert stage.balances() == {"gateway_receivable:bank": 500, "merchant_payable": -500}


def test_two_that_apply_at_the_same_time_book_once() -> None:
    stage = Stage()
    payment_id = captured(stage)
    stage.world.gateway.elsewhere(REFUND, 400)
    stage.post(f"{payment_id}-1", event_id="evt_a")
    stage.post(f"{payment_id}-1", event_id="evt_b")
    first, second = stage.queue.take(), stage.queue.take()
    assert first is not None
    assert second is not None
    read = stage.world.gateway.read_charge
    outcomes: list[str] = []
    deadline = Deadline(stage.world.clock.ms + 40_000)

    def meanwhile(charge_id: str, until: Any) -> Any:
        state = read(charge_id, until)
        stage.world.gateway.read_charge = read  # type: ignore[method-assign]
        outcomes.append(stage.application.applier.handle(second, deadline))
        return state

    stage.world.gateway.read_charge = meanwhile  # type: ignore[method-assign]
    outcomes.append(stage.application.applier.handle(first, deadline))
    assert outcomes == ["applied", "applied"]
    assert stage.events(payment_id) == ["payment.captured", "payment.refunded_at_gateway_in_part"]


def test_another_currency_is_booked_by_nobody() -> None:
    stage = Stage()
    payment_id = captured(stage)
    stage.world.gateway.read_charge = lambda *_: ChargeState(  # type: ignore[method-assign]
        captured_minor=1000, refunded_minor=500, voided=False, currency="JPY"
    )
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["later: the gateway's charge is in JPY"]
    assert stage.events(payment_id) == ["payment.captured"]


# ---------------------------------------------------------------- killed, repeated, out of order


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("fuse", range(1, 7))
def test_killed_at_any_write_and_tried_again(fuse: int, after: bool) -> None:
    """The queue brings the message again. Fails when a half is left, or is done twice."""

    class Fusing(MemoryDatabase):
        fuse = 0

        def write(self, writes: Any) -> None:
            self.fuse -= 1
            if self.fuse == 0 and not after:
                raise Killed
            super().write(writes)
            if self.fuse == 0:
                raise Killed

    database = Fusing()
    stage = Stage(World(database=database))
    payment_id = in_doubt(stage)
    stage.world.gateway.elsewhere(REFUND, 400)
    key = stage.post(f"{payment_id}-1")
    body = stage.queue.take()
    assert body is not None
    database.fuse = fuse
    try:
        stage.application.applier.handle(body, Deadline(stage.world.clock.ms + 40_000))
    except Killed:
        stage.restart()
        stage.queue.waiting.append((stage.world.clock.ms + 180_000, 99, body))
    database.fuse = 0
    stage.apply_all(stage.world.clock.ms + HOUR_MS)
    assert stage.state(key) is NoticeState.APPLIED
    assert stage.events(payment_id) == [
        "payment.in_doubt",
        "payment.captured",
        "payment.refunded_at_gateway_in_part",
    ]
    assert stage.balances() == {"gateway_receivable:bank": 600, "merchant_payable": -600}
    assert len(stage.world.gateway.submissions) == 1


class Shop:
    """A payment that the merchant and somebody at the gateway's dashboard change, and the events of that."""

    def __init__(self, *, manual: bool) -> None:
        self.stage = Stage()
        self.kinds = [CAPTURE, REFUND] if manual else [REFUND]
        self.payment_id = authorized(self.stage) if manual else captured(self.stage)
        self.posted: list[tuple[str, str]] = []
        self._numbers = itertools.count()

    def charge(self) -> ChargeState:
        """Return what the gateway shows."""
        charge_id = self.stage.payment(self.payment_id).gateway_charge_id
        state = self.stage.world.gateway.read_charge(charge_id or "", Deadline(0))
        assert isinstance(state, ChargeState)
        return state

    def left(self, kind: OperationKind) -> int:
        """Return how much may still be captured or refunded."""
        charge = self.charge()
        return 1000 - charge.captured_minor if kind is CAPTURE else charge.captured_minor - charge.refunded_minor

    def change(self, by: str, kind: OperationKind, amount_minor: int) -> None:
        """Capture or refund: in the dashboard, by the merchant, or by the merchant with its outcome in doubt."""
        gateway = self.stage.world.gateway
        if by == "dashboard":
            gateway.elsewhere(kind, amount_minor)
            reference = f"{self.payment_id}-1"
        else:
            gateway.script, gateway.lookup_fails = (["booked_lost"], True) if by == "doubt" else ([], False)
            with suppress(AmountExceedsAvailable, PaymentStateConflict):
                self.stage.world.follow_up(kind, self.payment_id, f"key-{next(self._numbers)}", amount_minor)
            gateway.script, gateway.lookup_fails = [], False
            reference = gateway.submissions[-1].gateway_reference
        self.posted.append((reference, f"evt_{len(self.posted)}"))

    def deliver(self, reference: str, event_id: str) -> None:
        """Let an event arrive; it is applied with the next ones."""
        self.stage.post(reference, event_id=event_id)

    def check(self) -> None:
        """Fail unless the books are balanced, and equal to what the gateway shows."""
        payment, charge = self.stage.payment(self.payment_id), self.charge()
        assert (payment.captured_minor, payment.refunded_minor) == (charge.captured_minor, charge.refunded_minor)
        assert (payment.capturable_minor, payment.refundable_minor) == (
            1000 - charge.captured_minor,
            charge.captured_minor - charge.refunded_minor,
        )
        held = self.stage.balances().get("gateway_receivable:bank", 0)
        assert held == charge.captured_minor - charge.refunded_minor


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_duplicated_reordered_and_late_events_change_nothing_twice(data: st.DataObject) -> None:
    """The dashboard and the merchant refund and capture; events come in any order, several times, or a day late.

    Fails when what an event reports is booked, instead of the difference to what the gateway shows.
    """
    shop = Shop(manual=data.draw(st.booleans(), "manual"))
    stage = shop.stage
    for _ in range(data.draw(st.integers(1, 6), "steps")):
        step = data.draw(st.sampled_from(["dashboard", "merchant", "doubt", "deliver", "late"]), "step")
        kind = data.draw(st.sampled_from(shop.kinds), "kind")
        if step == "late":
            stage.world.clock.ms += data.draw(st.sampled_from([1_000, HOUR_MS, 24 * HOUR_MS]), "pause")
        elif step == "deliver" and shop.posted:
            shop.deliver(*data.draw(st.sampled_from(shop.posted), "which"))
            stage.apply()
        elif step != "deliver" and (most := shop.left(kind)):
            shop.change(step, kind, data.draw(st.integers(1, most), "amount"))
        stage.balances()
    for event in data.draw(st.permutations(shop.posted * 2), "order"):
        shop.deliver(*event)
        if data.draw(st.booleans(), "at once"):
            stage.apply()
    stage.world.clock.ms += HOUR_MS
    stage.world.recover()
    shop.deliver(f"{shop.payment_id}-1", "evt_last")
    stage.apply_all(stage.world.clock.ms + 8 * HOUR_MS)
    shop.check()
    before = stage.events(shop.payment_id)
    for reference, event_id in shop.posted:
        shop.deliver(reference, event_id)
        shop.deliver(reference, f"{event_id}_again")
    stage.apply_all(stage.world.clock.ms + 8 * HOUR_MS)
    assert stage.events(shop.payment_id) == before


# ---------------------------------------------------------------- unknown, and not to be applied


def test_an_event_about_nothing_we_know_is_kept_and_listed(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when it is dropped, or marked as applied."""
    caplog.set_level(logging.WARNING)
    stage = Stage()
    named, nameless = stage.post(f"{NOBODYS}-1"), stage.post(note="a payout")
    assert sorted(stage.apply_all(stage.world.clock.ms + 60_000))[-2:] == ["unknown", "unknown"]
    for key in (named, nameless):
        kept = find_notice(stage.world.database, key)
        assert kept is not None
        assert (kept.state, bool(kept.reason), kept.ended_at_ms > 0, bool(kept.body)) == (
            NoticeState.UNKNOWN,
            True,
            True,
            True,
        )
    listed = listed_notices(stage.world.database, "bank", NoticeState.UNKNOWN, limit=9).items
    assert {notice_of(item).notice_key for item in listed} == {named, nameless}
    assert caplog.text.count("gateway event about nothing known") == 2


def test_what_another_gateway_says_of_a_payment_moves_nothing() -> None:
    """Fails when any gateway's event about any payment is followed: its secret would be everybody's."""
    stage = Stage()
    payment_id = in_doubt(stage)
    item = stage.world.database._tables[Table.PAYMENTS]  # type: ignore[attr-defined]
    assert item == {}
    record = claim(stage)
    stage.world.database.write(
        [Adjust(table=Table.IDEMPOTENCY, key={"id": record.record_id}, set={"lane": "another_bank"})]
    )
    key = stage.post(f"{payment_id}-1")
    assert stage.apply() == ["unknown"]
    assert stage.state(key) is NoticeState.UNKNOWN
    assert claim(stage).fence == record.fence
    assert stage.world.gateway.inquiries[1:] == []


def test_an_unknown_event_that_comes_again_is_applied_and_listed_no_more() -> None:
    stage = Stage()
    reference = f"{NOBODYS}-1"
    key = stage.post(reference, event_id="evt_a")
    stage.apply_all(stage.world.clock.ms + 60_000)
    assert stage.state(key) is NoticeState.UNKNOWN
    payment_id = captured(stage)
    item = stage.world.database._tables[Table.NOTICES][(key,)]  # type: ignore[attr-defined]
    item["hints"] = {"gateway_reference": f"{payment_id}-1"}
    stage.post(reference, event_id="evt_a")
    assert stage.apply() == ["applied"]
    assert listed_notices(stage.world.database, "bank", NoticeState.UNKNOWN, limit=9).items == []


def test_while_the_gateway_is_silent_the_event_waits_and_fails_after_hours(caplog: pytest.LogCaptureFixture) -> None:
    """Fails when an outage puts every event among the dead letters, or keeps asking for ever."""
    caplog.set_level(logging.ERROR)
    stage = Stage()
    payment_id = captured(stage)
    stage.world.gateway.elsewhere(REFUND, 400)
    stage.world.gateway.lookup_fails = True
    key = stage.post(f"{payment_id}-1")
    began_ms = stage.world.clock.ms
    outcomes = stage.apply_all(began_ms + 24 * HOUR_MS)
    assert outcomes == ["later: the lookup failed"] * MAX_TRIES + ["failed"]
    assert 6 * HOUR_MS < stage.world.clock.ms - began_ms < 8 * HOUR_MS
    failed = listed_notices(stage.world.database, "bank", NoticeState.FAILED, limit=9).items
    assert [notice_of(item).notice_key for item in failed] == [key]
    assert caplog.text.count("gateway event not applied") == 1
    stage.world.gateway.lookup_fails = False
    stage.post(f"{payment_id}-1", event_id=key.removeprefix("bank#"))
    assert stage.apply() == ["applied"]
    assert stage.payment(payment_id).refunded_minor == 400


def test_an_event_of_a_gateway_that_is_no_longer_configured_waits() -> None:
    stage = Stage()
    payment_id = captured(stage)
    stage.post(f"{payment_id}-1")
    stage.application._gateways.clear()
    stage.application.settings = replace(stage.application.settings, gateways={})
    assert stage.apply() == ["later: GatewayUnavailable"]


def test_what_is_no_message_and_what_is_gone_is_not_applied() -> None:
    stage = Stage()
    deadline = Deadline(stage.world.clock.ms + 40_000)
    for text in ("", "{}", "[]", '{"notice_key": 1, "tries": 0}', '{"notice_key": "a", "tries": true}', "[" * 9_999):
        with pytest.raises(BodyMalformed):
            stage.application.applier.handle(text, deadline)
    gone = ApplyMessage("bank#evt_gone").to_queue().body
    assert stage.application.applier.handle(gone, deadline) == "nothing to do"


# ---------------------------------------------------------------- the claims' index


def test_a_claim_is_found_in_one_shard() -> None:
    """Fails when its record's shard is another one than its id says: 32 queries, or none that finds it."""
    stage = Stage()
    payment_id = in_doubt(stage)
    queries: list[Any] = []
    query = stage.world.database.query

    def counted(*arguments: Any, **named: Any) -> Any:
        queries.append(named["partition"])
        return query(*arguments, **named)

    stage.world.database.query = counted  # type: ignore[method-assign]
    assert stage.world.store.open_claim(payment_id) == record_id(MERCHANT, "create_payment", "key")
    assert stage.world.store.open_claim(NOBODYS) is None
    assert len(queries) == 2


def test_a_shard_that_is_too_full_is_not_searched_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when "not found" is said of what was not looked through."""
    stage = Stage()
    payment_id = in_doubt(stage)
    monkeypatch.setattr("payonce.idempotency.record_store.PAGE_CLAIMS", 1)
    shard = stage.world.database._tables[Table.IDEMPOTENCY][(claim(stage).record_id,)]["open_shard"]  # type: ignore[attr-defined]
    for number in range(4):
        early = {"id": f"m#o#{number}", "open_shard": shard, "lease_expires_at_ms": number, "claim_id": "x"}
        stage.world.database.write([Insert(Table.IDEMPOTENCY, early)])
    with pytest.raises(StoreUnavailable):
        stage.world.store.open_claim(payment_id)
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["later: StoreUnavailable"]


@pytest.mark.parametrize("early", [True, False])
def test_early_takes_a_doubt_and_no_running_lease(early: bool) -> None:
    """Fails when ``early`` takes a claim whose owner may still send: two owners, two charges."""
    stage = Stage()
    in_doubt(stage)
    record = claim(stage)
    deadline = Deadline(stage.world.clock.ms + 25_000)
    recover = stage.application.recovery.recover
    running = {"status": RecordStatus.IN_PROGRESS.value, "lease_expires_at_ms": stage.world.clock.ms + 10_000}
    stage.world.database.write([Adjust(table=Table.IDEMPOTENCY, key={"id": record.record_id}, set=running)])
    assert recover(record.record_id, deadline, early=early) is False
    assert claim(stage).fence == record.fence
    parked = {"status": RecordStatus.IN_DOUBT.value}
    stage.world.database.write([Adjust(table=Table.IDEMPOTENCY, key={"id": record.record_id}, set=parked)])
    assert recover(record.record_id, deadline, early=early) is early
    assert claim(stage).status is (RecordStatus.COMPLETED if early else RecordStatus.IN_DOUBT)
    assert recover(record.record_id, deadline, early=True) is not early
    assert recover(record.record_id, deadline, early=True) is False


# ---------------------------------------------------------------- what was not executed, as far as was known


@pytest.mark.parametrize("word", ["declined", "failed"])
def test_a_late_success_is_told_to_people_and_not_booked(word: str) -> None:
    """The gateway has executed what it declined, or what it did not know. Fails ("applied") when nobody looks."""
    stage = Stage()
    gateway = stage.world.gateway
    if word == "declined":
        gateway.script = ["decline"]
        payment_id = told(stage.world.create())["payment"]["id"]
        [booking] = gateway.bookings
        gateway.bookings[:] = []
        gateway._book(booking.instruction, "ok")
    else:
        gateway.script, gateway.lookup_fails = ["lost"], True
        payment_id = told(stage.world.create())["id"]
        gateway.lookup_fails = False
        stage.world.clock.ms += 2 * HOUR_MS
        stage.world.recover()
        gateway._book(gateway.submissions[0], "ok")
    assert stage.payment(payment_id).status.value == word
    key = stage.post(f"{payment_id}-1")
    assert stage.apply() == ["failed"]
    found = find_notice(stage.world.database, key)
    assert found is not None
    assert found.reason == f"the gateway has executed a payment that is {word} here"
    assert (stage.payment(payment_id).status.value, stage.balances()) == (word, {})


def test_an_event_about_a_decline_is_applied_once_the_gateway_says_so_too() -> None:
    stage = Stage()
    stage.world.gateway.script = ["decline"]
    payment_id = told(stage.world.create())["payment"]["id"]
    stage.world.gateway.lookup_fails = True
    stage.post(f"{payment_id}-1")
    assert stage.apply() == ["later: the lookup failed"]
    stage.world.gateway.lookup_fails = False
    assert stage.apply_all(stage.world.clock.ms + 60_000) == ["applied"]
