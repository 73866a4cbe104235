"""Faults in a bank's money and files, committed on purpose.

A fault that moves money changes the books: a surplus charge is a charge like any other, and can be refunded. A fault of
the report alone leaves the books unchanged.
"""

from __future__ import annotations

import uuid
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from local.sandbox_bank.movements import (
    Refused,
    insert_charge,
    insert_movement,
    insert_operation,
    move,
    movement_of,
    new_charge_id,
)
from local.sandbox_bank.settlement import ARMED, arm
from payonce.domain.currencies import MINOR_UNIT_EXPONENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.sandbox_bank.desk import Desk

type Answer = dict[str, Any]


def commit_fault(desk: Desk, fault: str, values: dict[str, Any]) -> Answer:
    """Commit ``fault`` and return the ids of what it created.

    Raises ``ValueError`` for an unknown fault or value, ``TypeError`` for an unknown argument, and ``Refused`` if the
    movement that it needs is not booked.
    """
    if fault not in FAULTS:
        raise ValueError(f"unknown fault; known are {', '.join(sorted(FAULTS))}")
    return FAULTS[fault](desk, **values)


def duplicate_capture(desk: Desk, *, reference: str) -> Answer:
    """Charge the payer of ``reference`` again under the same reference: another charge, which can be refunded."""
    first = _charge(desk, reference)
    original = desk.connection.execute(
        "SELECT * FROM operations WHERE operation_id=?", (first["transaction_id"],)
    ).fetchone()
    # Later than the first charge, so that their order is defined even within one millisecond.
    return _book_charge(desk, {**dict(original), "created_at_ms": max(desk.at_ms, first["created_at_ms"] + 1)})


def unrequested_charge(desk: Desk, *, amount_minor: int, currency: str, reference: str | None = None) -> Answer:
    """Book a charge that nobody requested."""
    charge = {
        "bank": desk.bank,
        "kind": "payment",
        "reference": reference or _stray(),
        "status": "succeeded",
        "amount_minor": _positive(amount_minor),
        "currency": _known(currency),
        "payment_method": "pm_sandbox_nobody",
        "code": None,
        "created_at_ms": desk.at_ms,
    }
    return _book_charge(desk, charge)


def orphan_refund(desk: Desk, *, reference: str, amount_minor: int | None = None) -> Answer:
    """Refund the charge of ``reference``, or ``amount_minor`` of it, which may exceed its rest."""
    charge = _charge(desk, reference)
    amount_minor = _positive(charge["amount_minor"] if amount_minor is None else amount_minor)
    desk.connection.execute(
        "UPDATE charges SET refunded_minor=refunded_minor+? WHERE charge_id=?", (amount_minor, charge["charge_id"])
    )
    original = desk.connection.execute(
        "SELECT * FROM operations WHERE operation_id=?", (charge["transaction_id"],)
    ).fetchone()
    refund = {**dict(original), "kind": "refund", "reference": _stray(), "amount_minor": amount_minor}
    return _book(desk, {**refund, "created_at_ms": desk.at_ms})


def dispute(desk: Desk, *, reference: str, amount_minor: int | None = None, fee_minor: int = 0) -> Answer:
    """Let the payer dispute the charge of ``reference``: the bank takes the amount back, and its fee."""
    charge = _charge(desk, reference)
    transaction_id = f"dp_{uuid.uuid4().hex}"
    disputed = {
        "transaction_id": transaction_id,
        "kind": "dispute",
        "amount_minor": -_positive(charge["amount_minor"] if amount_minor is None else amount_minor),
        "fee_minor": _whole(fee_minor),
        "created_at_ms": desk.at_ms,
        "available_at_ms": None,
        "payout_id": None,
    }
    insert_movement(desk.connection, {**charge, **disputed})
    return {"transaction_id": transaction_id, "charge_id": charge["charge_id"]}


