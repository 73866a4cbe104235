"""The gateway adapter of Adyen Checkout, on the official library. Imported only where an Adyen gateway is configured.

Adyen can't be asked what became of a payment. A submission whose answer is lost is repeated with the same key by
recovery, within the limits of ``payments.rules``, and what Adyen decides later is learned from its notifications, which
are verified and kept first (``NoticeBook``). docs/adr/0040-adyen-lookup.md has the reasons.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError, StoreUnavailable
from payonce.domain.exchange import Answered
from payonce.domain.gateway import (
    AwaitsPayer,
    ChargeOutcome,
    Declined,
    GatewayCapabilities,
    NeverSent,
    NotFound,
    OperationKind,
    Payer,
    ResultRefused,
    Succeeded,
    Unknown,
)
from payonce.gateways.adyen_answers import names_the_payment, read_answer, read_result
from payonce.gateways.adyen_errors import (
    IN_PROGRESS_CODE,
    error_code_of,
    is_success,
    is_transient,
    is_without_token,
    outcome_of_failure,
)
from payonce.gateways.adyen_http import MAX_ANSWER_BYTES, Place, exchange_by_library
from payonce.gateways.adyen_lookup import AUTHORISED, found_among, names_of
from payonce.gateways.adyen_requests import Account, execute, refusal_before, submit_details
from payonce.gateways.adyen_setups import ShopperMethods
from payonce.gateways.adyen_tokens import SETUP_METHODS
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.declines import MANDATE_REVOKED, declined
from payonce.gateways.json_answers import document_of
from payonce.gateways.method_types import METHOD_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.exchange import Exchange
    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome, WithdrawOutcome
    from payonce.gateways.adyen_http import Apis
    from payonce.gateways.deadline_exchange import HttpExchange
    from payonce.ports import Clock, Deadline, NoticeBook

ADYEN_CAPABILITIES = GatewayCapabilities(
    key_retention_seconds=7 * 86_400,  # "a minimum period of 7 days after first submission"
    lookup_by_reference=True,  # in the kept notifications
    lookup_authoritative_after_seconds=None,  # that none has come proves nothing
    multiple_captures=False,  # for some accounts only; elsewhere the first capture releases the rest
    operations=frozenset(OperationKind),
    payment_method_types=METHOD_TYPES["adyen"],
    reads_charges=False,
    setup_methods=SETUP_METHODS,
)
SECRET_NAME = "adyen_api_key"  # noqa: S105 - the name of the secret, not the secret


class AdyenGateway:
    """The Gateway port over Adyen's payments and modifications. Thread-safe: it keeps no state of a call."""

    def __init__(
        self,
        name: str,
        api_key: str,
        account: Account,
        *,
        place: Place,
        book: NoticeBook,
        clock: Clock,
        exchange: HttpExchange | None = None,
    ) -> None:
        self._name = name
        self._api_key = api_key
        self._account = account
        self._place = place
        self._book = book
        self._clock = clock
        self._exchange = exchange or DeadlineExchange(clock, max_answer_bytes=MAX_ANSWER_BYTES)

    def __repr__(self) -> str:
        return f"AdyenGateway(name={self._name!r}, merchant_account={self._account.merchant_account!r})"

    @property
    def name(self) -> str:
        """See ``Gateway``."""
        return self._name

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return ADYEN_CAPABILITIES

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        refusal = refusal_before(instruction, self._account)
        if refusal is not None:
            return Declined(*refusal)
        if instruction.kind is OperationKind.REVOCATION:
            return self._methods(instruction, deadline).revoke()
        if instruction.kind not in AUTHORISED and instruction.gateway_charge_id is None:
            return NeverSent("the instruction names no charge")
        call = partial(execute, instruction=instruction, account=self._account)
        exchanged = self._ask(call, deadline)
        if isinstance(exchanged, Answered) and is_success(exchanged):
            answer = read_answer(instruction, document_of(exchanged.body))
            return self._methods(instruction, deadline).with_token(answer)
        if instruction.payer is Payer.ABSENT and is_without_token(exchanged):
            return declined(MANDATE_REVOKED)
        return outcome_of_failure(exchanged, gateway=self._name, reference=instruction.gateway_reference)

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``. Reads the kept notifications. Adyen is asked for the stored methods of a shopper alone."""
        if instruction.kind is OperationKind.REVOCATION:
            return self._methods(instruction, deadline).find_revocation()
        try:
            outcomes = self._book.outcomes(self._name, names_of(instruction))
        except StoreUnavailable:
            return Unknown("the kept notifications could not be read")
        found = found_among(instruction, outcomes, gateway=self._name)
        return self._methods(instruction, deadline).with_token(found, answered=False)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. Adyen offers no way to withdraw what waits: it is over when a notification says so.

        ``/cancels`` cancels what was authorised, later and without a word in its answer. Sent here it would do nothing
        to a payment that waits, and would undo one whose payer was faster, after it was told as paid.
        """
        found = self.find(instruction, deadline)
        return found if isinstance(found, Succeeded | Declined) else waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. ``result`` is the ``redirectResult`` of the address, or a component's ``threeDSResult``.

        Its key is of the payment and the result: Adyen refuses the same details a second time under another key.
        """
        details, reference = _details_of(result), instruction.gateway_reference
        exchanged = self._ask(partial(submit_details, details=details, key=_key_of(reference, result)), deadline)
        if not isinstance(exchanged, Answered):
            return outcome_of_failure(exchanged, gateway=self._name, reference=reference)
        if is_success(exchanged):
            document = document_of(exchanged.body)
            if names_the_payment(instruction, document):
                return self._methods(instruction, deadline).with_token(read_result(instruction, document))
            return _not_of_this_payment()
        if exchanged.status in {400, 422} and not is_transient(exchanged):
            if error_code_of(exchanged) == IN_PROGRESS_CODE:
                return self._submitted_before(instruction, waiting, deadline)
            return _not_of_this_payment()
        return outcome_of_failure(exchanged, gateway=self._name, reference=reference)

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``. Adyen has no API to read a payment."""
        del gateway_charge_id, deadline
        return Unknown("this gateway can't be asked how a charge stands")

    def _submitted_before(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> SubmitOutcome:
        """Return what is known of a payment whose details somebody else has handed in, such as the shop itself."""
        found = self.find(instruction, deadline)
        return waiting if isinstance(found, NotFound) else found

    def _methods(self, instruction: Instruction, deadline: Deadline) -> ShopperMethods:
        return ShopperMethods(
            instruction,
            merchant_account=self._account.merchant_account,
            ask=lambda call: self._ask(call, deadline),
            gateway=self._name,
        )

    def _ask(self, call: Callable[[Apis], object], deadline: Deadline) -> Exchange:
        return exchange_by_library(
            call, api_key=self._api_key, place=self._place, exchange=self._exchange, deadline=deadline
        )


def adyen_from_options(
    name: str, options: Mapping[str, Any], secrets: Mapping[str, str], book: NoticeBook, clock: Clock
) -> AdyenGateway:
    """Return the adapter configured by one entry of PAYONCE_GATEWAYS.

    ``merchant_account`` is required. ``live_endpoint_prefix`` is the prefix of the live account; without it, Adyen's
    test environment is used. ``return_url`` is for payments that name none. ``url`` is for a look-alike. Raises
    ``GatewayUnavailable`` when there is no API key, and ``MisconfiguredError`` for an option that can't be used.
    """
    merchant_account, prefix = str(options.get("merchant_account", "")), str(options.get("live_endpoint_prefix", ""))
    if not merchant_account:
        raise MisconfiguredError(f"PAYONCE_GATEWAYS: {name} needs a merchant_account.")
    if prefix and not (prefix.isascii() and prefix.replace("-", "").isalnum()):
        raise MisconfiguredError(f"PAYONCE_GATEWAYS: live_endpoint_prefix of {name} is no part of a host's name.")
    place = Place(url=str(options.get("url", "")), prefix=prefix)
    api_key = secrets.get(SECRET_NAME, "")
    if not api_key:
        raise GatewayUnavailable(f"The secret {SECRET_NAME} is empty. Nothing was executed.")
    account = Account(merchant_account, return_url=str(options.get("return_url", "")))
    return AdyenGateway(name, api_key, account, place=place, book=book, clock=clock)


def _details_of(result: str) -> dict[str, str]:
    """Return the member in which Adyen wants the result: a component's is base64 of JSON, and names its token."""
    try:
        decoded = json.loads(base64.b64decode(result, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        decoded = None
    by_component = isinstance(decoded, dict) and "authorisationToken" in decoded
    return {"threeDSResult" if by_component else "redirectResult": result}


def _key_of(reference: str, result: str) -> str:
    return "conf_" + hashlib.sha256(f"{reference}\n{result}".encode()).hexdigest()[:48]


def _not_of_this_payment() -> ResultRefused:
    return ResultRefused("forged_result", "The gateway did not issue this result for this payment.")
