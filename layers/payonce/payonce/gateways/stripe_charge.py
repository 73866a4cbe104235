"""Reads a payment intent's state at Stripe: captured, refunded, canceled, taken back, disputed, whoever did it.

How a debit that had succeeded is taken back depends on the scheme. Mostly it is a dispute, and already lost: Stripe
creates one where an ACH debit fails after it succeeded
(https://support.stripe.com/embedded-connect/questions/respond-to-or-contest-an-ach-direct-debit-dispute-as-a-merchant).
Otherwise the charge itself fails, and its ``failure_balance_transaction``, of the type ``payment_failure_refund``,
takes the amount from the account again: that is ``reversed_minor``. https://docs.stripe.com/api/charges/object,
https://docs.stripe.com/reports/balance-transaction-types.

A refund that fails gives its amount back by a balance transaction of its own, ``failure_balance_transaction``, which
"reverses the initial balance transaction" (https://docs.stripe.com/api/refunds/object). Only such a refund has come
back: one that fails before anything was taken for it has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import ChargeOutcome, ChargeRefund, ChargeState, NotFound, Unknown
from payonce.extras import needs
from payonce.gateways.stripe_disputes import read_dispute
from payonce.gateways.stripe_money import amount_from_stripe
from payonce.gateways.stripe_objects import REFERENCE_KEY, id_of, metadata_value

with needs("stripe"):
    import stripe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from payonce.domain.gateway import DisputeState
    from payonce.gateways.stripe_objects import StripeDocument

PAGE_SIZE = 100  # Stripe's maximum; nobody refunds or disputes one payment in more parts
# A pending refund will be paid: not counting it as refunded would refund twice.
_REFUNDED = frozenset({"succeeded", "pending", "requires_action"})
_DECIDED = frozenset({"succeeded", "requires_capture", "canceled"})


class _TooManyError(Exception):
    """The payment has more refunds or disputes than one page."""


def refunded_amount(intent: StripeDocument, refunds: Iterable[StripeDocument]) -> int:
    """Return how much of the captured amount ``refunds`` have returned or will return, in Stripe's units.

    Stripe lists the release of an uncaptured remainder (a partial capture or a cancellation) as a refund, although no
    money was taken. No mark identifies it, only its amount. A manual refund of exactly that amount may be taken for it:
    then more seems to be left than is, and Stripe refuses to refund it.
    """
    return sum(int(row["amount"]) for row in _standing(intent, refunds))


def _standing(intent: StripeDocument, refunds: Iterable[StripeDocument]) -> list[StripeDocument]:
    """Return the refunds of what was captured that were or will be paid, as they are listed: the newest first."""
    given_back = [row for row in refunds if row.get("status") in _REFUNDED]
    freed = int(intent["amount"]) - int(intent.get("amount_received") or 0)
    released = [row for row in given_back if row["amount"] == freed and metadata_value(row, REFERENCE_KEY) is None]
    # The capture released it, before anything could be refunded.
    return [row for row in given_back if not released or row is not released[-1]]


def read_charge(client: stripe.StripeClient, intent_id: str) -> ChargeOutcome:
    """Return the state of a payment intent. Raises the SDK's errors.

    Stripe says the same of a debit that failed before it succeeded as of one that failed afterwards, and it is told as
    captured, and all of it reversed. Whoever asks knows whether the payment was booked as captured.
    """
    try:
        intent = client.v1.payment_intents.retrieve(intent_id, {"expand": ["latest_charge"]}).to_dict()
    except stripe.InvalidRequestError as error:
        if error.http_status == 404:
            return NotFound()
        raise
    status, reversed_amount = intent.get("status"), _reversed_amount(intent.get("latest_charge"))
    if intent.get("id") != intent_id or (status not in _DECIDED and not reversed_amount):
        return Unknown(f"the payment intent is {status}")
    if status in _DECIDED:
        captured = int(intent["amount_received"]) if status == "succeeded" else 0
        reversed_amount = min(reversed_amount, captured)
    else:
        captured = reversed_amount
    try:
        refunds = _all(client.v1.refunds.list({"payment_intent": intent_id, "limit": PAGE_SIZE}).to_dict())
        disputes = _disputes(client, intent_id) if captured else ()
    except _TooManyError:
        return Unknown(f"more than {PAGE_SIZE} refunds or disputes")
    currency = str(intent.get("currency", "")).upper()
    standing = {id(row) for row in _standing(intent, refunds)}
    told = [_refund(row, currency) for row in reversed(refunds) if id(row) in standing or _was_given_back(row)]
    captured_minor, reversed_minor = (amount_from_stripe(amount, currency) for amount in (captured, reversed_amount))
    if captured_minor is None or reversed_minor is None or None in (*disputes, *told):
        return Unknown(f"amounts in {currency} can't be read")
    named = tuple(refund for refund in told if refund is not None)
    return ChargeState(
        captured_minor=captured_minor,
        refunded_minor=sum(refund.amount_minor for refund in named if not refund.came_back),
        voided=status == "canceled",
        currency=currency,
        reversed_minor=reversed_minor,
        disputes=tuple(dispute for dispute in disputes if dispute is not None),
        refunds=named,
        gateway_reference=metadata_value(intent, REFERENCE_KEY),
    )


def _reversed_amount(charge: Any) -> int:
    """Return what was taken back because the charge failed, in Stripe's units. Debits are never captured in part."""
    if not isinstance(charge, dict) or charge.get("status") != "failed":
        return 0
    return int(charge["amount"]) if charge.get("failure_balance_transaction") is not None else 0


def _was_given_back(refund: StripeDocument) -> bool:
    return refund.get("failure_balance_transaction") is not None


def _refund(refund: StripeDocument, currency: str) -> ChargeRefund | None:
    """Return a refund that stands or came back, ``None`` where it can't be read."""
    refund_id, amount_minor = id_of(refund), amount_from_stripe(int(refund["amount"]), currency)
    came_back = _was_given_back(refund)
    # Stripe is free to set the balance transaction before the status. Until both say the same, it is asked again.
    if refund_id is None or amount_minor is None or (came_back and refund.get("status") in _REFUNDED):
        return None
    return ChargeRefund(
        gateway_refund_id=refund_id,
        amount_minor=amount_minor,
        gateway_reference=metadata_value(refund, REFERENCE_KEY),
        came_back=came_back,
    )


def _disputes(client: stripe.StripeClient, intent_id: str) -> tuple[DisputeState | None, ...]:
    """Return the disputes, oldest first. Stripe lists the newest first."""
    rows = _all(client.v1.disputes.list({"payment_intent": intent_id, "limit": PAGE_SIZE}).to_dict())
    return tuple(read_dispute(row) for row in reversed(rows))


def _all(page: Mapping[str, Any]) -> list[StripeDocument]:
    if page["has_more"]:
        raise _TooManyError
    rows: list[StripeDocument] = page["data"]
    return rows
