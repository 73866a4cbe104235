"""What the promises share: reading a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payonce.ports import Table
    from simulation.database import Change, Commit

COMPLETED, IN_PROGRESS = "COMPLETED", "INPROGRESS"


def changes_of(commit: Commit, table: Table) -> list[Change]:
    """Return what a transaction has changed in a table."""
    return [change for change in commit.changes if change.table is table]


def completes(change: Change) -> bool:
    """Return whether a change of a claim completes it."""
    return change.after is not None and change.after["status"] == COMPLETED


def payment_of(change: Change) -> str:
    """Return the payment that a claim was about, before the change."""
    plan = change.before.get("plan", {}) if change.before is not None else {}
    return str(plan.get("payment_id", ""))


def payment_key(merchant: str, identity: str) -> dict[str, str]:
    """Return the key of a payment's item."""
    return {"pk": f"{merchant}#{identity}", "sk": "PAYMENT"}
