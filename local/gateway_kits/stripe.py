"""Stripe's adapter on localstripe, for the contract suite.

``python -m payonce.gateways.check local.gateway_kits.stripe``. localstripe ignores idempotency keys, has no clock that
can be moved and no dashboard, and sends no events.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from local.localstripe_server import (
    AUTHENTICATION_CARD,
    DECLINED_CARD,
    FAILING_ACCOUNT,
    SETTLEMENT_SECONDS,
    TEST_KEY,
    all_intents,
    all_refunds,
    authenticate,
    call,
    make_bank_account,
    make_customer,
    make_payment_method,
    running_localstripe,
)
from payonce.domain.gateway import OperationKind, PaymentMethodType
from payonce.gateways.check.vendor import NotBroughtError, SignedEvent, Token, Vendor
from payonce.gateways.stripe_gateway import KEYLESS_STRIPE_CAPABILITIES, StripeGateway
from payonce.gateways.stripe_notices import SIGNATURE_HEADER, TOLERANCE_SECONDS, StripeNoticeReader
from payonce.gateways.stripe_objects import CAPTURE_REFERENCE_KEY, REFERENCE_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.gateway import AwaitsPayer, Instruction, MethodSaved
    from payonce.ports import Clock, Gateway, NoticeReader

SECRET, OTHER_SECRET = "whsec_present", "whsec_other"
_LIVE = frozenset({"succeeded", "requires_capture", "requires_action", "processing"})
# Refused as soon as it is used: https://docs.stripe.com/testing#declined-payments
DECLINED_AT_SETUP_CARD = "4000000000000002"
_numbers = itertools.count(1)


class StripeVendor(Vendor):
    """``Vendor`` for a running localstripe."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.customer = make_customer(url)
        self.other_customer = make_customer(url)

    def make_adapter(self, url: str, clock: Clock) -> Gateway:
        """See ``Vendor``."""
        return StripeGateway("stripe", TEST_KEY, url, KEYLESS_STRIPE_CAPABILITIES, clock=clock)

    def count(self, instruction: Instruction) -> int:
        """See ``Vendor``. A capture is found by its mark on the payment intent, and a void by the intent's end."""
        reference, kind = instruction.gateway_reference, instruction.kind
        if kind is OperationKind.REFUND:
            return sum(row["metadata"].get(REFERENCE_KEY) == reference for row in all_refunds(self.url))
        if kind is OperationKind.SETUP:
            setups = call(self.url, "GET", "/v1/setup_intents?limit=100")["data"]
            return sum(row["metadata"].get(REFERENCE_KEY) == reference and row["status"] in _LIVE for row in setups)
        intents = all_intents(self.url)
        if kind is OperationKind.VOID:
            return sum(row["id"] == instruction.gateway_charge_id and row["status"] == "canceled" for row in intents)
        key = CAPTURE_REFERENCE_KEY if kind is OperationKind.CAPTURE else REFERENCE_KEY
        return sum(row["metadata"].get(key) == reference and row["status"] in _LIVE for row in intents)

    def token(self, token: Token) -> str:
        """See ``Vendor``."""
        match token:
            case Token.OK:
                return make_payment_method(self.url)
            case Token.DECLINED | Token.DECLINED_LATER:
                return make_payment_method(self.url, DECLINED_CARD)
            case Token.DECLINED_AT_SETUP:
                return make_payment_method(self.url, DECLINED_AT_SETUP_CARD)
            case Token.NEEDS_PAYER:
                return make_payment_method(self.url, AUTHENTICATION_CARD)
            case Token.DEBIT:
                return make_bank_account(self.url)
            case Token.DEBIT_FAILS:
                return make_bank_account(self.url, FAILING_ACCOUNT)
            case Token.NEEDS_CONFIRMATION:
                raise NotBroughtError("Stripe needs no confirmation")

    def method_token(self, method_type: PaymentMethodType) -> str:
        """See ``Vendor``."""
        if method_type is PaymentMethodType.CARD:
            return make_payment_method(self.url)
        if method_type is PaymentMethodType.BANK_DEBIT:
            return make_bank_account(self.url)
        raise NotBroughtError(f"localstripe has no {method_type}")

    def answer_as_payer(self, waiting: AwaitsPayer, *, approve: bool) -> str | None:
        """See ``Vendor``."""
        authenticate(self.url, waiting.gateway_object_id, success=approve)
        return None

    def end_by_hand(self, saved: MethodSaved) -> None:
        """See ``Vendor``: https://docs.stripe.com/api/payment_methods/detach."""
        call(self.url, "POST", f"/v1/payment_methods/{saved.token}/detach")

    def settle(self) -> None:
        """See ``Vendor``. localstripe settles debits a moment later."""
        time.sleep(2 * SETTLEMENT_SECONDS)

    def notice_reader(self, *, trusted: bool = True) -> NoticeReader:
        """See ``Vendor``."""
        return StripeNoticeReader([SECRET if trusted else OTHER_SECRET])

    def event_about(self, instruction: Instruction, gateway_charge_id: str) -> SignedEvent:
        """See ``Vendor``. Signed as in https://docs.stripe.com/webhooks/signature#verify-manually."""
        [intent] = [row for row in all_intents(self.url) if row["id"] == gateway_charge_id]
        now = int(time.time())
        event = {"id": f"evt_{next(_numbers)}", "object": "event", "type": "payment_intent.succeeded", "created": now}
        body = json.dumps({**event, "data": {"object": intent}}).encode()
        signed = hmac.new(SECRET.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {SIGNATURE_HEADER: f"t={now},v1={signed}"}
        return SignedEvent(body=body, headers=headers, stale_after_seconds=TOLERANCE_SECONDS)


@contextmanager
def vendor() -> Iterator[Vendor]:
    """Run localstripe."""
    with running_localstripe() as url:
        yield StripeVendor(url)
