"""Why a break arose, from the records and the trail that the payment use cases really leave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from payonce.domain.errors import GatewayUnavailable, KeyExpired, KeyReused, PayonceError, StoreUnavailable
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.money import Money
from payonce.entrypoints.claim_stream import serve_audit
from payonce.idempotency.audit_items import AUDIT_SHARDS, DatabaseAuditTrail
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import OPEN_LEASE_SHARDS
from payonce.idempotency.release import ReleaseOrder
from payonce.idempotency.window import DEFAULT_AUDIT_RETENTION_SECONDS, LEASE_MARGIN_MS
from payonce.payments.create import CreatePayment, plan_payment
from payonce.payments.operations import NewPayment
from payonce.payments.recovery_run import release_desk
from payonce.reconciliation.cases import explain as explain_module
from payonce.reconciliation.cases.explain import MAX_EXPLAINED_PER_RUN, Explainer
from payonce.reconciliation.cases.why import EXPLAINED, TEXTS, WhyReason
from payonce.reconciliation.model import Break, Evidence, LedgerRow, Source
from payonce.reconciliation.runs.ledger_rows import booked_rows
from payonce.reconciliation.taxonomy import BreakClass
from tests.support.corrections import corrections_in, deadline, duplicate_capture
from tests.support.stream import StreamingDatabase
from tests.support.world import MERCHANT, ManualClock, World
from tests.unit.reconciliation.test_runs import Desk

HOUR_MS = 3_600_000
REFERENCE_OF_NOBODY = "pay_" + "Z" * 26 + "-1"


@dataclass
class Shop:
    """A world whose claims leave a trail, and what says why."""

    world: World = field(default_factory=lambda: world_with_a_stream())

    def __post_init__(self) -> None:
        self.database: Any = self.world.database
        self.trail = DatabaseAuditTrail(self.database, DEFAULT_AUDIT_RETENTION_SECONDS)
        store = self.world.store
        self.explainer = Explainer(database=self.database, store=store, open_claims=store, trail=self.trail)

    def pay(self, key: str = "first-key", **options: Any) -> str:
        """Create a payment and return its id."""
        return str(json.loads(self.world.create(key, **options).response.body)["id"])

    def later(self, milliseconds: int) -> None:
        self.world.clock.ms += milliseconds

    def killed_before_the_commit(self, key: str = "first-key") -> str:
        """Pay, and die with the gateway's answer in hand; return the reference."""
        write = self.world.engine._conclude.write

        def dies(*_: object) -> None:
            raise KeyboardInterrupt

        self.world.engine._conclude.write = dies  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyboardInterrupt):
            self.world.create(key)
        self.world.engine._conclude.write = write  # type: ignore[method-assign]
        return self.world.gateway.submissions[-1].gateway_reference

    def given_back(self, key: str = "first-key") -> str:
        """Pay while the gateway can't be reached; return the reference of what was never sent."""
        self.world.gateway.script = ["never"]
        with pytest.raises(PayonceError):
            self.world.create(key)
        return self.world.gateway.submissions[-1].gateway_reference

    def why(self, found: Break) -> WhyReason | None:
        serve_audit({"Records": self.database.stream}, self.trail)
        explained = self.explainer.explain(found)
        return None if explained is None else explained.reason

    def why_of(self, payment_id: str, break_class: BreakClass = BreakClass.DUPLICATE_CAPTURE) -> WhyReason | None:
        return self.why(self.break_of(f"{payment_id}-1", break_class, payment_id=payment_id, merchant_id=MERCHANT))

    def break_of(self, reference: str, break_class: BreakClass, **values: Any) -> Break:
        found = Break(
            break_class=break_class,
            subject=("bank", reference),
            amount_minor=1000,
            currency="EUR",
            occurred_at_ms=self.world.clock.now_ms(),
        )
        return replace(found, **values)

    def why_twice(self) -> WhyReason | None:
        """Return why the two charges that are booked are a double charge."""
        now_ms = self.world.clock.now_ms()
        rows = booked_rows(self.database, from_ms=now_ms - 40 * 24 * HOUR_MS, until_ms=now_ms + 1)
        first, later = sorted(rows, key=lambda row: row.booked_at_ms)
        found = self.break_of(later.payment_id, BreakClass.DOUBLE_CHARGE, merchant_id=MERCHANT)
        return self.why(replace(found, payment_id=later.payment_id, evidence=(evidence_of(first), evidence_of(later))))


def evidence_of(row: LedgerRow) -> Evidence:
    """Return what the finder of double charges shows of a charge."""
    names = ("payment_id", "reference", "amount_minor", "currency", "booked_at_ms", "idempotency_record_id")
    return Evidence(source=Source.LEDGER, row_key=row.entry_id, fields={name: getattr(row, name) for name in names})