def wrong_amount(desk: Desk, *, reference: str, amount_minor: int, where: str = "books") -> Answer:
    """Move another amount under ``reference`` (``where``: "books"), or only report another ("report")."""
    movement = movement_of(desk.connection, desk.bank, reference)
    sign = 1 if movement["amount_minor"] > 0 else -1
    signed, change = sign * _positive(amount_minor), amount_minor - abs(movement["amount_minor"])
    _err(desk, movement, "amount_minor", signed, where)
    if where == "books":
        column = "captured_minor" if sign > 0 else "refunded_minor"
        whole = "amount_minor=MAX(amount_minor, captured_minor)"
        ids = movement["transaction_id"], movement["charge_id"]
        desk.connection.execute("UPDATE operations SET amount_minor=? WHERE operation_id=?", (amount_minor, ids[0]))
        desk.connection.execute(
            f"UPDATE charges SET {column}={column}+? WHERE charge_id=?",  # noqa: S608
            (change, ids[1]),
        )
        desk.connection.execute(f"UPDATE charges SET {whole} WHERE charge_id=?", ids[1:])  # noqa: S608
    return {"transaction_id": movement["transaction_id"]}


def wrong_fee(desk: Desk, *, reference: str, fee_minor: int, where: str = "books") -> Answer:
    """Take another fee than the terms say (``where``: "books"), or only report another ("report")."""
    movement = movement_of(desk.connection, desk.bank, reference)
    _err(desk, movement, "fee_minor", _whole(fee_minor), where)
    return {"transaction_id": movement["transaction_id"]}


def lose_from_report(desk: Desk, *, reference: str) -> Answer:
    """Omit the movement of ``reference``, such as a refund, from every report."""
    movement = movement_of(desk.connection, desk.bank, reference)
    _err(desk, movement, "lost", 1, "report")
    return {"transaction_id": movement["transaction_id"]}


def _arm(fault: str, desk: Desk, *, currency: str) -> Answer:
    arm(desk.connection, desk.bank, _known(currency), fault)
    return {"armed": fault, "currency": currency}


FAULTS: Mapping[str, Callable[..., Answer]] = MappingProxyType(
    {
        "duplicate_capture": duplicate_capture,
        "unrequested_charge": unrequested_charge,
        "orphan_refund": orphan_refund,
        "dispute": dispute,
        "wrong_amount": wrong_amount,
        "wrong_fee": wrong_fee,
        "lose_from_report": lose_from_report,
        # These take effect at the next payout of their currency.
        **{fault: partial(_arm, fault) for fault in sorted(ARMED)},
    }
)


def _err(desk: Desk, movement: dict[str, Any], name: str, value: int, where: str) -> None:
    """Change a value of a movement, in the books or only in the report."""
    transaction_id = movement["transaction_id"]
    if where == "report":
        desk.connection.execute("INSERT OR REPLACE INTO report_faults VALUES (?,?,?)", (transaction_id, name, value))
    elif where != "books":
        raise ValueError(f"where is books or report, not {where!r}")
    elif movement["payout_id"] is not None:
        raise Refused(409, "settled", "the movement is settled: what was paid out can't become another amount")
    else:
        change = f"UPDATE movements SET {name}=? WHERE transaction_id=?"  # noqa: S608
        desk.connection.execute(change, (value, transaction_id))


def _charge(desk: Desk, reference: str) -> dict[str, Any]:
    movement = movement_of(desk.connection, desk.bank, reference)
    if movement["kind"] != "charge":
        raise Refused(409, "not_a_charge", f"{reference!r} is a {movement['kind']}")
    return movement


def _book_charge(desk: Desk, operation: dict[str, Any]) -> Answer:
    charge_id = new_charge_id()
    insert_charge(desk.connection, desk.bank, charge_id, operation, operation["amount_minor"])
    return _book(desk, {**operation, "charge_id": charge_id})


def _book(desk: Desk, operation: dict[str, Any]) -> Answer:
    operation_id = f"op_{uuid.uuid4().hex}"
    row = {**operation, "operation_id": operation_id, "visible_at_ms": operation["created_at_ms"]}
    insert_operation(desk.connection, row)
    move(desk.connection, row, desk.terms)
    return {"transaction_id": operation_id, "charge_id": row["charge_id"], "reference": row["reference"]}


def _stray() -> str:
    return f"stray-{uuid.uuid4().hex}"


def _whole(amount_minor: Any) -> int:
    if not isinstance(amount_minor, int) or amount_minor < 0:
        raise ValueError(f"{amount_minor!r} is not an amount in minor units")
    return amount_minor


def _positive(amount_minor: Any) -> int:
    if _whole(amount_minor) == 0:
        raise ValueError("the amount is zero")
    return int(amount_minor)


def _known(currency: Any) -> str:
    if currency not in MINOR_UNIT_EXPONENTS:
        raise ValueError(f"{currency!r} is no currency")
    return str(currency)
