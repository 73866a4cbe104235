"""The bank's report and statement, read by payonce's readers, against the bank's books."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from local.sandbox_bank.books import Books
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.readers.rows import FileFormat, RowKind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.sandbox_bank.conftest import Till

DAY_MS = 86_400_000


def a_day(till: Till) -> None:
    """Book of everything that moves money, and of everything that moves none."""
    charge = till.charge("pay_1", 10_000)
    till.follow_up("refunds", charge["charge_id"], "ref_1", 2_500)
    till.charge("pay_2", 777, "JPY")
    held = till.charge("auth_1", 5_000, capture="manual")
    till.follow_up("captures", held["charge_id"], "cap_1", 3_000)
    till.charge("auth_2", 9_999, capture="manual")
    with pytest.raises(HTTPError):
        till.charge("declined_1", 4_000, payment_method="pm_sandbox_declined")


def test_the_report_adds_up_with_the_books(till: Till) -> None:
    """Fails when a hold or a declined payment is reported, a capture is not, or a refund adds to the balance."""
    a_day(till)
    booked = {row["reference"]: row for row in till.handle.books(bank=till.bank, status="succeeded")}
    rows = {row.reference: row for row in till.report()}
    assert set(rows) == {"pay_1", "ref_1", "pay_2", "cap_1"}
    for reference, row in rows.items():
        operation = booked[str(reference)]
        sign = -1 if row.kind is RowKind.REFUND else 1
        assert row.amount_minor == sign * operation["amount_minor"]
        assert (row.transaction_id, row.gateway_payment_id) == (operation["operation_id"], operation["charge_id"])
        assert (row.currency, row.created_at_ms) == (operation["currency"], operation["created_at_ms"])
    assert rows["ref_1"].gateway_payment_id == rows["pay_1"].gateway_payment_id


def test_fees_and_availability_follow_the_terms(till: Till) -> None:
    """Fails when a refund costs a fee, a half is rounded down, or the delay is not added."""
    till.handle.configure(till.bank, fee_fixed_minor=7, fee_basis_points=150, settlement_delay_hours=24)
    charge = till.charge("pay_1", 1_100)  # 16.5, so 17
    till.follow_up("refunds", charge["charge_id"], "ref_1", 100)
    rows = {row.reference: row for row in till.report()}
    assert (rows["pay_1"].fee_minor, rows["ref_1"].fee_minor) == (24, 0)
    assert rows["pay_1"].available_at_ms == rows["pay_1"].created_at_ms + DAY_MS


def test_the_report_is_of_its_period(till: Till) -> None:
    """Fails when the end of a period is part of it: then two periods share a row."""
    till.charge("pay_1", 100)
    (row,) = till.report()
    before = till.handle.report(till.bank, to_ms=row.created_at_ms)
    after = till.handle.report(till.bank, from_ms=row.created_at_ms, to_ms=row.created_at_ms + 1)
    assert (read_file(before).gateway_rows, read_file(after).gateway_rows[0].reference) == ((), "pay_1")


def test_a_payout_takes_out_what_its_movements_brought_in(till: Till) -> None:
    """Fails when a movement is settled twice or not at all, or a payout is another amount than its movements' nets."""
    a_day(till)
    payouts = {payout["currency"]: payout for payout in till.settle()}
    rows = till.report()
    for currency, payout in payouts.items():
        nets = [row.net_minor for row in rows if row.payout_id == payout["payout_id"]]
        assert (sum(nets), -min(nets)) == (0, payout["amount_minor"])
        assert currency in {"EUR", "JPY"}
    assert Counter(row.kind for row in rows)[RowKind.PAYOUT] == 2
    assert all(row.payout_id for row in rows)
    assert till.settle() == []
    assert till.report() == rows


def test_payout_ids_follow_from_bank_currency_and_batch(till: Till) -> None:
    """Fails when an id is drawn at random, or does not depend on the batch."""
    till.charge("pay_1", 1_000)
    first = till.settle()[0]["payout_id"]
    till.charge("pay_2", 1_000)
    second = till.settle(days=1)[0]["payout_id"]
    assert first != second
    till.handle.configure("fixed", fee_fixed_minor=0, fee_basis_points=0)
    type(till)(till.handle, "fixed").charge("pay_1", 1_000)
    ids = [payout["payout_id"] for payout in type(till)(till.handle, "fixed").settle()]
    assert ids == ["po_" + hashlib.sha256(b"fixed|EUR|1").hexdigest()[:24]]


def test_a_currency_in_which_nothing_is_owed_waits(till: Till) -> None:
    """Fails when a payout of nothing, or a negative one, is made."""
    charge = till.charge("pay_1", 1_000)
    till.follow_up("refunds", charge["charge_id"], "ref_1", 1_000)
    assert till.settle() == []
    till.charge("pay_2", 5_000)
    (payout,) = till.settle()
    assert payout["amount_minor"] == 5_000 - 95 - 39


def test_the_statement_shows_each_payout_and_follows_the_last_one(till: Till) -> None:
    """Fails when balances do not follow, a payout is not credited, or the end-to-end id is not the payout's."""
    a_day(till)
    first = {payout["currency"]: payout for payout in till.settle()}
    till.charge("pay_3", 20_000)
    (second,) = till.settle(days=2)
    found = read_file(till.handle.statement(till.bank))
    assert found.format is FileFormat.CAMT
    euro = [statement for statement in found.statements if statement.currency == "EUR"]
    (yen,) = (statement for statement in found.statements if statement.currency == "JPY")
    assert [statement.lines[0].end_to_end_id for statement in euro] == [first["EUR"]["payout_id"], second["payout_id"]]
    assert [statement.lines[0].amount_minor for statement in (*euro, yen)] == [
        first["EUR"]["amount_minor"],
        second["amount_minor"],
        first["JPY"]["amount_minor"],
    ]
    assert euro[0].opening_minor == 0
    assert euro[1].opening_minor == euro[0].closing_minor == first["EUR"]["amount_minor"]
    assert (euro[1].lines[0].booking_date - euro[0].lines[0].booking_date).days == 2


