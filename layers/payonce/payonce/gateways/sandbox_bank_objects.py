"""What the sandbox bank's objects say: payments that it holds, and disputes. Pure functions."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import (
    ActionType,
    AwaitsPayer,
    ChargeRefund,
    ChargeState,
    DisputeState,
    DisputeStatus,
    NextAction,
    Pending,
    Unknown,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_DISPUTES: Mapping[object, DisputeStatus] = MappingProxyType(
    {
        "needs_response": DisputeStatus.EVIDENCE_DUE,
        "under_review": DisputeStatus.UNDER_REVIEW,
        "won": DisputeStatus.WON,
        "lost": DisputeStatus.LOST,
    }
)


def held_by_bank(charge_id: str, row: Mapping[str, Any]) -> Pending:
    """Return what a payment in ``requires_action`` or ``processing`` waits for."""
    if row["status"] == "processing":
        return Pending(charge_id, "processing")
    action = row.get("next_action")
    shown = None
    if isinstance(action, dict) and action.get("type") in list(ActionType):
        url, expires_at_ms = action.get("url"), action.get("expires_at_ms")
        shown = NextAction(
            type=ActionType(action["type"]),
            url=url if isinstance(url, str) else None,
            expires_at_ms=expires_at_ms if isinstance(expires_at_ms, int) else None,
        )
    return AwaitsPayer(charge_id, "requires_action", shown)


def charge_at_bank(row: Mapping[str, Any], gateway_charge_id: str) -> ChargeState | Unknown:
    """Return a charge's state."""
    if row.get("charge_id") != gateway_charge_id:
        return Unknown("the answer is not usable")
    try:
        return ChargeState(
            captured_minor=_whole(row["captured_minor"]),
            refunded_minor=_whole(row["refunded_minor"]),
            voided=bool(row.get("voided")),
            currency=str(row["currency"]),
            reversed_minor=_whole(row.get("reversed_minor", 0)),
            disputes=tuple(_dispute(dispute) for dispute in row.get("disputes", ())),
            refunds=tuple(_refund(refund) for refund in row.get("refunds", ())),
            gateway_reference=str(row["reference"]) if "reference" in row else None,
        )
    except (KeyError, TypeError, ValueError):
        return Unknown("the answer is not usable")


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("not a whole number")
    return value


def _refund(row: Mapping[str, Any]) -> ChargeRefund:
    return ChargeRefund(
        gateway_refund_id=str(row["operation_id"]),
        amount_minor=_whole(row["amount_minor"]),
        gateway_reference=str(row["reference"]),
        came_back=row["status"] == "returned",
    )


def _dispute(row: Mapping[str, Any]) -> DisputeState:
    # The bank takes the whole amount when a dispute opens, and gives it back when it is won.
    status = _DISPUTES[row.get("status")]
    due_at_ms = row.get("evidence_due_at_ms")
    amount_minor = _whole(row["amount_minor"])
    return DisputeState(
        gateway_dispute_id=str(row["dispute_id"]),
        status=status,
        amount_minor=amount_minor,
        withdrawn_minor=0 if status is DisputeStatus.WON else amount_minor,
        currency=str(row["currency"]),
        reason=str(row["reason"]),
        evidence_due_at_ms=due_at_ms if status is DisputeStatus.EVIDENCE_DUE and isinstance(due_at_ms, int) else None,
        fee_minor=_whole(row.get("fee_minor", 0)),
    )
