"""The deliveries of an event, and the faults of them: what a receiver has to bear, and what it has to refuse."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.sandbox_bank.desk import Desk

LATER = frozenset({"delayed", "reordered"})
# These deliveries come before the event's own, under the same number.
EXTRA = frozenset({"forged", "stale", "unknown", "huge"})
MODES = LATER | EXTRA | {"duplicated", "dropped"}
ONCE = frozenset({"forged", "stale", "huge"})  # a receiver refuses these, so that they are not sent again


@dataclass(frozen=True, slots=True)
class EventFault:
    """A fault of the next ``times`` events (None: all) of ``types`` (empty: all). README.md says what a mode does."""

    mode: str
    times: int | None = None
    types: tuple[str, ...] = ()
    delay_ms: int = 60_000
    bytes: int = 1024 * 1024


def set_fault(desk: Desk, values: dict[str, Any]) -> None:
    """Set the fault of the bank's events. Raises ``ValueError`` or ``TypeError`` for an unknown mode or member."""
    fault = EventFault(**{**values, "types": tuple(values.get("types", ()))})
    if fault.mode not in MODES:
        raise ValueError(f"unknown mode; known are {', '.join(sorted(MODES))}")
    desk.connection.execute(
        "INSERT OR REPLACE INTO event_faults VALUES (?,?,?,?,?,?)",
        (desk.bank, fault.mode, fault.times, json.dumps(fault.types), fault.delay_ms, fault.bytes),
    )


def clear_fault(desk: Desk) -> None:
    """End the fault of the bank's events. Deliveries that were planned already keep it."""
    desk.connection.execute("DELETE FROM event_faults WHERE bank=?", (desk.bank,))


def _next_fault(desk: Desk, event_type: str) -> EventFault | None:
    """Return the fault of one event, and count it against ``times``."""
    row = desk.connection.execute("SELECT * FROM event_faults WHERE bank=?", (desk.bank,)).fetchone()
    if row is None or row["times"] == 0:
        return None
    types = tuple(json.loads(row["types"]))
    if types and event_type not in types:
        return None
    desk.connection.execute("UPDATE event_faults SET times=times-1 WHERE bank=?", (desk.bank,))
    return EventFault(row["mode"], row["times"], types, row["delay_ms"], row["bytes"])


def plan(desk: Desk, number: int, event: dict[str, Any]) -> None:
    """Plan the deliveries of an event, with the fault that is due."""
    fault = _next_fault(desk, event["type"])
    if fault is None:
        return _insert(desk, number, event)
    if fault.mode in EXTRA:
        _insert(desk, number, _extra(event, fault), fault=fault.mode)
        return _insert(desk, number, event)
    if fault.mode == "duplicated":
        _insert(desk, number, event)
    delay_ms = fault.delay_ms if fault.mode in LATER else 0
    return _insert(desk, number, event, fault=fault.mode, delay_ms=delay_ms)


def plan_again(desk: Desk, number: int, event: dict[str, Any], mode: str | None) -> None:
    """Plan one delivery: the event, or what ``mode`` makes of it. Raises ``ValueError`` if that is no extra one."""
    if mode is None:
        return _insert(desk, number, event)
    if mode not in EXTRA:
        raise ValueError(f"the mode is one of {', '.join(sorted(EXTRA))}")
    return _insert(desk, number, _extra(event, EventFault(mode)), fault=mode)


def _insert(desk: Desk, number: int, event: dict[str, Any], *, fault: str | None = None, delay_ms: int = 0) -> None:
    state = "dropped" if fault == "dropped" else "pending"
    body = json.dumps(event).encode()
    desk.connection.execute(
        "INSERT INTO deliveries (bank,number,webhook_id,body,fault,held,state,due_at_ms,attempts) "
        "VALUES (?,?,?,?,?,?,?,?,'[]')",
        (desk.bank, number, event["id"], body, fault, fault == "reordered", state, desk.at_ms + delay_ms),
    )


def _extra(event: dict[str, Any], fault: EventFault) -> dict[str, Any]:
    """Return the event that comes before ``event`` by a fault."""
    if fault.mode == "stale":
        return event
    other = {**event, "id": f"evt_{uuid.uuid4().hex}"}
    if fault.mode == "unknown":
        stranger = {"object_id": f"op_{uuid.uuid4().hex}", "charge_id": f"ch_{uuid.uuid4().hex}"}
        references = {"reference": f"stranger-{uuid.uuid4().hex}", "payment_reference": None}
        return {**other, "data": {**event["data"], **stranger, **references}}
    if fault.mode == "huge":
        return {**other, "padding": "x" * fault.bytes}
    return other


def release_held(desk: Desk, number: int) -> None:
    """Let the events that were held until a later one was delivered go, because event ``number`` was."""
    desk.connection.execute(
        "UPDATE deliveries SET held=0, due_at_ms=? WHERE bank=? AND held=1 AND state='pending' AND number<?",
        (desk.at_ms, desk.bank, number),
    )
