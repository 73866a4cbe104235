"""Ledger against gateway: each class by hand, and that order, files and repetition change nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payonce.domain.errors import BodyMalformed, ConservationViolated, FileRejected
from payonce.engines import duckdb_engine
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.break_evidence import EVIDENCE_ROWS_PER_BREAK
from payonce.reconciliation.matching.digest import ROW_HASH_MODULUS, row_hash
from payonce.reconciliation.matching.rules import RuleFile, rule_files
from payonce.reconciliation.model import FeeRule, LedgerKind, LedgerState, Outcome, Source
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile, RowKind
from tests.unit.reconciliation.transactions import (
    DAY_MS,
    HOUR_MS,
    SETTINGS,
    START_MS,
    entry,
    moved,
    reconcile,
    seen,
)

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import LedgerRow
    from payonce.reconciliation.readers.rows import GatewayRow

REFUND, BACK = LedgerKind.REFUND, RowKind.REFUND
LATE_MS = SETTINGS.as_of_ms - HOUR_MS
USD: dict[str, Any] = {"presented_minor": 1000, "presented_currency": "USD"}

CASES: dict[str, tuple[list[LedgerRow], list[GatewayRow], list[tuple[str, ...]]]] = {
    "equal": ([entry(1), entry(2, kind=REFUND)], [moved(1), moved(2, kind=BACK)], []),
    "missing in gateway": ([entry(1)], [], [("missing_in_gateway", "r1")]),
    "on its way in the ledger": ([entry(1, booked_at_ms=LATE_MS)], [], []),
    "missing in ledger": ([], [moved(1)], [("missing_in_ledger", "r1")]),
    "on its way at the gateway": ([], [moved(1, created_at_ms=LATE_MS)], []),
    "orphan refund": ([], [moved(1, kind=BACK)], [("orphan_refund", "r1")]),
    "captured thrice": (
        [entry(1)],
        [moved("a", reference="r1"), moved("b", reference="r1"), moved("c", reference="r1")],
        [("duplicate_capture", "r1", "tb"), ("duplicate_capture", "r1", "tc")],
    ),
    "captured twice, booked never": (
        [],
        [moved("a", reference="r1"), moved("b", reference="r1")],
        [("duplicate_capture", "r1", "tb"), ("missing_in_ledger", "r1")],
    ),
    "refunded twice": (
        [entry(1, kind=REFUND)],
        [moved("a", reference="r1", kind=BACK), moved("b", reference="r1", kind=BACK)],
        [("orphan_refund", "r1", "tb")],
    ),
    "two of each": (
        [entry("a", reference="r1"), entry("b", reference="r1")],
        [moved(1), moved("b", reference="r1")],
        [],
    ),
    "posted twice": (
        [entry("a", reference="r1"), entry("b", reference="r1")],
        [moved(1)],
        [("duplicate_posting", "r1", "eb")],
    ),
    "another movement under one reference": (
        [entry(1)],
        [moved(1), moved("x", reference="r1", amount_minor=700)],
        [("payload_conflict", "r1", "tx")],
    ),
    "one id, two contents": (
        [entry(1)],
        [moved(1), moved(1, amount_minor=700)],
        [("payload_conflict", "r1", "t1")],
    ),
    "one id, two references": (
        [entry(1), entry(2)],
        [moved(1), moved(1, reference="r2")],
        [("missing_in_gateway", "r2"), ("payload_conflict", "r2", "t1")],
    ),
    "other amount": ([entry(1)], [moved(1, amount_minor=999)], [("amount_mismatch", "r1")]),
    "other currency": ([entry(1)], [moved(1, currency="USD")], [("currency_mismatch", "r1")]),
    "presented in our currency": ([entry(1, currency="USD")], [moved(1, amount_minor=900, **USD)], []),
    "late": (
        [entry(1)],
        [moved(1, available_at_ms=START_MS + 8 * DAY_MS)],
        [("late_settlement", "r1")],
    ),
    "just in time": ([entry(1)], [moved(1, available_at_ms=START_MS + 7 * DAY_MS)], []),
    "held to be declined": ([entry(1, state=LedgerState.DECLINED)], [moved(1)], [("status_mismatch", "r1")]),
    "in doubt, and it moved": ([entry(1, state=LedgerState.IN_DOUBT)], [moved(1)], [("status_mismatch", "r1")]),
    "declined, and nothing moved": ([entry(1, state=LedgerState.DECLINED)], [], []),
    "refunded beyond its capture": (
        [entry(1), entry(2, kind=REFUND, gateway_payment_id="g1")],
        [
            moved(1, gateway_payment_id="g1"),
            moved(2, kind=BACK, gateway_payment_id="g1"),
            moved(3, kind=BACK, gateway_payment_id="g1", created_at_ms=START_MS - 1),
        ],
        [("refund_exceeds_capture", "r3")],
    ),
    "unknown refund within its capture": (
        [entry(1)],
        [moved(1, gateway_payment_id="g1"), moved(3, kind=BACK, gateway_payment_id="g1")],
        [("orphan_refund", "r3")],
    ),
    "dispute": ([entry(1)], [moved(1), moved("d", reference="r1", kind=RowKind.DISPUTE)], [("dispute_open", "r1")]),
    "fees and adjustments": ([], [moved(1, kind=RowKind.FEE), moved(2, kind=RowKind.ADJUSTMENT)], []),
    "payouts are the bank's": ([], [moved(1, kind=RowKind.PAYOUT)], []),
    "taken back": ([entry(1), entry(2, amount_minor=-1000, reverses_entry_id="e1")], [], []),
    "no reference, same payment": (
        [entry(1, gateway_payment_id="g1")],
        [moved(1, reference=None, gateway_payment_id="g1", amount_minor=999)],
        [("amount_mismatch", "r1")],
    ),
    "no reference, a copy of a payment that agrees": (
        [entry(1, gateway_payment_id="g1")],
        [moved(1), moved("x", reference=None, gateway_payment_id="g1", created_at_ms=START_MS + 1)],
        [("duplicate_capture", "r1", "tx")],
    ),
    "no reference, one candidate": ([entry(1), entry(2)], [moved(1, reference=None), moved(2)], []),
    "no reference, two candidates": (
        [entry(1), entry(2)],
        [moved(1, reference=None)],
        [("ambiguous", "bank|t1")],
    ),
    "no reference, candidate out of time": (
        [entry(1)],
        [moved(1, reference=None, created_at_ms=START_MS + 25 * HOUR_MS)],
        [("missing_in_gateway", "r1"), ("missing_in_ledger", "t1")],
    ),
    "ambiguous on two days": (
        [entry(n, booked_at_ms=START_MS + n // 2 * 9 * DAY_MS) for n in range(4)],
        [moved(n, reference=None, created_at_ms=START_MS + n * 9 * DAY_MS) for n in range(2)],
        [("ambiguous", "bank|t0"), ("ambiguous", "bank|t1")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_class_by_hand(name: str) -> None:
    """Fails when the rule of the class is taken out, or another class takes its rows."""
    ledger, gateway, expected = CASES[name]
    assert seen(reconcile(ledger, gateway)) == sorted(expected)


def test_a_fee_off_the_schedule() -> None:
    """Fails when the tolerance is forgotten or the fee is not looked at."""
    rules = replace(SETTINGS, fees=(FeeRule(gateway="bank", currency="EUR", fixed_minor=25, basis_points=140),))
    result = reconcile(
        [entry(n) for n in range(4)],
        [moved(n, fee_minor=fee) for n, fee in enumerate((39, 40, 37, 38))],
        settings=rules,
    )
    assert seen(result) == [("fee_mismatch", "r2")]
    assert result.breaks[0].amount_minor == 2


def test_a_rate_is_held_against_the_days_median() -> None:
    """Fails when the rate is not looked at or each rate is its own measure."""
    ledger = [entry(n, currency="USD") for n in range(5)]
    gateway = [moved(n, amount_minor=amount, **USD) for n, amount in enumerate((900, 905, 900, 895, 950))]
    result = reconcile(ledger, gateway)
    assert seen(result) == [("fx_mismatch", "r4")]
    assert result.breaks[0].amount_minor == 50


def test_what_a_break_tells() -> None:
    """Fails when money, time, owner, the surplus charge or its evidence are lost on the way."""
    result = reconcile(
        [entry(1)],
        [
            moved(1, gateway_payment_id="g1"),
            moved("b", reference="r1", gateway_payment_id="g2", created_at_ms=START_MS + 5),
        ],
    )
    [found] = result.breaks
    assert (found.amount_minor, found.currency, found.occurred_at_ms) == (1000, "EUR", START_MS + 5)
    assert (found.merchant_id, found.payment_id, found.gateway) == ("m1", "pay1", "bank")
    assert found.surplus_gateway_payment_id == "g2"
    assert [(row.source, row.row_key) for row in found.evidence] == [
        (Source.GATEWAY, "bank|t1"),
        (Source.GATEWAY, "bank|tb"),
        (Source.LEDGER, "e1"),
    ]


def test_evidence_is_bounded() -> None:
    """Fails when a group of many rows is attached whole to each of its breaks."""
    result = reconcile([entry(1)], [moved(n, reference="r1") for n in range(30)])
    assert {len(found.evidence) for found in result.breaks} == {EVIDENCE_ROWS_PER_BREAK}


@pytest.mark.parametrize(
    ("moment", "zone_jump"),
    [
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), "Europe springs forward"),
        (datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC), "Europe falls back"),
        (datetime(2028, 2, 28, 23, 59, 59, tzinfo=UTC), "leap day"),
        (datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC), "after the leap day"),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), "year's end"),
    ],
)
def test_the_calendar_makes_no_breaks(moment: datetime, zone_jump: str) -> None:
    """Fails when a rule compares calendar days or local hours instead of instants."""
    at_ms = int(moment.timestamp() * 1000)
    day = replace(SETTINGS, as_of_ms=at_ms + 30 * DAY_MS)
    ledger = [entry(n, booked_at_ms=at_ms, amount_minor=1000 + n) for n in range(3)]
    gateway = [
        moved(0, created_at_ms=at_ms + 2000, available_at_ms=at_ms + 2000 + 7 * DAY_MS),
        moved(1, amount_minor=1001, created_at_ms=at_ms + 2000),
        moved(2, amount_minor=1002, reference=None, created_at_ms=at_ms + 23 * HOUR_MS),
    ]
    assert seen(reconcile(ledger, gateway, settings=day)) == [], zone_jump


def everything() -> tuple[list[LedgerRow], list[GatewayRow]]:
    """Return all cases as one world, each under names of its own so that they don't meet."""
    ledger: list[LedgerRow] = []
    gateway: list[GatewayRow] = []
    for place, (entries, rows, _) in enumerate(CASES.values()):
        tag = f"_{place}"

        def own(value: str | None, tag: str = tag) -> str | None:
            return None if value is None else value + tag

        for row in entries:
            ledger.append(
                replace(
                    row,
                    entry_id=row.entry_id + tag,
                    reference=row.reference + tag,
                    amount_minor=row.amount_minor * (place + 1),
                    reverses_entry_id=own(row.reverses_entry_id),
                    gateway_payment_id=own(row.gateway_payment_id),
                )
            )
        for moved_row in rows:
            presented = moved_row.presented_minor
            gateway.append(
                replace(
                    moved_row,
                    transaction_id=moved_row.transaction_id + tag,
                    reference=own(moved_row.reference),
                    amount_minor=moved_row.amount_minor * (place + 1),
                    presented_minor=None if presented is None else presented * (place + 1),
                    gateway_payment_id=own(moved_row.gateway_payment_id),
                )
            )
    return ledger, gateway


