"""What the promises share: reading a transaction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.packing import unpack
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Item
    from simulation.database import Change, Commit, SimulatedDatabase

HELD = {"requires_action", "processing"}
COMPLETED, IN_PROGRESS = "COMPLETED", "INPROGRESS"


def changes_of(commit: Commit, table: Table) -> list[Change]:
    """Return what a transaction has changed in a table."""
    return [change for change in commit.changes if change.table is table]


def completes(change: Change) -> bool:
    """Return whether a change of a claim completes it."""
    return change.after is not None and change.after["status"] == COMPLETED


def says_never_executed(change: Change) -> bool:
    """Return whether a completed claim answers that nothing was executed."""
    body = b"" if change.after is None else unpack(change.after["response_body"])
    return b"not_executed" in body or b"not-executed" in body


def payment_of(change: Change) -> str:
    """Return the payment that a claim was about, before the change."""
    plan = change.before.get("plan", {}) if change.before is not None else {}
    return str(plan.get("payment_id", ""))


def told_in(item: Item) -> tuple[dict[str, Any], bytes]:
    """Return what a change's item tells beside its event, and the event's bytes: none for a correction's entry."""
    kept, _, body = unpack(item["packed"]).partition(b"\n")
    told: dict[str, Any] = json.loads(kept)
    return told, body


def entry_in(item: Item) -> dict[str, Any] | None:
    """Return the journal entry in a change's item: ``currency``, ``postings``, and perhaps ``movement``."""
    told, body = told_in(item)
    entry: dict[str, Any] | None = told.get("entry") if body else told
    return entry


def event_name(item: Item) -> str:
    """Return the id of the event in a change's item."""
    return f"evt_{item['pk']}_{int(item['sk'])}"


def payment_version(database: SimulatedDatabase, merchant: str, identity: str) -> Mapping[str, Any] | None:
    """Return the payment as it is stored: its head, or what its first event says; ``None`` if it is another's."""
    head = database.item(Table.PAYMENTS, payment_key(merchant, identity))
    first = database.item(Table.OUTBOX, {"pk": identity, "sk": "0000000001"})
    if head is not None or first is None or first["merchant_id"] != merchant:
        return head
    data: dict[str, Any] = json.loads(told_in(first)[1])["data"]
    return data


def payment_key(merchant: str, identity: str) -> dict[str, str]:
    """Return the key of a payment's item."""
    return {"pk": f"{merchant}#{identity}", "sk": "PAYMENT"}
