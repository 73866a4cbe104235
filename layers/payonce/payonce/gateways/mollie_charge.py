"""How a charge stands at Mollie: https://docs.mollie.com/reference/get-payment, refunds and chargebacks embedded.

A refund is ``failed`` "after processing. For example, the customer has closed their bank account. The funds will be
returned to your account" (https://docs.mollie.com/docs/refunds): it has come back. One that was ``canceled`` was never
sent. Whether ``amountRefunded`` goes down by either is not said, so the refunds that stand are added up where they are
embedded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import ChargeRefund, ChargeState, DisputeState, DisputeStatus, Unknown
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
    refunds = _refunds(row, currency)
    captured, refunded, charged_back = (
        minor_of(row[name], currency) if name in row else 0
        for name in ("amountCaptured", "amountRefunded", "amountChargedBack")
    )
    if "amountCaptured" not in row and status == "paid":
        captured = whole
    chargebacks = _chargebacks(row, currency)
    if whole is None or captured is None or refunded is None or charged_back is None or chargebacks is None:
        return _UNUSABLE
    if refunds is None:
        return _UNUSABLE
    if charged_back and not chargebacks:
        return _UNUSABLE
    debit = row.get("method") in DEBIT_METHODS
    return ChargeState(
        captured_minor=captured,
        refunded_minor=sum(one.amount_minor for one in refunds if not one.came_back) if refunds else refunded,
        voided=not captured and status in {"canceled", "expired", "failed"},
        currency=currency,
        # A returned debit is the bank's word and nobody's dispute; a chargeback that was reversed is none any more.
        reversed_minor=sum(one.withdrawn_minor for one in chargebacks) if debit else 0,
        disputes=() if debit else chargebacks,
        refunds=refunds,
        gateway_reference=reference_of(row),
    )


def _refunds(row: Mapping[str, Any], currency: str) -> tuple[ChargeRefund, ...] | None:
    """Return the refunds but for those that were never sent, oldest first; ``None`` where one can't be read."""
    rows = _embedded(row, "refunds")
    if rows is None:
        return None
    found = []
    for one in sorted(rows, key=lambda one: (str(one.get("createdAt")), str(one.get("id")))):
        identity, amount, status = name_of(one.get("id")), minor_of(one.get("amount"), currency), one.get("status")
        if identity is None or amount is None:
            return None
        if status != "canceled":
            reference, came_back = name_of(reference_of(one)), status == "failed"
            found.append(
                ChargeRefund(
                    gateway_refund_id=identity,
                    amount_minor=amount,
                    gateway_reference=reference,
                    came_back=came_back,
                )
            )
    return tuple(found)


def _embedded(row: Mapping[str, Any], name: str) -> list[Any] | None:
    embedded = row.get("_embedded")
    rows = embedded.get(name, []) if isinstance(embedded, dict) else []
    return rows if isinstance(rows, list) and all(isinstance(one, dict) for one in rows) else None


def _chargebacks(row: Mapping[str, Any], currency: str) -> tuple[DisputeState, ...] | None:
    """Return the chargebacks, oldest first; ``None`` where one of them can't be read.

    Mollie takes the amount at once, and says later only whether that was reversed, never that a dispute is lost for
    good: what is not reversed stays opened.
    """
    rows = _embedded(row, "chargebacks")
    if rows is None:
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
