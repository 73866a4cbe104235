"""What was done at the bank agrees with the bank's report once it is booked: no break stays, or only the right one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import pytest

from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.sandbox_bank import SandboxBankGateway
from payonce.payments.at_gateway import catch_up
from payonce.payments.payment_reads import get_balances
from payonce.payments.stored_payments import find_payment
from payonce.ports import Deadline
from payonce.reconciliation.model import RunSettings
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.runs.ledger_rows import booked_rows
from tests.support.world import FORGETFUL, MERCHANT, ManualClock, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import LedgerRow
    from tests.contract.sandbox_bank.conftest import Till

DAY_MS = 86_400_000


class Shop:
    """A merchant at one bank: payments by payonce's own adapter, the bank's dashboard, and runs over its report."""

    def __init__(self, till: Till) -> None:
        self.till = till
        self.world = World(clock=ManualClock(till.handle.advance(till.bank, seconds=1)))
        self.world.gateway = self.gateway = SandboxBankGateway(  # type: ignore[assignment]
            name="bank",
            base_url=till.handle.base_url(till.bank),
            token="sandbox",
            capabilities=FORGETFUL,
            exchange=DeadlineExchange(self.world.clock, max_answer_bytes=1_000_000),
        )
        self.payments: list[str] = []

    def pay(self, capture: CaptureMethod = CaptureMethod.AUTOMATIC) -> str:
        """Make a payment of 10.00 EUR; return its id."""
        document = json.loads(self.world.create(f"key-{len(self.payments)}", capture=capture).response.body)
        self.payments.append(document["id"])
        return self.payments[-1]

    def act(self, payment_id: str, action: str, **values: Any) -> dict[str, Any]:
        """Do something to a payment in the bank's dashboard."""
        return self.till.handle.dashboard(self.till.bank, action, reference=f"{payment_id}-1", **values)

    def end(self, action: str, dispute: dict[str, Any], **values: Any) -> None:
        """Answer or decide a dispute."""
        self.till.handle.dashboard(self.till.bank, action, dispute_id=dispute["dispute_id"], **values)

    def learn(self, *, days: float = 0.1) -> None:
        """Let some time pass, and the bank's events come."""
        self.world.clock.ms = self.till.handle.advance(self.till.bank, days=days)
        for payment_id in self.payments:
            payment = find_payment(self.world.database, MERCHANT, payment_id)
            assert payment is not None
            deadline = Deadline(self.world.clock.ms + 20_000)
            assert catch_up(self.world.services, self.gateway, payment, deadline).open_reason == ""

    def ledger(self, from_ms: int = 0, until_ms: int | None = None) -> list[LedgerRow]:
        """Return our movements."""
        first_ms = max(from_ms, self.world.clock.ms - 300 * DAY_MS)
        return list(booked_rows(self.world.database, from_ms=first_ms, until_ms=until_ms or self.world.clock.ms + 1))

    def run(self, *, from_ms: int | None = None, ledger: list[LedgerRow] | None = None) -> RunResult:
        """Compare our ledger with the bank's report, as of two days later."""
        with DuckDbWorkspace(threads=1) as workspace:
            workspace.add_ledger(self.ledger(from_ms or 0) if ledger is None else ledger)
            report = self.till.handle.report(self.till.bank, from_ms=from_ms)
            workspace.add_file(read_file(report), gateway="bank")
            settings = RunSettings(as_of_ms=self.world.clock.ms + 2 * DAY_MS, settlement_sla_hours=24 * 60)
            return workspace.run(settings)

    def balances(self) -> dict[str, int]:
        found = get_balances(self.world.services, MERCHANT)["data"]
        return {line["account"]: line["balance_minor"] for line in found if line["balance_minor"]}


def breaks(result: RunResult) -> list[tuple[str, int]]:
    return sorted((found.break_class.value, found.amount_minor) for found in result.breaks)


def opened(result: RunResult) -> list[tuple[str, str]]:
    return sorted((item.source.value, item.reason) for item in result.open_items)