def world_with_a_stream() -> World:
    clock = ManualClock()
    return World(clock=clock, database=StreamingDatabase(clock))


def test_a_response_that_was_lost() -> None:
    """Fails when the doubt that a claim was parked in is not looked for."""
    shop = Shop()
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    payment_id = shop.pay()
    assert shop.why_of(payment_id, BreakClass.STATUS_MISMATCH) is WhyReason.STILL_OPEN
    shop.world.gateway.lookup_fails = False
    shop.later(60_000)
    assert shop.world.recover().concluded == 1
    assert shop.why_of(payment_id) is WhyReason.RESPONSE_LOST


def test_a_lease_that_was_lost() -> None:
    shop = Shop()
    reference = shop.killed_before_the_commit()
    shop.later(120_000)
    assert shop.world.recover().concluded == 1
    assert shop.why_of(reference.removesuffix("-1")) is WhyReason.TAKEN_OVER


def test_a_claim_of_which_nothing_is_stored_but_the_claim() -> None:
    """The gateway's report names it, and no payment of ours: it is found by the time in its id. Fails when a break
    without a merchant is taken for a stranger's.
    """
    shop = Shop()
    shop.pay("another-key")
    reference = shop.killed_before_the_commit()
    assert shop.why(shop.break_of(reference, BreakClass.MISSING_IN_LEDGER)) is WhyReason.STILL_OPEN


def test_a_request_that_went_well_is_not_the_reason() -> None:
    shop = Shop()
    payment_id = shop.pay()
    assert shop.why_of(payment_id) is WhyReason.AT_GATEWAY
    refund = shop.world.follow_up(OperationKind.REFUND, payment_id, "refund-key", 100)
    reference = json.loads(refund.response.body)["id"] + "-1"
    found = shop.break_of(reference, BreakClass.AMOUNT_MISMATCH, payment_id=payment_id, merchant_id=MERCHANT)
    assert shop.why(found) is WhyReason.AT_GATEWAY


def test_a_key_that_is_refused_is_no_reason() -> None:
    """A reuse while the record stands is answered 422 and leaves nothing behind."""
    shop = Shop()
    payment_id = shop.pay(fingerprint="content")
    with pytest.raises(KeyReused):
        shop.pay(fingerprint="other content")
    assert shop.why_of(payment_id) is WhyReason.AT_GATEWAY


def test_a_key_that_was_reused_with_other_content() -> None:
    """Its record was forgotten, so it was free. Fails when the content of the key's earlier claim is not compared."""
    shop = Shop()
    shop.pay(fingerprint="content")
    shop.database.expire(record_id(MERCHANT, "create_payment", "first-key"))
    shop.later(1_000)
    second = shop.pay(fingerprint="other content")
    assert shop.why_of(second) is WhyReason.KEY_REUSED
    assert shop.why_twice() is WhyReason.KEY_REUSED


def test_a_key_that_had_expired() -> None:
    """Fails when the times of the two claims are not compared with the first key's window."""
    shop = Shop()
    shop.pay()
    shop.later(25 * HOUR_MS)
    with pytest.raises(KeyExpired):
        shop.pay()
    shop.pay("second-key")
    assert shop.why_twice() is WhyReason.KEY_EXPIRED


def test_a_key_that_was_forgotten_and_came_again() -> None:
    shop = Shop()
    shop.pay()
    shop.database.expire(record_id(MERCHANT, "create_payment", "first-key"))
    shop.later(31 * 24 * HOUR_MS)
    second = shop.pay()
    assert shop.why_of(second) is WhyReason.KEY_EXPIRED
    assert shop.why_twice() is WhyReason.KEY_EXPIRED


def test_a_new_key_for_the_same_sale() -> None:
    shop = Shop()
    shop.pay()
    shop.later(5_000)
    shop.pay("second-key")
    assert shop.why_twice() is WhyReason.NEW_KEY


def test_a_new_key_after_a_lost_response() -> None:
    """Fails when it is not seen that the second was sent before the first was concluded."""
    shop = Shop()
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    shop.pay()
    shop.later(2_000)
    shop.pay("second-key")
    shop.world.gateway.lookup_fails = False
    shop.later(60_000)
    assert shop.world.recover().concluded == 1
    assert shop.why_twice() is WhyReason.RESPONSE_LOST


