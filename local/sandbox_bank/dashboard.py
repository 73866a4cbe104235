"""What is done without the merchant's API: in the gateway's dashboard, by the payer, or by the payer's bank."""

from __future__ import annotations

import uuid
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from local.sandbox_bank import disputes, payments, saved
from local.sandbox_bank.follow_ups import follow_up, left_minor
from local.sandbox_bank.movements import Refused
from local.sandbox_bank.present import payment_of, shown
from local.sandbox_bank.states import refundable_minor, return_refund, reverse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.sandbox_bank.desk import Desk

REVOKE = "revoke"

type Shown = dict[str, Any]


def act(desk: Desk, action: str, values: dict[str, Any]) -> Shown:
    """Do what README.md says of ``action``.

    Raises ``ValueError`` for an unknown action, ``TypeError`` for an unknown or missing argument, and ``Refused``.
    """
    if action == REVOKE:
        return _revoke(desk, **values)
    if action in OF_DISPUTE:
        return OF_DISPUTE[action](desk, **values)
    if action not in OF_CHARGE:
        raise ValueError(f"unknown action; known are {', '.join(sorted({*OF_CHARGE, *OF_DISPUTE, REVOKE}))}")
    further = {name: value for name, value in values.items() if name not in {"charge_id", "setup_id", "reference"}}
    return OF_CHARGE[action](desk, _charge_id(desk, values, of_setup=action in OF_SETUP), **further)


def _charge_id(desk: Desk, values: dict[str, Any], *, of_setup: bool) -> str:
    """Return the charge, or with ``of_setup`` also the set-up, that is named by its id or by its reference."""
    row = desk.connection.execute(
        "SELECT charge_id FROM operations WHERE bank=? AND kind IN ('payment', ?) AND (charge_id=? OR reference=?) "
        "ORDER BY rowid LIMIT 1",
        (
            desk.bank,
            "setup" if of_setup else "payment",
            values.get("charge_id") or values.get("setup_id"),
            values.get("reference"),
        ),
    ).fetchone()
    if row is None:
        raise Refused(404, "no_such_charge", "no such charge")
    return str(row["charge_id"])


def _follow_up(kind: str, desk: Desk, charge_id: str, *, amount_minor: int | None = None) -> Shown:
    """Book an operation of the charge for ``amount_minor`` (None: all that is left)."""
    left = left_minor(desk, charge_id)[kind]
    operation = {"kind": kind, "reference": _elsewhere(), "amount_minor": amount_minor or left}
    return follow_up(desk, charge_id, operation)[1]


def _cancel(desk: Desk, charge_id: str) -> Shown:
    """Cancel a payment that waits for its payer, or void one that is authorised."""
    payment = payment_of(desk, charge_id)
    if payment["kind"] == "payment" and payment["status"] == "succeeded":
        return _follow_up("void", desk, charge_id)
    return payments.cancel(desk, charge_id, {"reference": _elsewhere()})[1]


def _answer(desk: Desk, charge_id: str, *, answer: str) -> Shown:
    """Give the payer's answer without the page."""
    page_id = payment_of(desk, charge_id)["page_id"]
    if page_id is None:
        raise Refused(409, "not_possible", "the payment does not ask its payer")
    return shown(desk, payments.answer(desk, page_id, answer))


def _reverse(desk: Desk, charge_id: str, *, amount_minor: int | None = None) -> Shown:
    """Let the payer's bank take the money back."""
    left = refundable_minor(desk, charge_id)
    reversed_minor = left if amount_minor is None else amount_minor
    if not 0 < reversed_minor <= left:
        raise Refused(409, "not_possible", f"only {left} left to reverse")
    return {"transaction_id": reverse(desk, charge_id, reversed_minor), "charge_id": charge_id}


def _return_refund(desk: Desk, charge_id: str, *, operation_id: str | None = None) -> Shown:
    """Let the payer's bank send a refund back."""
    return shown(desk, return_refund(desk, charge_id, operation_id))


def _revoke(desk: Desk, **named: str) -> Shown:
    """Withdraw a mandate, named by its ``mandate_id``, its ``saved_method`` or the ``reference`` that made it."""
    if len(named) != 1 or not named.keys() <= {"mandate_id", "saved_method", "reference"}:
        raise ValueError("name the mandate_id, the saved_method or the reference")
    return saved.revoke(desk, saved.mandate_id_of(desk, *next(iter(named.items()))))


def _elsewhere() -> str:
    return f"elsewhere-{uuid.uuid4().hex}"


def _of_dispute(act_on: Callable[..., Shown], desk: Desk, *, dispute_id: str, **values: Any) -> Shown:
    return act_on(desk, dispute_id, **values)


OF_CHARGE: Mapping[str, Callable[..., Shown]] = MappingProxyType(
    {
        "answer": _answer,
        "cancel": _cancel,
        "capture": partial(_follow_up, "capture"),
        "dispute": disputes.open_dispute,
        "refund": partial(_follow_up, "refund"),
        "return_refund": _return_refund,
        "reverse": _reverse,
    }
)
OF_SETUP = frozenset({"answer", "cancel"})  # these act on a set-up, too
OF_DISPUTE: Mapping[str, Callable[..., Shown]] = MappingProxyType(
    {
        "evidence": partial(_of_dispute, disputes.submit_evidence),
        "lose": partial(_of_dispute, disputes.lose),
        "win": partial(_of_dispute, disputes.win),
    }
)
