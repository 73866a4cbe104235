"""Events about refunds that come back: duplicated, reordered, a day late, among whatever else happens to a payment.

Stripe names them ``refund.failed`` (https://docs.stripe.com/api/events/types), Mollie ``refund.failed``
(https://docs.mollie.com/reference/webhooks-new). The gateway is asked whatever they say.
"""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import AmountExceedsAvailable, PaymentStateConflict
from payonce.domain.gateway import OperationKind
from payonce.notices.kept import NoticeState
from payonce.payments.journal import entries_of
from tests.support.world import MERCHANT
from tests.unit.notices.test_taken_back_by_events import HOUR_MS, S, Shop

RETURNS = ("refund.returned", "refund.returned_in_part", "payment.refund_returned", "payment.refund_returned_in_part")


class ReturningShop(Shop):
    """A ``Shop`` to which refunds come back."""

    def left(self) -> int:
        """See ``Shop``. What came back can be refunded again."""
        return super().left() + self.back_minor()

    def back_minor(self) -> int:
        """Return the sum of what came back."""
        refunds = [one for one in self.gateway.succeeded(OperationKind.REFUND) if self.gateway._is_back(one)]
        return sum(one.instruction.money.amount_minor for one in refunds)

    def give_back(self, which: int) -> None:
        """Let a refund that stands come back; the gateway posts an event about it."""
        standing = [one for one in self.gateway.succeeded(OperationKind.REFUND) if not self.gateway._is_back(one)]
        if standing:
            self.gateway.give_back(standing[which % len(standing)])
            self.posted.append(f"evt_{len(self.posted)}")


def test_an_event_comes_again_until_our_own_refund_is_stored() -> None:
    """It arrives while the refund is in doubt. Fails when it is applied: nothing would book the return."""
    shop = ReturningShop()
    stage, gateway = shop.stage, shop.gateway
    gateway.script, gateway.lookup_fails = ["booked_lost"], True
    stage.world.follow_up(OperationKind.REFUND, shop.payment_id, "r", 400)
    gateway.script, gateway.lookup_fails = [], False
    [refund] = gateway.succeeded(OperationKind.REFUND)
    gateway.give_back(refund)
    gateway.find = lambda *_: refund.outcome  # type: ignore[method-assign] - behind the charge
    # It names the payment, as an event of Adyen's may, so that no claim of the refund's is found by it.
    key = stage.post(f"{shop.payment_id}-1")
    assert stage.apply()[0].startswith("later: the gateway shows more than is certainly not ours")
    assert stage.payment(shop.payment_id).refunded_minor == 0
    stage.world.clock.ms += HOUR_MS
    stage.world.recover()
    assert stage.payment(shop.payment_id).refunded_minor == 400
    stage.apply()
    assert stage.state(key) is NoticeState.APPLIED
    assert stage.events(shop.payment_id)[-2:] == ["refund.succeeded_in_part", "refund.returned"]


STEPS = ("refund", "refund", "doubt", "dashboard", "back", "back", "back", "reverse", "dispute", "deliver", "behind")
moves = st.tuples(st.sampled_from([*STEPS, "late"]), st.integers(1, 600), st.integers(0, 3))


@settings(max_examples=80, deadline=None)
@given(told=st.lists(moves, max_size=10), order=st.randoms(use_true_random=False))
def test_events_duplicated_reordered_and_a_day_late_book_each_return_once(
    told: list[tuple[str, int, int]], order: object
) -> None:
    """Fails when a return is booked with each event, for a lookup that is behind, or from another refund."""
    shop = ReturningShop()
    stage = shop.stage
    for step, amount_minor, which in told:
        if step == "late":
            stage.world.clock.ms += 24 * HOUR_MS
        elif step == "behind":
            shop.gateway.behind = not shop.gateway.behind
        elif step == "back":
            shop.give_back(which)
        elif step == "deliver" and shop.posted:
            stage.post(f"{shop.payment_id}-1", event_id=shop.posted[which % len(shop.posted)])
            with suppress(AmountExceedsAvailable, PaymentStateConflict):
                stage.apply()
        elif step != "deliver" and (most := shop.left()) > 0:
            shop.change(step, min(amount_minor, most), S.UNDER_REVIEW, which)
        stage.balances()
    shop.gateway.behind = False
    shop.bring_in_all(order)
    gateway, payment = shop.gateway, stage.payment(shop.payment_id)
    standing = [one for one in gateway.succeeded(OperationKind.REFUND) if not gateway._is_back(one)]
    assert payment.refunded_minor == sum(one.instruction.money.amount_minor for one in standing)
    assert payment.refundable_minor == shop.left()
    withdrawn = sum(each.withdrawn_minor for each in gateway.disputes)
    assert stage.balances().get("gateway_receivable:bank", 0) == shop.left()
    assert stage.balances().get("gateway_disputed:bank", 0) == withdrawn
    before = stage.events(shop.payment_id)
    entries = [entry for entry in entries_of(stage.world.database, MERCHANT, shop.payment_id) if entry.movement]
    reversing = [entry for entry in entries if entry.movement is not None and entry.movement.reverses_entry_id]
    assert len(reversing) == sum(before.count(event) for event in RETURNS)
    for event_id in shop.posted:
        stage.post(f"{shop.payment_id}-1", event_id=f"{event_id}_again")
    stage.apply_all(stage.world.clock.ms + 8 * HOUR_MS)
    assert stage.events(shop.payment_id) == before