def test_a_new_key_after_an_answer_that_said_only_that_it_is_in_doubt() -> None:
    """Fails when the first claim's doubt counts only while it lasts."""
    shop = Shop()
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    shop.pay()
    shop.world.gateway.lookup_fails = False
    shop.later(60_000)
    assert shop.world.recover().concluded == 1
    shop.later(5_000)
    shop.pay("second-key")
    assert shop.why_twice() is WhyReason.RESPONSE_LOST


def test_of_two_claims_the_one_that_was_made_first_is_the_first() -> None:
    """A day in doubt: it is booked last. Fails when the claims are ordered by what was booked."""
    shop = Shop()
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    shop.pay()
    shop.later(25 * HOUR_MS)
    shop.pay("second-key")
    shop.world.gateway.lookup_fails = False
    shop.later(60_000)
    assert shop.world.recover().concluded == 1
    assert shop.why_twice() is WhyReason.KEY_EXPIRED


def test_two_orders_may_be_two_sales() -> None:
    shop = Shop()
    for number in (1, 2):
        new = NewPayment(
            money=Money(1000, "EUR"),
            payment_method="pm_visa",
            capture_method=CaptureMethod.AUTOMATIC,
            reference=f"order-{number}",
        )
        plan = plan_payment(new, merchant_id=MERCHANT, route=lambda _id: "bank", services=shop.world.services)
        work = CreatePayment(plan, lambda _name: shop.world.gateway, shop.world.services)
        shop.world.engine.execute(shop.world.request(f"key-{number}", "create_payment"), work)
        shop.later(5_000)
    assert shop.why_twice() is WhyReason.DIFFERENT_ORDERS


def test_a_key_that_an_operator_gave_back() -> None:
    """Fails when an operator's release is not told from the engine's own."""
    shop = Shop()
    shop.world.gateway.script, shop.world.gateway.lookup_fails = ["booked_lost"], True
    payment_id = shop.pay(fingerprint="content")
    one = record_id(MERCHANT, "create_payment", "first-key")
    record = shop.world.store.get(one)
    assert record is not None
    shop.later(LEASE_MARGIN_MS)  # on no machine's clock can its owner still send
    release_desk(shop.world.store, lambda _name: shop.world.gateway, shop.world.services).release(
        ReleaseOrder(
            record_id=one,
            claim_id=record.claim_id,
            fence=record.fence,
            operator="anna",
            reason="The shop waits.",
            finding="Nothing is there.",
        )
    )
    assert shop.why_of(payment_id, BreakClass.STATUS_MISMATCH) is WhyReason.RELEASED_BY_HAND
    second = shop.pay(fingerprint="other content")
    assert shop.why_of(second) is WhyReason.KEY_REUSED


def test_a_request_that_was_certainly_not_sent_and_a_retry_of_it() -> None:
    """Fails when the retry of what was given back is taken for a reuse."""
    shop = Shop()
    shop.world.gateway.script = ["never"]
    with pytest.raises(GatewayUnavailable):
        shop.pay()
    reference = shop.world.gateway.submissions[-1].gateway_reference
    assert shop.why(shop.break_of(reference, BreakClass.MISSING_IN_LEDGER)) is WhyReason.GIVEN_BACK
    shop.later(1_000)
    assert shop.why_of(shop.pay(fingerprint="other content")) is WhyReason.AT_GATEWAY


@pytest.mark.parametrize("reference", ["tr_of_the_dashboard", "", REFERENCE_OF_NOBODY, "pay_1-1"])
def test_what_bears_no_reference_of_ours(reference: str) -> None:
    """Fails (an impossible date) when an id that only looks like ours is looked for at the time in it."""
    shop = Shop()
    assert shop.why(shop.break_of(reference, BreakClass.MISSING_IN_LEDGER)) is WhyReason.NEVER_SUBMITTED


def test_what_is_no_longer_kept() -> None:
    shop = Shop()
    payment_id = shop.pay()
    shop.database._tables["idempotency"].clear()
    found = shop.break_of(f"{payment_id}-1", BreakClass.MISSING_IN_GATEWAY, payment_id=payment_id, merchant_id=MERCHANT)
    explained = shop.explainer.explain(found)  # the stream was never read
    assert explained is not None
    assert explained.reason is WhyReason.FORGOTTEN


def test_a_refund_of_a_correction() -> None:
    shop = Shop()
    found = duplicate_capture(shop.world)
    step = corrections_in(shop.world).advance(found, deadline(shop.world))
    reference = shop.world.gateway.submissions[-1].gateway_reference
    assert (step.correction.status.value, reference.startswith("cor_")) == ("corrected", True)
    missing = replace(found, break_class=BreakClass.MISSING_IN_GATEWAY, subject=("bank", reference))
    assert shop.why(missing) is WhyReason.AT_GATEWAY
    # The correction's entry of the surplus repeats the payment's reference, and is not what explains it.
    assert shop.why_of(found.payment_id or "") is WhyReason.AT_GATEWAY


