"""How a charge stands at Mollie: https://docs.mollie.com/reference/get-payment with its chargebacks embedded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import ChargeState, DisputeState, DisputeStatus, Unknown
from payonce.gateways.mollie_answers import reference_of
from payonce.gateways.mollie_money import CURRENCIES, minor_of
from payonce.gateways.notice_names import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DEBIT_METHODS = frozenset({"directdebit", "bacs"})
_UNUSABLE = Unknown("the answer is not usable")


def charge_state(row: Mapping[str, Any], gateway_charge_id: str) -> ChargeState | Unknown:
    """Return the state that a payment says. Half an answer is ``Unknown``: corrections rest on it."""
    amount, status = row.get("amount"), row.get("status")
    currency = amount.get("currency") if isinstance(amount, dict) else None
    if row.get("id") != gateway_charge_id or row.get("resource") != "payment" or currency not in CURRENCIES:
        return _UNUSABLE
    whole = minor_of(amount, currency)
    # "Only available when this payment supports captures", "… when refunds are available", "… when not zero".
    captured, refunded, charged_back = (
        minor_of(row[name], currency) if name in row else 0
        for name in ("amountCaptured", "amountRefunded", "amountChargedBack")
    )
    if "amountCaptured" not in row and status == "paid":
        captured = whole
    chargebacks = _chargebacks(row, currency)
    if whole is None or captured is None or refunded is None or charged_back is None or chargebacks is None:
        return _UNUSABLE
    if charged_back and not chargebacks:
        return _UNUSABLE
    debit = row.get("method") in DEBIT_METHODS
    return ChargeState(
        captured_minor=captured,
        refunded_minor=refunded,
        voided=not captured and status in {"canceled", "expired", "failed"},
        currency=currency,
        # A returned debit is the bank's word and nobody's dispute; a chargeback that was reversed is none any more.
        reversed_minor=sum(one.withdrawn_minor for one in chargebacks) if debit else 0,
        disputes=() if debit else chargebacks,
        gateway_reference=reference_of(row),
    )


def _chargebacks(row: Mapping[str, Any], currency: str) -> tuple[DisputeState, ...] | None:
    """Return the chargebacks, oldest first; ``None`` where one of them can't be read.

    Mollie takes the amount at once, and says later only whether that was reversed, never that a dispute is lost for
    good: what is not reversed stays opened.
    """
    embedded = row.get("_embedded")
    rows = embedded.get("chargebacks", []) if isinstance(embedded, dict) else []
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        return None
    found = []
    for one in sorted(rows, key=lambda one: (str(one.get("createdAt")), str(one.get("id")))):
        identity, amount = name_of(one.get("id")), minor_of(one.get("amount"), currency)
        if identity is None or amount is None:
            return None
        reversed_ = isinstance(one.get("reversedAt"), str)
        reason = one.get("reason")
        found.append(
            DisputeState(
                gateway_dispute_id=identity,
                status=DisputeStatus.WON if reversed_ else DisputeStatus.OPENED,
                amount_minor=amount,
                withdrawn_minor=0 if reversed_ else amount,
                currency=currency,
                reason=str(reason.get("code") or "") if isinstance(reason, dict) else "",
            )
        )
    return tuple(found)