@pytest.fixture
def shop(till: Till) -> Iterator[Shop]:
    yield Shop(till)


def test_a_dispute_agrees_with_the_report_from_its_opening_to_its_end(shop: Shop) -> None:
    """Fails when it stays a break for ever although it is booked, or its entries are missing in the report."""
    won, lost = shop.pay(), shop.pay()
    first, second = shop.act(won, "dispute"), shop.act(lost, "dispute", amount_minor=300)
    # Before payonce knows of them they are breaks, as without gateway events.
    assert breaks(shop.run()) == [("dispute_open", 300), ("dispute_open", 1000)]
    shop.learn()
    assert breaks(shop.run()) == []
    shop.end("win", first, fee_returned=True)
    shop.end("lose", second)
    shop.learn(days=30)
    result = shop.run()
    assert (breaks(result), opened(result)) == ([], [])
    assert shop.balances() == {"gateway_receivable:bank": 1700, "merchant_payable": -1700}


def test_two_disputes_of_one_charge_of_which_one_is_won(shop: Shop) -> None:
    paid = shop.pay()
    first, second = shop.act(paid, "dispute", amount_minor=400), shop.act(paid, "dispute", amount_minor=600)
    shop.learn()
    assert breaks(shop.run()) == []
    shop.end("win", second)
    shop.end("lose", first)
    shop.learn()
    result = shop.run()
    assert (breaks(result), opened(result)) == ([], [])


def test_a_win_that_the_report_does_not_have_yet_is_no_double_booking(shop: Shop) -> None:
    """Fails when the entry of the win is a duplicate posting, which a correction would take back."""
    paid = shop.pay()
    dispute = shop.act(paid, "dispute")
    shop.learn()
    early = shop.till.handle.report(shop.till.bank)
    shop.end("win", dispute)
    shop.learn(days=1)
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_ledger(shop.ledger())
        workspace.add_file(read_file(early), gateway="bank")
        result = workspace.run(RunSettings(as_of_ms=shop.world.clock.ms + 1000, settlement_sla_hours=24 * 60))
    assert (breaks(result), opened(result)) == ([], [("ledger", "in_transit")])


@pytest.mark.parametrize(("taken_minor", "refunded_minor"), [(None, 0), (600, 0), (None, 250)])
def test_a_late_reversal_agrees_with_the_report(shop: Shop, taken_minor: int | None, refunded_minor: int) -> None:
    """Fails when it stays a settlement that was reversed although our ledger took it back, too."""
    paid, other = shop.pay(), shop.pay()
    if refunded_minor:
        shop.world.follow_up(OperationKind.REFUND, paid, "key-refund", refunded_minor)
    shop.act(paid, "reverse", **({} if taken_minor is None else {"amount_minor": taken_minor}))
    left_minor = 1000 - refunded_minor if taken_minor is None else taken_minor
    assert breaks(shop.run()) == [("settlement_reversed", left_minor)]
    shop.learn()
    result = shop.run()
    assert (breaks(result), opened(result)) == ([], [])
    assert other


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("seen_before", [True, False])
def test_a_refund_that_comes_back_agrees_with_the_report(shop: Shop, elsewhere: bool, seen_before: bool) -> None:
    """Fails when it stays a refund that failed, although our ledger took it back, or is booked with each look."""
    paid, other = shop.pay(), shop.pay()
    if elsewhere:
        shop.act(paid, "refund", amount_minor=400)
    else:
        shop.world.follow_up(OperationKind.REFUND, paid, "key-refund", 400)
    if seen_before:
        shop.learn()
    assert shop.act(paid, "return_refund")["status"] == "returned"
    if not elsewhere or seen_before:
        assert breaks(shop.run()) == [("refund_failed", 400)]
    shop.learn()
    shop.learn()
    result = shop.run()
    assert (breaks(result), opened(result)) == ([], [("ledger", "taken_back")] * 2)
    payment = find_payment(shop.world.database, MERCHANT, paid)
    assert payment is not None
    assert (payment.status.value, payment.refunded_minor, payment.refundable_minor) == ("captured", 0, 1000)
    shop.world.follow_up(OperationKind.REFUND, paid, "key-again", 1000)
    assert breaks(shop.run()) == []
    assert other


