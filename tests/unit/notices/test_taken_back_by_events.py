"""Events about disputes and late reversals: in any order, twice, a day late, among requests of the merchant's."""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import AmountExceedsAvailable, PaymentStateConflict
from payonce.domain.gateway import DisputeStatus, OperationKind
from payonce.notices.kept import NoticeState
from tests.support.disputes import dispute
from tests.support.notice_stage import Stage
from tests.unit.notices.test_applying import captured

S = DisputeStatus
HOUR_MS = 3_600_000


class Shop:
    """A captured payment, its merchant, its gateway's dashboard and its payer's bank."""

    def __init__(self) -> None:
        self.stage = Stage()
        self.payment_id = captured(self.stage)
        self.gateway = self.stage.world.gateway
        self.posted: list[str] = []
        self._numbers = itertools.count()

    def left(self) -> int:
        """Return how much the gateway would still refund or let somebody dispute."""
        refunded = sum(done.instruction.money.amount_minor for done in self.gateway.succeeded(OperationKind.REFUND))
        withdrawn = sum(each.withdrawn_minor for each in self.gateway.disputes)
        return 1000 - refunded - withdrawn - self.gateway.reversed_minor

    def change(self, step: str, amount_minor: int, status: DisputeStatus, which: int) -> None:
        """Let one of them do something; the gateway posts an event about it."""
        gateway = self.gateway
        if step in ("refund", "doubt"):
            gateway.script, gateway.lookup_fails = (["booked_lost"], True) if step == "doubt" else ([], False)
            with suppress(AmountExceedsAvailable, PaymentStateConflict):
                key = f"key-{next(self._numbers)}"
                self.stage.world.follow_up(OperationKind.REFUND, self.payment_id, key, amount_minor)
            gateway.script, gateway.lookup_fails = [], False
        elif step == "dashboard":
            gateway.elsewhere(OperationKind.REFUND, amount_minor)
        elif step == "reverse":
            gateway.reversed_minor += amount_minor
        elif step == "dispute":
            opened = dispute(S.EVIDENCE_DUE, amount_minor, amount_minor=amount_minor, name=f"dp_{len(self.posted)}")
            gateway.disputes += (opened,)
        elif gateway.disputes:
            each = gateway.disputes[which % len(gateway.disputes)]
            if each.status in (S.WON, S.LOST):
                return
            withdrawn = 0 if status is S.WON else each.withdrawn_minor
            after = replace(each, status=status, withdrawn_minor=withdrawn, evidence_due_at_ms=None)
            gateway.disputes = tuple(after if one is each else one for one in gateway.disputes)
        self.posted.append(f"evt_{len(self.posted)}")

    def bring_in_all(self, order: object) -> None:
        """Post every event twice more, in any order, and one event after recovery. All of it has to be brought in."""
        stage, events = self.stage, self.posted * 2
        order.shuffle(events)  # type: ignore[attr-defined]
        for event_id in events:
            stage.post(f"{self.payment_id}-1", event_id=event_id)
        stage.apply()
        stage.world.clock.ms += HOUR_MS
        stage.world.recover()
        last = stage.post(f"{self.payment_id}-1", event_id="evt_last")
        stage.apply_all(stage.world.clock.ms + 8 * HOUR_MS)
        assert stage.state(last) is NoticeState.APPLIED


moves = st.tuples(
    st.sampled_from(["refund", "doubt", "dashboard", "reverse", "dispute", "decide", "deliver", "late"]),
    st.integers(1, 1000),
    st.sampled_from([S.UNDER_REVIEW, S.WON, S.LOST]),
    st.integers(0, 3),
)


@settings(max_examples=60, deadline=None)
@given(told=st.lists(moves, max_size=9), order=st.randoms(use_true_random=False))
def test_events_duplicated_reordered_and_a_day_late_book_each_change_once(
    told: list[tuple[str, int, DisputeStatus, int]], order: object
) -> None:
    """Fails when what an event reports is booked, instead of the difference to what the gateway shows."""
    shop = Shop()
    stage = shop.stage
    for step, amount_minor, status, which in told:
        if step == "late":
            stage.world.clock.ms += 24 * HOUR_MS
        elif step == "deliver" and shop.posted:
            stage.post(f"{shop.payment_id}-1", event_id=shop.posted[which % len(shop.posted)])
            stage.apply()
        elif step == "decide":
            shop.change(step, 0, status, which)
        elif step not in ("deliver", "late") and (most := shop.left()) > 0:
            shop.change(step, min(amount_minor, most), status, which)
        stage.balances()
    shop.bring_in_all(order)
    gateway, payment = shop.gateway, stage.payment(shop.payment_id)
    lost = sum(each.withdrawn_minor for each in gateway.disputes if each.status is S.LOST)
    held = sum(each.withdrawn_minor for each in gateway.disputes if each.status is not S.LOST)
    gone = gateway.reversed_minor + payment.refunded_minor
    assert (payment.reversed_minor, payment.disputed_minor) == (gateway.reversed_minor, lost + held)
    assert payment.refundable_minor == shop.left() == 1000 - gone - lost - held
    expected = {
        "gateway_receivable:bank": shop.left(),
        "gateway_disputed:bank": held,
        "merchant_payable": lost + gone - 1000,
    }
    assert stage.balances() == {account: amount for account, amount in expected.items() if amount}
    before = stage.events(shop.payment_id)
    assert before.count("dispute.opened") == len(gateway.disputes)
    for event_id in shop.posted:
        stage.post(f"{shop.payment_id}-1", event_id=event_id)
        stage.post(f"{shop.payment_id}-1", event_id=f"{event_id}_again")
    stage.apply_all(stage.world.clock.ms + 8 * HOUR_MS)
    assert stage.events(shop.payment_id) == before
