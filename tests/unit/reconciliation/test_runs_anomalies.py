"""What runs find beyond keys: a double charge is a case until its money is given back, the rest is told."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import OperationKind
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.cases.case import CaseStatus
from payonce.reconciliation.cases.charge_proof import charges_of, given_back
from payonce.reconciliation.cases.recording import RunCounts
from payonce.reconciliation.readers.rows import FileFormat, GatewayRow, ReconciliationFile, RowKind
from payonce.reconciliation.runs.run import ANOMALIES, MANIFESTS
from payonce.reconciliation.taxonomy import BreakClass
from tests.unit.reconciliation.test_runs import Desk

if TYPE_CHECKING:
    from payonce.reconciliation.runs.run_report import RunReport

DAYS = 24


def pay_twice(desk: Desk) -> tuple[str, str]:
    """The payer's client tries again under a new key, ten seconds later; the bank reports both."""
    first = desk.pay("first-key")
    desk.world.clock.ms -= 50_000
    second = desk.pay("second-key")
    desk.report(("charge", first, 10), ("charge", second, 10))
    return first, second


def manifest(desk: Desk, report: RunReport) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(desk.files.stored[f"{MANIFESTS}{report.manifest_hash}.json"])
    return document


def test_two_keys_for_one_sale_are_a_case_while_their_rows_are_matched() -> None:
    """Fails when runs don't ask for anomalies, or when a double charge takes its rows away from the rules."""
    desk = Desk()
    _, second = pay_twice(desk)
    report = desk.run(hours=1)
    (case,) = desk.opened()
    assert (case.break_class, case.payment_id, case.amount_minor) == (
        BreakClass.DOUBLE_CHARGE,
        second.removesuffix("-1"),
        1000,
    )
    assert "10 s apart; this merchant's window is 30 s (default: 0 such pairs in 0 earlier charges" in str(case.why)
    assert (report.breaks, report.double_charges, report.counts) == (1, 1, RunCounts(opened=1))
    document = manifest(desk, report)
    assert ["ledger", "EUR", "matched", 2, 2000] in document["tallies"]
    told = desk.files.stored[f"{ANOMALIES}{document['anomalies_digest']}.json"]
    assert hashlib.sha256(told).hexdigest() == document["anomalies_digest"]
    (calibration,) = json.loads(told)["calibrations"]
    assert (calibration["window_seconds"], calibration["upper_bound_per_10_000"]) == (30, "10000.00")


def test_a_double_charge_closes_when_its_money_is_back_and_not_when_it_is_no_longer_found() -> None:
    """Fails when a case closes because the charge left the period, or a day before the judged ones is not judged."""
    desk = Desk()
    _, second = pay_twice(desk)
    desk.run(hours=1)
    (case,) = desk.opened()
    assert desk.run(hours=8 * DAYS).double_charges == 1
    assert desk.run(hours=40 * DAYS).counts == RunCounts()
    assert desk.cases.get(case.break_id).status is CaseStatus.OPEN
    desk.world.follow_up(OperationKind.REFUND, second.removesuffix("-1"), "part-key", 400)
    assert desk.run(hours=1).counts.closed == 0
    desk.world.follow_up(OperationKind.REFUND, second.removesuffix("-1"), "rest-key", 600)
    assert desk.run(hours=1).counts.closed == 1
    assert desk.cases.get(case.break_id).status is CaseStatus.CLOSED


def test_the_other_one_of_the_pair_given_back_ends_it_too() -> None:
    desk = Desk()
    first, _ = pay_twice(desk)
    desk.run(hours=1)
    (case,) = desk.opened()
    desk.world.follow_up(OperationKind.REFUND, first.removesuffix("-1"), "refund-key", 1000)
    desk.run(hours=1)
    assert desk.cases.get(case.break_id).status is CaseStatus.CLOSED