def test_a_refund_comes_back_once_and_a_declined_one_does_not(till: Till) -> None:
    """Fails when money moves twice, or a lookup still says that the refund has succeeded."""
    paid = till.pay("tok_ok")
    with pytest.raises(HTTPError):
        till.handle.dashboard(till.bank, "return_refund", reference="pay_1")
    first = till.handle.dashboard(till.bank, "refund", reference="pay_1", amount_minor=300)
    second = till.handle.dashboard(till.bank, "refund", reference="pay_1", amount_minor=200)
    till.handle.dashboard(till.bank, "return_refund", reference="pay_1", operation_id=first["operation_id"])
    with pytest.raises(HTTPError):
        till.handle.dashboard(till.bank, "return_refund", reference="pay_1", operation_id=first["operation_id"])
    charge = till.handle.charge(till.bank, paid["charge_id"])
    told = [(each["operation_id"], each["amount_minor"], each["status"]) for each in charge["refunds"]]
    assert told == [(first["operation_id"], 300, "returned"), (second["operation_id"], 200, "succeeded")]
    assert charge["refunded_minor"] == 200
    rows = [(row.kind.value, row.amount_minor, row.reference) for row in till.report()]
    assert rows[-3:] == [
        ("refund", -300, first["reference"]),
        ("refund", -200, second["reference"]),
        ("refund_reversal", 300, first["reference"]),
    ]


def test_a_reversal_of_another_amount_than_is_booked_is_a_break(shop: Shop) -> None:
    """Fails when any entry of ours makes the gateway's reversal right."""
    paid = shop.pay()
    shop.act(paid, "reverse", amount_minor=600)
    shop.learn()
    shop.act(paid, "reverse", amount_minor=300)
    assert ("settlement_reversed", 900) in breaks(shop.run())


def test_a_dispute_of_another_amount_than_is_booked_is_a_break(shop: Shop) -> None:
    """Fails when any entry of ours makes the gateway's withdrawals right."""
    paid = shop.pay()
    shop.act(paid, "dispute", amount_minor=600)
    shop.learn()
    shop.act(paid, "dispute", amount_minor=300)
    assert ("dispute_open", 900) in breaks(shop.run())


def test_a_month_that_has_only_a_disputes_end_or_only_a_reversal(shop: Shop) -> None:
    """The charge and the withdrawal were in the report before. Fails when a part of the life alone is a break."""
    disputed, reversed_later, *_ = [shop.pay() for _ in range(5)]
    dispute = shop.act(disputed, "dispute")
    shop.end("evidence", dispute, text="signed for")
    shop.learn()
    begin_ms = shop.world.clock.ms = shop.till.handle.advance(shop.till.bank, days=20)
    shop.end("win", dispute)
    shop.act(reversed_later, "reverse")
    third = shop.pay()
    shop.learn()
    result = shop.run(from_ms=begin_ms)
    assert (breaks(result), opened(result)) == ([], [])
    # The whole ledger beside the second report: what is before the reports was in earlier ones.
    whole = shop.run(from_ms=begin_ms, ledger=shop.ledger())
    assert breaks(whole) == []
    assert third


def test_what_was_done_in_the_dashboard_agrees_once_it_is_booked(shop: Shop) -> None:
    """Fails when it stays an orphan for ever."""
    refunded, in_part = shop.pay(), shop.pay()
    captured, canceled = shop.pay(CaptureMethod.MANUAL), shop.pay(CaptureMethod.MANUAL)
    shop.act(refunded, "refund")
    shop.act(in_part, "refund", amount_minor=100)
    shop.act(in_part, "refund", amount_minor=250)
    shop.act(captured, "capture")
    shop.act(canceled, "cancel")
    before = breaks(shop.run())
    assert [found[0] for found in before].count("orphan_refund") == 3
    shop.learn()
    result = shop.run()
    assert (breaks(result), opened(result)) == ([], [])
