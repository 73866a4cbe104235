"""The tables of the bank's books. An older file is migrated when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS operations (
    operation_id TEXT PRIMARY KEY, bank TEXT NOT NULL, charge_id TEXT NOT NULL, kind TEXT NOT NULL,
    reference TEXT NOT NULL, status TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    payment_method TEXT NOT NULL, code TEXT, created_at_ms INTEGER NOT NULL, visible_at_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_reference ON operations (bank, reference);
CREATE TABLE IF NOT EXISTS charges (
    charge_id TEXT PRIMARY KEY, bank TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    payment_method TEXT NOT NULL, captured_minor INTEGER NOT NULL, refunded_minor INTEGER NOT NULL,
    voided INTEGER NOT NULL, reversed_minor INTEGER NOT NULL DEFAULT 0, released_minor INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS answers (
    bank TEXT NOT NULL, idempotency_key TEXT NOT NULL, request TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, kept_until_ms INTEGER NOT NULL, PRIMARY KEY (bank, idempotency_key));
CREATE TABLE IF NOT EXISTS settlements (
    bank TEXT NOT NULL, batch INTEGER NOT NULL, as_of_ms INTEGER NOT NULL, PRIMARY KEY (bank, batch));
CREATE TABLE IF NOT EXISTS statements (
    account TEXT NOT NULL, sequence INTEGER NOT NULL, bank TEXT NOT NULL, currency TEXT NOT NULL,
    as_of_ms INTEGER NOT NULL, opening_minor INTEGER NOT NULL, closing_minor INTEGER NOT NULL,
    skipped INTEGER NOT NULL, PRIMARY KEY (account, sequence));
CREATE TABLE IF NOT EXISTS entries (
    account TEXT NOT NULL, sequence INTEGER NOT NULL, number INTEGER NOT NULL, payout_id TEXT NOT NULL,
    amount_minor INTEGER NOT NULL, description TEXT NOT NULL, PRIMARY KEY (account, sequence, number));
CREATE TABLE IF NOT EXISTS report_faults (
    transaction_id TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (transaction_id, name));
CREATE TABLE IF NOT EXISTS armed_faults (
    bank TEXT NOT NULL, currency TEXT NOT NULL, fault TEXT NOT NULL, PRIMARY KEY (bank, currency, fault));
CREATE INDEX IF NOT EXISTS operations_by_charge ON operations (charge_id);
CREATE TABLE IF NOT EXISTS clocks (bank TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
INSERT OR IGNORE INTO secrets VALUES ('payment_result', randomblob(32));
CREATE TABLE IF NOT EXISTS details (
    charge_id TEXT PRIMARY KEY, token TEXT NOT NULL, method_type TEXT NOT NULL, capture TEXT NOT NULL,
    return_url TEXT, customer TEXT, description TEXT, base_url TEXT NOT NULL, page_id TEXT, expires_at_ms INTEGER,
    changed_at_ms INTEGER NOT NULL, saves INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS pages (
    page_id TEXT PRIMARY KEY, bank TEXT NOT NULL, charge_id TEXT NOT NULL, answer TEXT);
CREATE TABLE IF NOT EXISTS saved_methods (
    saved_method TEXT PRIMARY KEY, mandate_id TEXT NOT NULL UNIQUE, bank TEXT NOT NULL, customer TEXT NOT NULL,
    method_type TEXT NOT NULL, token TEXT NOT NULL, origin_id TEXT NOT NULL UNIQUE, reference TEXT NOT NULL,
    status TEXT NOT NULL, created_at_ms INTEGER NOT NULL, saved_at_ms INTEGER, revoked_at_ms INTEGER);
CREATE TABLE IF NOT EXISTS revocations (
    revocation_id TEXT PRIMARY KEY, bank TEXT NOT NULL, saved_method TEXT NOT NULL, reference TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL, UNIQUE (saved_method, reference));
CREATE TABLE IF NOT EXISTS due (
    bank TEXT NOT NULL, step TEXT NOT NULL, object_id TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (bank, step, object_id));
CREATE TABLE IF NOT EXISTS disputes (
    dispute_id TEXT PRIMARY KEY, bank TEXT NOT NULL, charge_id TEXT NOT NULL, reference TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT NOT NULL, amount_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    fee_minor INTEGER NOT NULL, evidence TEXT, evidence_due_at_ms INTEGER NOT NULL, opened_at_ms INTEGER NOT NULL,
    closed_at_ms INTEGER);
CREATE TABLE IF NOT EXISTS event_endpoints (bank TEXT PRIMARY KEY, url TEXT, secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS event_faults (
    bank TEXT PRIMARY KEY, mode TEXT NOT NULL, times INTEGER, types TEXT NOT NULL, delay_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT NOT NULL UNIQUE, bank TEXT NOT NULL, type TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT, bank TEXT NOT NULL, number INTEGER NOT NULL,
    webhook_id TEXT NOT NULL, body BLOB NOT NULL, fault TEXT, held INTEGER NOT NULL, state TEXT NOT NULL,
    due_at_ms INTEGER NOT NULL, attempts TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deliveries_by_time ON deliveries (bank, state, due_at_ms);
"""
# Every movement of the merchant's balance; a payout withdraws the sum of the movements with its id.
MOVEMENTS = """
CREATE TABLE movements (
    transaction_id TEXT PRIMARY KEY, bank TEXT NOT NULL, kind TEXT NOT NULL, charge_id TEXT, reference TEXT,
    amount_minor INTEGER NOT NULL, fee_minor INTEGER NOT NULL, currency TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL, available_at_ms INTEGER, payout_id TEXT)
"""
# An older file does not mark automatically captured payments; they are those with more captured than by captures.
FROM_OPERATIONS = """
INSERT INTO movements
SELECT o.operation_id, o.bank, CASE o.kind WHEN 'refund' THEN 'refund' ELSE 'charge' END, o.charge_id, o.reference,
       CASE o.kind WHEN 'refund' THEN -o.amount_minor ELSE o.amount_minor END, 0, o.currency, o.created_at_ms,
       NULL, NULL
FROM operations o JOIN charges c ON c.charge_id = o.charge_id
WHERE o.status = 'succeeded' AND (
    o.kind IN ('capture', 'refund') OR (o.kind = 'payment' AND c.captured_minor > (
        SELECT COALESCE(SUM(p.amount_minor), 0) FROM operations p
        WHERE p.charge_id = o.charge_id AND p.kind = 'capture' AND p.status = 'succeeded')))
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Create missing tables, and derive the movements of a file without any from its operations.

    Both happen in one transaction, so that a process that dies in between leaves the file unchanged.
    """
    connection.executescript(SCHEMA)
    connection.execute("BEGIN IMMEDIATE")
    added = (("charges", "reversed_minor"), ("charges", "released_minor"), ("details", "saves"))
    for table, column in added:
        if not any(known["name"] == column for known in connection.execute(f"PRAGMA table_info({table})")):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'movements'").fetchone()
    if known is None:
        connection.execute(MOVEMENTS)
        connection.execute("CREATE INDEX movements_by_time ON movements (bank, created_at_ms)")
        connection.execute(FROM_OPERATIONS)
    connection.execute("COMMIT")
