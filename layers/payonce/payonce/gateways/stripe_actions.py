"""What the payer has to do for a Stripe payment intent in ``requires_action``, read from its ``next_action``.

::

    redirect_to_url, …                REDIRECT      an address to visit, from which the payer comes back
    boleto_display_details, …         DISPLAY       Stripe's page with the voucher, the code or the account to pay to
    use_stripe_sdk                    GATEWAY_SDK   the intent's client secret, for Stripe.js or a mobile SDK
    blik_authorize, the next year's   None          there is nothing that payonce could show

No action needs a confirmation of ours: with ``confirmation_method=automatic``, which is Stripe's default, the intent
goes on by itself once the payer has acted.
https://docs.stripe.com/api/payment_intents/object#payment_intent_object-next_action.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import ActionType, NextAction

if TYPE_CHECKING:
    from collections.abc import Mapping

_SDK = "use_stripe_sdk"
# Stripe's type → what it is for the payer, and the members with the address and, where Stripe names one, with the
# moment (in epoch seconds) after which the payer can't pay any more. The codes of Cash App, Swish and UPI expire too,
# but their page renews them.
_PAGES: Mapping[str, tuple[ActionType, str, str | None]] = MappingProxyType(
    {
        "redirect_to_url": (ActionType.REDIRECT, "url", None),
        "alipay_handle_redirect": (ActionType.REDIRECT, "url", None),
        "verify_with_microdeposits": (ActionType.REDIRECT, "hosted_verification_url", None),
        "boleto_display_details": (ActionType.DISPLAY, "hosted_voucher_url", "expires_at"),
        "konbini_display_details": (ActionType.DISPLAY, "hosted_voucher_url", "expires_at"),
        "multibanco_display_details": (ActionType.DISPLAY, "hosted_voucher_url", "expires_at"),
        "oxxo_display_details": (ActionType.DISPLAY, "hosted_voucher_url", "expires_after"),
        "pix_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", "expires_at"),
        "cashapp_handle_redirect_or_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", None),
        "display_bank_transfer_instructions": (ActionType.DISPLAY, "hosted_instructions_url", None),
        "paynow_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", None),
        "promptpay_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", None),
        "swish_handle_redirect_or_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", None),
        "upi_handle_redirect_or_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", None),
        "wechat_pay_display_qr_code": (ActionType.DISPLAY, "hosted_instructions_url", None),
    }
)


def next_action_of(intent: Mapping[str, Any]) -> NextAction | None:
    """Return what the payer has to do, or ``None`` where the intent does not say it in a way that can be shown."""
    said = intent.get("next_action")
    if not isinstance(said, dict):
        return None
    if said.get("type") == _SDK:
        secret = _text(intent.get("client_secret"))
        return None if secret is None else NextAction(type=ActionType.GATEWAY_SDK, client_secret=secret)
    page = _PAGES.get(said.get("type", ""))
    details = said.get(said.get("type", ""))
    if page is None or not isinstance(details, dict):
        return None
    action_type, address, expiry = page
    url = _text(details.get(address))
    if url is None:
        return None
    expires_at = details.get(expiry) if expiry else None
    return NextAction(
        type=action_type, url=url, expires_at_ms=expires_at * 1000 if isinstance(expires_at, int) else None
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
