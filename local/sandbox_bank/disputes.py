"""Disputes: the payer's bank takes the money of a charge back, and decides later whose it is.

The life is that of Stripe's disputes (https://docs.stripe.com/api/disputes/object): the money and a fee are withdrawn
at once, evidence is due by a time, and a dispute that is won gives the money back.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from local.sandbox_bank import events
from local.sandbox_bank.desk import DAY_MS, schedule, unschedule
from local.sandbox_bank.movements import Refused
from local.sandbox_bank.present import payment_of
from local.sandbox_bank.states import refundable_minor, withdraw

if TYPE_CHECKING:
    from local.sandbox_bank.desk import Desk

OPEN = frozenset({"needs_response", "under_review"})
REMINDER_MS = DAY_MS  # before the evidence is due


def open_dispute(
    desk: Desk,
    charge_id: str,
    *,
    amount_minor: int | None = None,
    reason: str = "fraudulent",
    fee_minor: int = 1_500,
    evidence_due_at_ms: int | None = None,
) -> dict[str, Any]:
    """Let the payer dispute ``amount_minor`` (None: all that is left) of a charge. Return the dispute.

    Raises ``Refused`` (409) if so much is not left.
    """
    payment, left = payment_of(desk, charge_id), refundable_minor(desk, charge_id)
    disputed = left if amount_minor is None else amount_minor
    if not 0 < disputed <= left:
        raise Refused(409, "not_possible", f"only {left} left to dispute")
    due_ms = desk.in_days(desk.settings.evidence_days) if evidence_due_at_ms is None else evidence_due_at_ms
    dispute_id = f"dp_{uuid.uuid4().hex}"
    named = (dispute_id, desk.bank, charge_id, payment["reference"], "needs_response", reason, disputed)
    desk.connection.execute(
        "INSERT INTO disputes VALUES (?,?,?,?,?,?,?,?,?,NULL,?,?,NULL)",
        (*named, payment["currency"], fee_minor, due_ms, desk.at_ms),
    )
    withdraw(desk, payment, "dispute", dispute_id, disputed, fee_minor)
    _record(desk, "dispute.opened", dispute_id)
    schedule(desk, "remind", dispute_id, max(desk.at_ms, due_ms - REMINDER_MS))
    schedule(desk, "lose_unanswered", dispute_id, due_ms)
    return dispute_of(desk, dispute_id)


def submit_evidence(desk: Desk, dispute_id: str, *, text: str) -> dict[str, Any]:
    """Answer a dispute in time; it is then reviewed. Raises ``Refused`` (409) if it does not need a response."""
    if dispute_of(desk, dispute_id)["status"] != "needs_response":
        raise Refused(409, "not_possible", "the dispute does not need a response")
    unschedule(desk, dispute_id)
    desk.connection.execute(
        "UPDATE disputes SET status='under_review', evidence=? WHERE dispute_id=?", (text, dispute_id)
    )
    return dispute_of(desk, dispute_id)


def win(desk: Desk, dispute_id: str, *, fee_returned: bool = False) -> dict[str, Any]:
    """Decide a dispute for the merchant: the money comes back, and the fee if it is returned."""
    dispute = _close(desk, dispute_id, "won")
    payment = payment_of(desk, dispute["charge_id"])
    fee_minor = -dispute["fee_minor"] if fee_returned else 0
    withdraw(desk, payment, "dispute_reversal", f"{dispute_id}_won", -dispute["amount_minor"], fee_minor)
    _record(desk, "dispute.won", dispute_id)
    return dispute


def lose(desk: Desk, dispute_id: str) -> dict[str, Any]:
    """Decide a dispute for the payer. No money moves: it was withdrawn when the dispute was opened."""
    dispute = _close(desk, dispute_id, "lost")
    _record(desk, "dispute.lost", dispute_id)
    return dispute


def lose_unanswered(desk: Desk, dispute_id: str) -> None:
    """Decide a dispute for the payer because no evidence came in time."""
    lose(desk, dispute_id)


def remind(desk: Desk, dispute_id: str) -> None:
    """Tell the merchant that evidence is due soon."""
    _record(desk, "dispute.evidence_due", dispute_id)


def dispute_of(desk: Desk, dispute_id: str) -> dict[str, Any]:
    """Return a dispute. Raises ``Refused`` (404) if there is none."""
    row = desk.connection.execute(
        "SELECT * FROM disputes WHERE bank=? AND dispute_id=?", (desk.bank, dispute_id)
    ).fetchone()
    if row is None:
        raise Refused(404, "no_such_dispute", "no such dispute")
    return dict(row)


def disputes_of(desk: Desk, charge_id: str | None) -> list[dict[str, Any]]:
    """Return the disputes of a charge (None: of all the bank's charges), oldest first."""
    rows = desk.connection.execute(
        "SELECT * FROM disputes WHERE bank=? AND charge_id=COALESCE(?, charge_id) ORDER BY rowid",
        (desk.bank, charge_id),
    )
    return [dict(row) for row in rows.fetchall()]


def _close(desk: Desk, dispute_id: str, status: str) -> dict[str, Any]:
    if dispute_of(desk, dispute_id)["status"] not in OPEN:
        raise Refused(409, "not_possible", "the dispute is closed")
    unschedule(desk, dispute_id)
    desk.connection.execute(
        "UPDATE disputes SET status=?, closed_at_ms=? WHERE dispute_id=?", (status, desk.at_ms, dispute_id)
    )
    return dispute_of(desk, dispute_id)


def _record(desk: Desk, event_type: str, dispute_id: str) -> None:
    events.record(desk, event_type, "dispute", dispute_id, dispute_of(desk, dispute_id))
