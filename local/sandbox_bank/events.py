"""The bank's events: recorded in the transaction of the change they tell of, so that neither is without the other."""

from __future__ import annotations

import base64
import binascii
import json
import os
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.sandbox_bank.event_faults import plan, plan_again
from local.sandbox_bank.movements import Refused

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from local.sandbox_bank.desk import Desk

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every secret of Standard Webhooks
SECRET_BYTES = range(24, 65)  # by the specification of Standard Webhooks


def register(desk: Desk, url: str | None, secret: str | None = None) -> dict[str, Any]:
    """Record events from now on, and send them to ``url`` (None: to nobody). Return the URL and the secret.

    Raises ``ValueError`` for a URL that is not of http, and for a secret that Standard Webhooks does not allow.
    """
    if url is not None and (urlsplit(url).scheme != "http" or not urlsplit(url).hostname):
        raise ValueError(f"{url!r} is no http URL")
    secret = secret or SECRET_PREFIX + base64.b64encode(os.urandom(SECRET_BYTES[0])).decode()
    signing_key(secret)
    desk.connection.execute("INSERT OR REPLACE INTO event_endpoints VALUES (?,?,?)", (desk.bank, url, secret))
    return {"url": url, "secret": secret}


def signing_key(secret: str) -> bytes:
    """Return the bytes of a secret. Raises ``ValueError`` if it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise ValueError("a secret is whsec_ and base64 of 24 to 64 bytes")
    return key


def record(desk: Desk, event_type: str, kind: str, object_id: str, row: Mapping[str, Any]) -> None:
    """Record an event about an object of ``row``'s charge, and plan its deliveries, if the bank has an endpoint."""
    payment = desk.connection.execute(
        "SELECT reference FROM operations WHERE charge_id=? AND kind='payment' ORDER BY rowid LIMIT 1",
        (row["charge_id"],),
    ).fetchone()
    data = {
        "object": kind,
        "object_id": object_id,
        **{name: row[name] for name in ("charge_id", "reference")},
        "payment_reference": payment["reference"] if payment else None,
        **{name: row[name] for name in ("status", "amount_minor", "currency")},
    }
    _insert(desk, event_type, data)


def record_of_customer(desk: Desk, event_type: str, data: Mapping[str, Any]) -> None:
    """Record an event of a customer's, which is about no charge, as ``record`` does; ``data`` are its members."""
    _insert(desk, event_type, {**data, "charge_id": None, "payment_reference": None})


def _insert(desk: Desk, event_type: str, data: dict[str, Any]) -> None:
    endpoint = desk.connection.execute("SELECT url FROM event_endpoints WHERE bank=?", (desk.bank,)).fetchone()
    if endpoint is None:
        return
    of_bank = {"created_at_ms": desk.at_ms, "bank": desk.bank}
    event = {"id": f"evt_{uuid.uuid4().hex}", "type": event_type, **of_bank, "data": data}
    number = desk.connection.execute(
        "INSERT INTO events (event_id,bank,type,created_at_ms,body) VALUES (?,?,?,?,?)",
        (event["id"], desk.bank, event_type, desk.at_ms, json.dumps(event).encode()),
    ).lastrowid
    if endpoint["url"] is not None and number is not None:
        plan(desk, number, event)


def listed(connection: sqlite3.Connection, bank: str) -> list[dict[str, Any]]:
    """Return the bank's events with their deliveries, oldest first."""
    deliveries: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute("SELECT * FROM deliveries WHERE bank=? ORDER BY delivery_id", (bank,)):
        shown = {name: row[name] for name in ("fault", "webhook_id", "state", "due_at_ms")}
        deliveries.setdefault(row["number"], []).append({**shown, "attempts": json.loads(row["attempts"])})
    return [
        {**json.loads(row["body"]), "deliveries": deliveries.get(row["number"], [])}
        for row in connection.execute("SELECT * FROM events WHERE bank=? ORDER BY number", (bank,))
    ]


def send_again(desk: Desk, event_id: str, mode: str | None = None) -> None:
    """Plan one more delivery of an event; with ``mode`` what an extra fault makes of it, alone.

    Raises ``Refused`` if there is no such event, and ``ValueError`` for a mode that is no extra delivery.
    """
    row = desk.connection.execute(
        "SELECT number, body FROM events WHERE bank=? AND event_id=?", (desk.bank, event_id)
    ).fetchone()
    if row is None:
        raise Refused(404, "no_such_event", "no such event")
    plan_again(desk, row["number"], json.loads(row["body"]), mode)