def test_a_refund_that_only_the_gateway_knows_is_proof() -> None:
    """Fails when only our own books count, or a partial refund does."""
    desk = Desk()
    pay_twice(desk)
    desk.run(hours=1)
    (case,) = desk.opened()
    charge = ("bank", str(case.surplus_gateway_payment_id))
    assert charge in charges_of(case)

    def refunded(*amounts: int) -> bool:
        rows = [
            GatewayRow(n, f"rf{n}", None, RowKind.REFUND, -amount, 0, -amount, "EUR", 0, gateway_payment_id=charge[1])
            for n, amount in enumerate(amounts)
        ]
        with DuckDbWorkspace(threads=1) as workspace:
            for name in ("a", "b"):  # two files that overlap
                file = ReconciliationFile(name, FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=tuple(rows))
                workspace.add_file(file, gateway="bank")
            return given_back(desk.database, case, workspace.refunded_minor(charges_of(case)))

    assert (refunded(), refunded(999), refunded(600, 400)) == (False, False, True)


def test_a_refund_that_two_reports_tell_differently_counts_once() -> None:
    """Fails when the contents of one id are added up: a case would close on money that was never given back."""
    charges = {("bank", "ch_1")}
    with DuckDbWorkspace(threads=1) as workspace:
        for name, amount in (("a", 500), ("b", 600)):
            row = GatewayRow(1, "rf1", None, RowKind.REFUND, -amount, 0, -amount, "EUR", 0, gateway_payment_id="ch_1")
            file = ReconciliationFile(name, FileFormat.GENERIC_GATEWAY_CSV, gateway_rows=(row,))
            workspace.add_file(file, gateway="bank")
        assert workspace.refunded_minor(charges) == {("bank", "ch_1"): 500}


def test_what_the_gateway_never_made_is_missing_and_no_double() -> None:
    """Fails when a charge that moved no money is given back: the payer would be paid."""
    desk = Desk()
    first = desk.pay("first-key")
    desk.world.clock.ms -= 50_000
    desk.pay("second-key")
    desk.report(("charge", first, 10))
    report = desk.run(hours=2 * DAYS)
    assert [case.break_class for case in desk.opened()] == [BreakClass.MISSING_IN_GATEWAY]
    assert (report.breaks, report.double_charges) == (1, 0)


def test_what_a_person_dismissed_stays_so() -> None:
    desk = Desk()
    pay_twice(desk)
    desk.run(hours=1)
    (case,) = desk.opened()
    desk.cases.dismiss(case.break_id, reason="two tickets", by="operator:ann", at_ms=desk.world.clock.now_ms())
    assert desk.run(hours=1).counts == RunCounts()
    assert desk.cases.get(case.break_id).status is CaseStatus.DISMISSED


def test_bursts_are_told_and_are_no_cases() -> None:
    """Fails when findings do not reach the run's document, or open cases."""
    desk = Desk()
    desk.world.clock.ms += 1_000
    for number in range(104):
        desk.world.create(f"quiet-key-{number:04d}", payment_method=f"pm_visa_{number}")
        desk.world.clock.ms += 60_000
    desk.world.clock.ms += 8 * DAYS * 3_600_000
    for number in range(12):
        desk.world.create(f"burst-key-{number:04d}", payment_method="pm_visa_9", amount_minor=1_000 + number)
        desk.world.clock.ms += 1_000
    report = desk.run(hours=1)
    assert report.unusual == {"payer_burst": 1}
    # Without a report all that is older than a day is missing there, and nothing else is a case.
    assert {case.break_class for case in desk.opened()} == {BreakClass.MISSING_IN_GATEWAY}
    assert report.to_log()["findings"] == 1
    assert desk.run(hours=2 * DAYS).findings == 0
    told = json.loads(desk.files.stored[f"{ANOMALIES}{manifest(desk, report)['anomalies_digest']}.json"])
    assert told["counts"]["payer_burst"] == 1
    assert told["findings"][0]["rows"] == 12