def test_the_list_is_closed_and_each_reason_has_its_sentence() -> None:
    assert set(TEXTS) == set(WhyReason)
    assert all(text.endswith(".") for text in TEXTS.values())
    assert not EXPLAINED & {BreakClass.FEE_MISMATCH, BreakClass.PAYOUT_MISSING, BreakClass.AMBIGUOUS}
    shop = Shop()
    assert shop.why(shop.break_of("x", BreakClass.FEE_MISMATCH)) is None


def test_a_run_asks_about_what_is_new_and_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a run explains what it knows already, or a bad day makes it read without end."""
    shop = Shop()
    explain = shop.explainer.for_run()
    asked: list[Break] = []
    monkeypatch.setattr(Explainer, "explain", lambda _self, found: asked.append(found))
    for number in range(MAX_EXPLAINED_PER_RUN + 5):
        explain(shop.break_of(f"r{number}", BreakClass.MISSING_IN_LEDGER))
        explain(shop.break_of(f"r{number}", BreakClass.FEE_MISMATCH))
    assert len(asked) == MAX_EXPLAINED_PER_RUN


def test_the_trail_is_searched_for_a_bounded_number_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    for number in range(5):
        shop.pay(f"key-{number}")
    found = shop.break_of(shop.given_back(), BreakClass.MISSING_IN_LEDGER)
    assert shop.why(found) is WhyReason.GIVEN_BACK
    monkeypatch.setattr(explain_module, "MAX_SEARCHED_ENTRIES", 3)
    assert shop.why(found) is WhyReason.FORGOTTEN


def test_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a break costs more reads than docs/reconciliation-cases.md says."""
    shop = Shop()
    payment_id = shop.pay()
    shop.later(5_000)
    shop.pay("second-key")
    reference = shop.killed_before_the_commit("third-key")
    reads: list[str] = []
    for name in ("get", "get_many", "query"):
        read = getattr(shop.database, name)
        monkeypatch.setattr(
            shop.database, name, lambda *a, read=read, name=name, **k: (reads.append(name), read(*a, **k))[1]
        )

    def cost(look: Any) -> int:
        serve_audit({"Records": shop.database.stream}, shop.trail)
        reads.clear()
        assert look() is not None
        return len(reads)

    booked = shop.break_of(f"{payment_id}-1", BreakClass.DUPLICATE_CAPTURE, payment_id=payment_id, merchant_id=MERCHANT)
    assert cost(lambda: shop.explainer.explain(booked)) == 3
    directory, shards = 1, AUDIT_SHARDS
    unbooked = shop.break_of(shop.given_back("fourth-key"), BreakClass.MISSING_IN_LEDGER)
    assert cost(lambda: shop.explainer.explain(unbooked)) == directory + shards + 2
    still_open = shop.break_of(reference, BreakClass.MISSING_IN_LEDGER)
    assert cost(lambda: shop.explainer.explain(still_open)) == directory + shards + OPEN_LEASE_SHARDS + 1 + 2
    twice: list[Break] = []
    monkeypatch.setattr(shop, "why", twice.append)
    shop.why_twice()
    assert cost(lambda: shop.explainer.explain(twice[0])) == 6


def test_a_store_that_fails_leaves_a_break_without_its_why(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop()
    payment_id = shop.pay()

    def fails(*_: object, **__: object) -> None:
        raise StoreUnavailable("no")

    monkeypatch.setattr(shop.database, "query", fails)
    found = shop.break_of(f"{payment_id}-1", BreakClass.DUPLICATE_CAPTURE, payment_id=payment_id, merchant_id=MERCHANT)
    assert shop.explainer.for_run()(found) is None


def test_a_run_opens_its_cases_with_why() -> None:
    """Fails when the run does not ask, or asks again about a case that is open."""
    shop = Shop()
    desk = Desk(world=shop.world)
    asked: list[Break] = []

    def for_run() -> Any:
        explain = shop.explainer.for_run()
        return lambda found: (asked.append(found), explain(found))[1]

    desk.runs._explain = for_run
    reference = desk.pay("a-key")
    desk.report(("charge", reference, 10), ("charge", reference, 10))
    for _ in range(2):
        desk.run(hours=1)
    (case,) = desk.opened()
    assert (case.why_reason, case.why) == ("at_gateway", TEXTS[WhyReason.AT_GATEWAY])
    assert [found.break_id for found in asked] == [case.break_id]
