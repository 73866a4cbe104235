"""Why operations are declined, in payonce's own words, whichever gateway says it. No gateway's text is passed on."""

from __future__ import annotations

from types import MappingProxyType

from payonce.domain.gateway import CANCELED, PAYMENT_EXPIRED, AwaitsPayer, Declined, NotWithdrawn, Overtaken

AUTHENTICATION_REQUIRED = "authentication_required"
AMOUNT_NOT_SUPPORTED = "amount_not_supported"
ALREADY_CAPTURED = "already_captured"
ALREADY_REFUNDED = "already_refunded"
AUTHORIZATION_RELEASED = "authorization_released"
CAPTURE_FAILED = "capture_failed"
CURRENCY_NOT_SUPPORTED = "currency_not_supported"
MANDATE_REVOKED = "mandate_revoked"
REFUND_FAILED = "refund_failed"
REJECTED = "rejected_by_gateway"
VOID_FAILED = "void_failed"
DECLINED = "declined"

MESSAGES = MappingProxyType(
    {
        AUTHENTICATION_REQUIRED: "The issuer asks for the payer's authentication, which this payment can't offer.",
        AMOUNT_NOT_SUPPORTED: "The gateway does not take this amount.",
        CURRENCY_NOT_SUPPORTED: "The gateway does not take this currency by this payment method.",
        REJECTED: "The gateway rejected the operation; nothing was executed.",
        ALREADY_CAPTURED: "The payment was captured before, and can't be captured or voided any more.",
        ALREADY_REFUNDED: "Less than this is left of the payment: it was refunded before.",
        AUTHORIZATION_RELEASED: "The authorization was released; nothing can be captured any more.",
        CANCELED: "The payment was canceled at the gateway.",
        CAPTURE_FAILED: "The capture failed; nothing was captured by it.",
        MANDATE_REVOKED: "The payer's agreement to be charged later has ended at the gateway.",
        PAYMENT_EXPIRED: "The payer did not pay in time.",
        REFUND_FAILED: "The refund failed; the money was not given back.",
        VOID_FAILED: "The authorization could not be released.",
    }
)


def declined(code: str) -> Declined:
    """Return the decline with payonce's message."""
    return Declined(code, MESSAGES.get(code, "The payment was declined."))


def not_withdrawn(waiting: AwaitsPayer) -> NotWithdrawn:
    """Return that the withdrawal of what ``waiting`` describes was refused for our credentials."""
    return NotWithdrawn(waiting.gateway_object_id, waiting.reason, waiting.action)


def overtaken(code: str) -> Overtaken:
    """Return the refusal of an operation whose charge was changed outside payonce."""
    return Overtaken(code, MESSAGES[code])