@cache
def result_of_everything() -> RunResult:
    return reconcile(*everything())


def test_all_classes_in_one_run_do_not_disturb_each_other() -> None:
    """Fails when a rule takes rows of another group."""
    classes = sorted(name for _, _, expected in CASES.values() for name, *_ in expected)
    assert [name for name, *_ in seen(result_of_everything())] == classes


def test_the_rules_of_transactions_know_nothing_of_the_bank_s() -> None:
    """Fails when one of them reads what the bank's leave."""
    assert not [text for file in rule_files("transactions") for text in file.statements if "bank_" in text]


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), cuts=st.integers(1, 5), repeated=st.booleans())
def test_order_files_and_repetition_change_nothing(seed: int, cuts: int, repeated: bool) -> None:
    """Fails when a rule depends on the order of rows, or a row that two files have in common counts twice."""
    ledger, gateway = everything()
    before = result_of_everything()
    dice = random.Random(seed)
    dice.shuffle(ledger)
    dice.shuffle(gateway)
    files = [gateway[start::cuts] for start in range(cuts)]
    if repeated:
        files.append(dice.sample(gateway, len(gateway) // 2))
        ledger += dice.sample(ledger, len(ledger) // 2)
    after = reconcile(ledger, *files)
    assert after.digest == before.digest
    assert after == before


references = st.sampled_from(["r1", "r2", "r3", None])
amounts = st.sampled_from([500, 1000])
times = st.integers(0, 3).map(lambda step: START_MS + step * 20 * HOUR_MS)


@settings(max_examples=60)
@given(st.data())
def test_whatever_the_rows_each_ends_exactly_once(data: st.DataObject) -> None:
    """Fails when a rule loses a row or gives it two outcomes: ``run`` raises, or the tallies do not add up."""
    ledger = [
        entry(
            n,
            reference=data.draw(references) or "",
            kind=data.draw(st.sampled_from(list(LedgerKind))),
            amount_minor=data.draw(amounts),
            state=data.draw(st.sampled_from([LedgerState.BOOKED, LedgerState.BOOKED, LedgerState.FAILED])),
            booked_at_ms=data.draw(times),
            gateway_payment_id=data.draw(st.sampled_from(["g1", "g2", None])),
            reverses_entry_id=data.draw(st.sampled_from([None, None, None, "e0"])) if n else None,
        )
        for n in range(data.draw(st.integers(0, 6)))
    ]
    gateway = [
        moved(
            data.draw(st.integers(0, 7)),
            reference=data.draw(references),
            kind=data.draw(st.sampled_from([RowKind.CHARGE, RowKind.CHARGE, RowKind.REFUND, RowKind.DISPUTE])),
            amount_minor=data.draw(amounts),
            currency=data.draw(st.sampled_from(["EUR", "EUR", "USD"])),
            created_at_ms=data.draw(times),
            gateway_payment_id=data.draw(st.sampled_from(["g1", "g2", None])),
        )
        for _ in range(data.draw(st.integers(0, 8)))
    ]
    result = reconcile(ledger, gateway)
    counted = {source: sum(t.rows for t in result.tallies if t.source is source) for source in Source}
    assert counted[Source.LEDGER] == len(ledger)
    assert counted[Source.GATEWAY] == len({replace(row, row_number=1) for row in gateway})
    assert sum(t.amount_minor for t in result.tallies if t.source is Source.LEDGER) == sum(
        r.amount_minor for r in ledger
    )


def test_an_entry_that_two_disputes_name_tells_of_the_one_whose_reference_it_has() -> None:
    """Fails (``ConservationViolated``: the run has no result) when it is matched with both, and so is counted twice."""
    disputed = {"kind": RowKind.DISPUTE, "amount_minor": 500, "gateway_payment_id": "g1"}
    told = entry(0, reference="r1", kind=LedgerKind.DISPUTE, amount_minor=500, gateway_payment_id="g1")
    result = reconcile([told], [moved(0, reference="r1", **disputed), moved(1, reference="r2", **disputed)])
    outcomes = {(tally.source, tally.outcome): tally.rows for tally in result.tallies if tally.rows}
    assert outcomes[Source.LEDGER, Outcome.MATCHED] == 1
    assert sum(rows for (source, _), rows in outcomes.items() if source is Source.GATEWAY) == 2


def test_a_rule_that_loses_a_row_has_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the conservation proof is taken out."""

    def lossy(family: str) -> tuple[RuleFile, ...]:
        return tuple(RuleFile(file.name, _lose(file)) for file in rule_files(family))

    def _lose(file: RuleFile) -> tuple[str, ...]:
        return tuple(text.replace("WHERE v.source = 'ledger'", "WHERE FALSE") for text in file.statements)

    monkeypatch.setattr(duckdb_engine, "rule_files", lossy)
    with pytest.raises(ConservationViolated, match="ledger rows in EUR"):
        reconcile([entry(1)], [])


@pytest.mark.parametrize("side", ["ledger", "gateway"])
def test_a_row_that_ends_twice_in_place_of_another_has_no_result(monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    """Two rows of equal amount: counts and sums hold. Fails when the keys of rows are not proved."""
    first = {"ledger": "e1", "gateway": "bank|t1"}[side]

    def doubled(family: str) -> tuple[RuleFile, ...]:
        return tuple(
            RuleFile(file.name, tuple(_double(text) for text in file.statements)) for file in rule_files(family)
        )

    def _double(text: str) -> str:
        if not text.rpartition("--")[2].partition("CREATE TABLE ")[2].startswith("transactions_judged"):
            return text
        return text.replace("v.source, v.row_key, v.version,", f"v.source, '{first}' AS row_key, v.version,")

    monkeypatch.setattr(duckdb_engine, "rule_files", doubled)
    rows = ([entry(1), entry(2)], []) if side == "ledger" else ([], [moved(1), moved(2)])
    with pytest.raises(ConservationViolated, match=f"{side} rows: their keys"):
        reconcile(*rows)


def test_a_pair_in_bulk_that_ends_twice_in_place_of_another_has_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when what was settled in bulk is left out of the proof of keys."""

    def crossed(family: str) -> tuple[RuleFile, ...]:
        wrong = f"CASE WHEN l.id_hash = {row_hash('e2')} THEN {row_hash('e1')} ELSE l.id_hash END + 1 + CASE"
        return tuple(
            RuleFile(file.name, tuple(text.replace("l.id_hash + 1 + CASE", wrong) for text in file.statements))
            for file in rule_files(family)
        )

    monkeypatch.setattr(duckdb_engine, "rule_files", crossed)
    with pytest.raises(ConservationViolated, match="ledger rows: their keys"):
        reconcile([entry(1), entry(2)], [moved(1), moved(2)])


def test_amounts_beyond_the_pass_in_bulk_are_judged_all_the_same() -> None:
    """Fails when an amount that does not fit the packed number is cut, or taken for another one's equal."""
    huge = 10**18 - 1
    ledger = [entry(1, amount_minor=huge), entry(2, amount_minor=huge), entry(3, amount_minor=2**45)]
    gateway = [moved(1, amount_minor=huge), moved(2, amount_minor=huge - 2**61), moved(3, amount_minor=2**45)]
    result = reconcile(ledger, gateway)
    assert seen(result) == [("amount_mismatch", "r2")]
    matched = {t.source: t.amount_minor for t in result.tallies if t.outcome is Outcome.MATCHED}
    assert matched == {Source.LEDGER: huge + 2**45, Source.GATEWAY: huge + 2**45}


def test_two_pairs_that_swap_partners_change_the_digest() -> None:
    """Fails when the digest is made of counts and sums alone."""
    straight = reconcile([entry(1), entry(2)], [moved(1), moved(2)])
    crossed = reconcile([entry(1), entry(2)], [moved(1, reference="r2"), moved(2, reference="r1")])
    assert straight.tallies == crossed.tallies
    assert straight.digest != crossed.digest


@given(st.text())
@settings(max_examples=50)
def test_duckdb_hashes_like_the_definition(text: str) -> None:
    """Fails when the engine's row_hash is another one."""
    with DuckDbWorkspace(threads=1) as workspace:
        [[value]] = workspace._connection.execute("SELECT row_hash(?)", [text]).fetchall()
    assert value == row_hash(text) < ROW_HASH_MODULUS


def test_the_same_file_again_is_a_no_op_and_a_run_can_be_repeated() -> None:
    """Fails when a repeated file or a second run leaves something behind."""
    file = ReconciliationFile("f", FileFormat.STRIPE_CSV, gateway_rows=(moved(1), moved(2)))
    with DuckDbWorkspace(threads=1) as workspace:
        workspace.add_file(file, gateway="bank")
        first = workspace.run(SETTINGS)
        workspace.add_file(file, gateway="bank")
        steps: list[tuple[str, int, int]] = []
        assert workspace.run(SETTINGS, lambda *step: steps.append(step)) == first
        assert workspace.unknown_references() == [("bank", "r1"), ("bank", "r2")]
    assert [done for _, done, _ in steps] == list(range(steps[-1][2] + 1))
    assert sum(t.rows for t in first.tallies if t.outcome is Outcome.BREAK) == 2


def test_wrong_input_is_refused_by_name(tmp_path: Path) -> None:
    """Fails when a foreign error gets out of the adapter."""
    file = ReconciliationFile("f", FileFormat.STRIPE_CSV, gateway_rows=(moved(1),))
    not_parquet = tmp_path / "x.parquet"
    not_parquet.write_bytes(b"no")
    with DuckDbWorkspace(threads=1) as workspace:
        with pytest.raises(BodyMalformed, match="name"):
            workspace.add_file(file)
        with pytest.raises(FileRejected, match="ledger"):
            workspace.add_parquet("ledger", [str(not_parquet)])
        with pytest.raises(BodyMalformed, match="two fee rules"):
            fee = FeeRule(gateway="bank", currency="EUR", fixed_minor=1, basis_points=1)
            workspace.run(replace(SETTINGS, fees=(fee, fee)))
