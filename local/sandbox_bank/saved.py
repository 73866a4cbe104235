"""Saved methods and their mandates: the payer's permission to charge a method again, until it is withdrawn.

A method and its mandate are made together, by a set-up or by a payment that asks for it. The life is that of Stripe's
mandates (https://docs.stripe.com/api/mandates/object: pending, active, inactive) and of Mollie's
(https://docs.mollie.com/reference/get-mandate: pending, valid, invalid), which a revocation ends for good.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from local.sandbox_bank import events
from local.sandbox_bank.movements import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.sandbox_bank.desk import Desk

PREFIX = "sm_"
SAVEABLE = frozenset({"card", "wallet", "bank_debit"})
_MANDATE = ("mandate_id", "status", "method_type", "saved_method", "customer", "created_at_ms", "revoked_at_ms")


def check_saving(method_type: str, operation: Mapping[str, Any]) -> None:
    """Raise ``Refused`` (``saving_not_possible``) for a type that can't be saved, ``ValueError`` without a customer."""
    if method_type not in SAVEABLE:
        raise Refused(400, "saving_not_possible", f"{method_type} can't be saved")
    if not isinstance(operation.get("customer"), str) or not operation["customer"]:
        raise ValueError("a method is saved for a customer: customer is missing")
    if str(operation["payment_method"]).startswith(PREFIX):
        raise ValueError("the method is saved already")


def begin_saving(desk: Desk, payment: Mapping[str, Any]) -> None:
    """Note that the method of a payment or set-up is being saved: its mandate is pending, and charges nothing yet."""
    saved_method, mandate_id = f"{PREFIX}{uuid.uuid4().hex}", f"md_{uuid.uuid4().hex}"
    of_payment = [payment[name] for name in ("customer", "method_type", "payment_method", "charge_id", "reference")]
    desk.connection.execute(
        "INSERT INTO saved_methods VALUES (?,?,?,?,?,?,?,?,'pending',?,NULL,NULL)",
        (saved_method, mandate_id, desk.bank, *of_payment, desk.at_ms),
    )


def finish_saving(desk: Desk, payment: Mapping[str, Any]) -> None:
    """Save the method of a payment or set-up that succeeded: its mandate is active from now on."""
    if _row(desk, "origin_id", payment["charge_id"]) is None:
        begin_saving(desk, payment)
    desk.connection.execute(
        "UPDATE saved_methods SET status='active', saved_at_ms=? WHERE origin_id=?", (desk.at_ms, payment["charge_id"])
    )


def give_up_saving(desk: Desk, payment: Mapping[str, Any]) -> None:
    """Withdraw the mandate of a payment or set-up that did not succeed; its method was never saved."""
    desk.connection.execute(
        "UPDATE saved_methods SET status='revoked', revoked_at_ms=? WHERE origin_id=? AND status='pending'",
        (desk.at_ms, payment["charge_id"]),
    )


def revoke(desk: Desk, mandate_id: str) -> dict[str, Any]:
    """Withdraw a mandate for good, once; the event tells of it. Return the mandate.

    Raises ``Refused``: 404 if there is none, 409 while it is pending.
    """
    row = _known(desk, "mandate_id", mandate_id)
    if row["status"] == "pending":
        raise Refused(409, "not_possible", "the mandate is pending: cancel what makes it")
    if row["status"] == "active":
        desk.connection.execute(
            "UPDATE saved_methods SET status='revoked', revoked_at_ms=? WHERE mandate_id=?", (desk.at_ms, mandate_id)
        )
        row = _known(desk, "mandate_id", mandate_id)
        of_mandate = {"object": "mandate", "object_id": mandate_id, "reference": row["reference"]}
        named = {name: row[name] for name in ("status", "customer", "saved_method")}
        events.record_of_customer(desk, "mandate.revoked", {**of_mandate, **named, "mandate_id": mandate_id})
    return mandate_of(row)


def revoke_as_asked(desk: Desk, saved_method: str, operation: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Withdraw the mandate of a saved method for the merchant; a second time it answers 201, too.

    The same reference gets the same revocation. A decline by a scenario withdraws nothing.
    """
    row, reference = _known(desk, "saved_method", saved_method), str(operation["reference"])
    if code := operation.get("decline_code"):
        return 402, {"error": {"code": code, "message": "the revocation was declined"}}
    mandate = revoke(desk, row["mandate_id"])
    desk.connection.execute(
        "INSERT OR IGNORE INTO revocations VALUES (?,?,?,?,?)",
        (f"rc_{uuid.uuid4().hex}", desk.bank, saved_method, reference, desk.at_ms),
    )
    revocation = desk.connection.execute(
        "SELECT * FROM revocations WHERE saved_method=? AND reference=?", (saved_method, reference)
    ).fetchone()
    return 201, {**dict(revocation), "status": "succeeded", "mandate": mandate}


def chargeable(desk: Desk, operation: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the saved method of a charge, and the code with which the charge is declined (``None``: it is not).

    Raises ``Refused`` (400) for an unknown method, and for one of another customer or another type.
    """
    row = _row(desk, "saved_method", str(operation["payment_method"]))
    if row is None:
        raise Refused(400, "unknown_saved_method", "no such saved method")
    for name, code in (("customer", "wrong_customer"), ("method_type", "wrong_method_type")):
        if operation.get(name) is not None and operation[name] != row[name]:
            raise Refused(400, code, f"the saved method has another {name}")
    declined = {"active": None, "pending": "mandate_pending", "revoked": "mandate_revoked"}
    return row, declined[row["status"]]


def saved_by(desk: Desk, origin_id: str) -> tuple[str | None, dict[str, Any] | None]:
    """Return the id of the method that a payment or set-up saved, and its mandate, which may be there before."""
    row = _row(desk, "origin_id", origin_id)
    if row is None:
        return None, None
    return row["saved_method"] if row["saved_at_ms"] is not None else None, mandate_of(row)


def saved_methods_of(desk: Desk, customer: str) -> list[dict[str, Any]]:
    """Return the methods that were saved for a customer, those with a revoked mandate too, oldest first."""
    rows = desk.connection.execute(
        "SELECT * FROM saved_methods WHERE bank=? AND customer=? AND saved_at_ms IS NOT NULL ORDER BY rowid",
        (desk.bank, customer),
    )
    names = ("saved_method", "method_type", "customer", "created_at_ms")
    return [{**{name: row[name] for name in names}, "mandate": mandate_of(row)} for row in rows.fetchall()]


def find_mandate(desk: Desk, mandate_id: str) -> dict[str, Any]:
    """Return a mandate. Raises ``Refused`` (404) if there is none."""
    return mandate_of(_known(desk, "mandate_id", mandate_id))


def mandate_id_of(desk: Desk, name: str, value: str) -> str:
    """Return the mandate with a ``saved_method`` or ``mandate_id``, or the newest one of a ``reference``."""
    return str(_known(desk, name, value)["mandate_id"])


def mandate_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a merchant sees of a mandate."""
    return {name: row[name] for name in _MANDATE}


def _known(desk: Desk, name: str, value: str) -> dict[str, Any]:
    row = _row(desk, name, value)
    if row is None:
        raise Refused(404, "no_such_mandate" if name == "mandate_id" else "no_such_saved_method", "it is unknown")
    return row


def _row(desk: Desk, name: str, value: str) -> dict[str, Any] | None:
    row = desk.connection.execute(
        f"SELECT * FROM saved_methods WHERE bank=? AND {name}=? ORDER BY rowid DESC LIMIT 1",  # noqa: S608
        (desk.bank, value),
    ).fetchone()
    return None if row is None else dict(row)