def test_the_statement_is_of_its_account_and_period(till: Till) -> None:
    """Fails when an account's statement has another's lines, or the same question another answer."""
    a_day(till)
    till.settle()
    account = f"{till.bank}-JPY".upper()
    file = till.handle.statement(till.bank, account=account)
    (statement,) = read_file(file).statements
    assert (statement.account, statement.currency) == (account, "JPY")
    assert till.handle.statement(till.bank, account=account) == file
    with pytest.raises(HTTPError, match="404"):
        till.handle.statement(till.bank, from_ms=max(row.created_at_ms for row in till.report()) + 1)


def test_a_batch_can_not_close_before_the_last_one(till: Till) -> None:
    """Fails when a statement may be dated before the one it follows."""
    till.charge("pay_1", 1_000)
    till.settle(days=3)
    till.charge("pay_2", 1_000)
    with pytest.raises(HTTPError, match="409"):
        till.handle.settle(till.bank, 1)


OLD_BOOKS = """
CREATE TABLE operations (
    operation_id TEXT PRIMARY KEY, bank TEXT NOT NULL, charge_id TEXT NOT NULL, kind TEXT NOT NULL,
    reference TEXT NOT NULL, status TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    payment_method TEXT NOT NULL, code TEXT, created_at_ms INTEGER NOT NULL, visible_at_ms INTEGER NOT NULL);
CREATE TABLE charges (
    charge_id TEXT PRIMARY KEY, bank TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    payment_method TEXT NOT NULL, captured_minor INTEGER NOT NULL, refunded_minor INTEGER NOT NULL,
    voided INTEGER NOT NULL);
CREATE TABLE answers (
    bank TEXT NOT NULL, idempotency_key TEXT NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, kept_until_ms INTEGER NOT NULL, PRIMARY KEY (bank, idempotency_key));
INSERT INTO charges VALUES ('ch_1', 'b', 1000, 'EUR', 'pm', 1000, 300, 0), ('ch_2', 'b', 500, 'EUR', 'pm', 400, 0, 0),
    ('ch_3', 'b', 70, 'EUR', 'pm', 0, 0, 1);
INSERT INTO operations VALUES
    ('op_1', 'b', 'ch_1', 'payment', 'auto', 'succeeded', 1000, 'EUR', 'pm', NULL, 1, 1),
    ('op_2', 'b', 'ch_1', 'refund', 'refund', 'succeeded', 300, 'EUR', 'pm', NULL, 2, 2),
    ('op_3', 'b', 'ch_2', 'payment', 'hold', 'succeeded', 500, 'EUR', 'pm', NULL, 3, 3),
    ('op_4', 'b', 'ch_2', 'capture', 'capture', 'succeeded', 400, 'EUR', 'pm', NULL, 4, 4),
    ('op_5', 'b', 'ch_3', 'payment', 'voided', 'succeeded', 70, 'EUR', 'pm', NULL, 5, 5),
    ('op_6', 'b', 'ch_4', 'payment', 'declined', 'declined', 80, 'EUR', 'pm', 'declined', 6, 6);
"""


def test_books_of_an_earlier_bank_get_their_movements_once(tmp_path: Path) -> None:
    """Fails when an older file can't be opened, a hold becomes a movement, or a second start books everything again."""
    path = tmp_path / "books.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD_BOOKS)
    for _ in range(2):
        with closing(Books(path)) as books, books.transaction() as connection:
            rows = connection.execute("SELECT reference, kind, amount_minor FROM movements ORDER BY created_at_ms")
            found = [tuple(row) for row in rows]
        assert found == [("auto", "charge", 1000), ("refund", "refund", -300), ("capture", "charge", 400)]


def test_charges_of_an_earlier_bank_can_be_looked_up_and_refunded(tmp_path: Path) -> None:
    """Fails when an older file lacks what was added to charges since."""
    path = tmp_path / "books.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(OLD_BOOKS)
    refund = {"kind": "refund", "charge_id": "ch_1", "reference": "ref_1", "amount_minor": 700}
    with closing(Books(path)) as books:
        charge = books.charge("b", "ch_1")
        assert charge is not None
        assert (charge["status"], charge["reference"], charge["reversed_minor"]) == ("succeeded", "auto", 0)
        assert books.execute_once("b", "", refund, refund)[0] == 201


def test_an_earlier_bank_saves_methods(tmp_path: Path) -> None:
    """Fails when an older file lacks what was added to a payment's details since."""
    path = tmp_path / "books.sqlite"
    Books(path).close()
    with closing(sqlite3.connect(path)) as old:
        old.executescript("ALTER TABLE details DROP COLUMN saves; DROP TABLE saved_methods; DROP TABLE revocations;")
    asked = {"kind": "setup", "reference": "set_1", "payment_method": "tok_ok", "customer": "cus_1"}
    with closing(Books(path)) as books:
        status, made = books.execute_once("b", "", asked, asked)
    assert (status, made["mandate"]["status"]) == (201, "active")
