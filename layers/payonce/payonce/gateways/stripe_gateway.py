"""The gateway adapter of Stripe, on the official SDK. Imported only where a Stripe gateway is configured.

The SDK builds, signs and parses the requests. Decisions about money are ours: nothing is retried here, every call
ends by its deadline, and ``stripe_errors`` and ``stripe_objects`` define what an answer means.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.gateway import (
    AwaitsPayer,
    ChargeOutcome,
    Declined,
    GatewayCapabilities,
    NeverSent,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.extras import needs
from payonce.gateways.base_urls import is_in_the_clear, is_web_address
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.declines import AMOUNT_NOT_SUPPORTED, CURRENCY_NOT_SUPPORTED, DECLINED, declined
from payonce.gateways.method_types import METHOD_TYPES
from payonce.gateways.stripe_charge import read_charge
from payonce.gateways.stripe_errors import DECLINE_CODES, not_asked, outcome_of_error
from payonce.gateways.stripe_http import MAX_ANSWER_BYTES, BoundHttpClient
from payonce.gateways.stripe_lookup import StripeLookup
from payonce.gateways.stripe_methods import check_method
from payonce.gateways.stripe_money import check_money
from payonce.gateways.stripe_objects import read_object
from payonce.gateways.stripe_requests import execute
from payonce.gateways.stripe_setups import SAVING, save
from payonce.gateways.stripe_withdrawal import withdraw
from payonce.observability import get_logger

with needs("stripe"):
    import stripe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome, WithdrawOutcome
    from payonce.gateways.deadline_exchange import HttpExchange
    from payonce.gateways.stripe_objects import StripeDocument
    from payonce.ports import Clock, Deadline

# The SDK would measure our calls, describe the machine, and store an id in the home folder, which Lambda lacks.
stripe.enable_telemetry = False
# At lower levels the SDK's logger writes whole requests and answers.
logging.getLogger("stripe").setLevel(logging.WARNING)

STRIPE_CAPABILITIES = GatewayCapabilities(
    key_retention_seconds=86_400,  # Stripe may prune a key when it is "at least 24 hours old"
    lookup_by_reference=True,
    # Listings are consistent, but a request still in progress at Stripe may create its intent late.
    lookup_authoritative_after_seconds=300,
    multiple_captures=False,  # multicapture is available for some accounts and cards only
    operations=frozenset(OperationKind),
    payment_method_types=METHOD_TYPES["stripe"],
)
# For servers that ignore idempotency keys, such as localstripe. It answers from memory, one request at a time.
KEYLESS_STRIPE_CAPABILITIES = replace(
    STRIPE_CAPABILITIES, key_retention_seconds=0, lookup_authoritative_after_seconds=2
)
SECRET_NAME = "stripe_api_key"  # noqa: S105 - the name of the secret, not the secret
TEST_KEY_PREFIX = "sk_test_"


class StripeGateway:
    """The Gateway port over Stripe's payment intents and refunds. Thread-safe: it keeps no state of a call."""

    def __init__(
        self,
        name: str,
        api_key: str,
        api_base: str | None = None,
        capabilities: GatewayCapabilities = STRIPE_CAPABILITIES,
        *,
        clock: Clock,
        exchange: HttpExchange | None = None,
        stripe_account: str | None = None,
    ) -> None:
        self._name = name
        self._api_key = api_key
        # Of a connected account: sent with every request, so that all of them, and their keys, are that account's.
        # https://docs.stripe.com/connect/authentication
        self._stripe_account = stripe_account
        self._api_base = (api_base or stripe.DEFAULT_API_BASE).rstrip("/")
        self._capabilities = capabilities
        self._clock = clock
        self._exchange = exchange or DeadlineExchange(
            clock, max_answer_bytes=MAX_ANSWER_BYTES, ca_file=stripe.ca_bundle_path
        )

    def __repr__(self) -> str:
        return f"StripeGateway(name={self._name!r}, api_base={self._api_base!r})"

    @property
    def name(self) -> str:
        """See ``Gateway``."""
        return self._name

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return self._capabilities

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        if instruction.kind in SAVING:
            return save(self._client(deadline), instruction, gateway=self._name)
        problem = None if instruction.kind is OperationKind.VOID else check_money(instruction.money)
        if problem is not None:
            return Declined(AMOUNT_NOT_SUPPORTED, problem)
        problem = check_method(instruction) if instruction.kind is OperationKind.PAYMENT else None
        if problem is not None:
            return Declined(CURRENCY_NOT_SUPPORTED, problem)
        if instruction.kind is not OperationKind.PAYMENT and instruction.gateway_charge_id is None:
            return NeverSent("the instruction names no charge")
        client = self._client(deadline)
        try:
            return _judge(instruction, execute(client, instruction))
        except Exception as error:
            # Any exception that the SDK raises for an answer is an outcome, never a crash.
            return outcome_of_error(
                error, gateway=self._name, reference=instruction.gateway_reference, kind=instruction.kind
            )

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``. Several bookings under one reference are logged as errors; the first of them counts.

        What its payer was asked about and failed is canceled before it counts as declined. Otherwise whoever has its
        client secret could pay, or set up, with another method after the decline.
        """
        client = self._client(deadline)
        lookup = StripeLookup(
            client,
            gateway=self._name,
            keys_are_honoured=self._capabilities.key_retention_seconds > 0,
        )
        try:
            found = lookup.find(instruction)
        except Exception as error:
            get_logger().warning(
                "the gateway could not be asked",
                extra={
                    "gateway": self._name,
                    "reference": instruction.gateway_reference,
                    "error": type(error).__name__,
                    "http_status": getattr(error, "http_status", None),
                    "request_id": getattr(error, "request_id", None),
                },
            )
            return not_asked(error)
        if isinstance(found, AwaitsPayer) and found.reason in DECLINE_CODES:
            return withdraw(client, instruction, found, gateway=self._name)
        return found

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. It returns ``Declined`` only when Stripe shows the intent as canceled.

        Its code is ``authentication_required`` where the payer could not be asked, that of the decline where the payer
        was asked and failed, and else ``canceled``.
        """
        return withdraw(self._client(deadline), instruction, waiting, gateway=self._name)

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. Stripe needs no confirmation: it goes on by itself once the payer has acted.

        What the browser brings back to the ``return_url`` can be forged; the intent's state is what ``find`` reads.
        """
        del instruction, result, deadline
        return waiting

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``. The charge is a payment intent, as everywhere in this adapter."""
        try:
            return read_charge(self._client(deadline), gateway_charge_id)
        except Exception as error:
            return not_asked(error)

    def account_of_key(self, deadline: Deadline) -> str:
        """See ``TellsAccount``: https://docs.stripe.com/api/accounts/retrieve, without an id."""
        try:
            return str(self._client(deadline).v1.accounts.retrieve_current().id)
        except Exception as error:
            # Only the type: the text of an error may quote the key.
            raise GatewayUnavailable(f"Stripe could not be asked whose key it is: {type(error).__name__}.") from None

    def _client(self, deadline: Deadline) -> stripe.StripeClient:
        # A client per operation costs 0.2 ms, and binds its calls to the deadline without shared state.
        return stripe.StripeClient(
            self._api_key,
            stripe_account=self._stripe_account,
            base_addresses={"api": self._api_base},
            max_network_retries=0,  # payonce controls the retries: it asks before it sends again
            http_client=BoundHttpClient(self._exchange, deadline),
        )


def _judge(instruction: Instruction, document: StripeDocument) -> SubmitOutcome:
    """Return the outcome for the answer of the executing call."""
    outcome = read_object(instruction, document)
    if isinstance(outcome, Succeeded | Unknown | Pending):
        return outcome
    match instruction.kind, document.get("status"):
        case OperationKind.PAYMENT, "requires_payment_method":
            return outcome if isinstance(outcome, Declined) else declined(DECLINED)
        case ((OperationKind.PAYMENT | OperationKind.REFUND), _) if isinstance(outcome, Declined):
            return outcome
        case _, status:
            # A capture was accepted but captured nothing, or a void voided nothing: a lookup has to decide.
            return Unknown(f"the answer is {status}", repeatable=True)


def stripe_from_options(
    name: str, options: Mapping[str, Any], secrets: Mapping[str, str], clock: Clock
) -> StripeGateway:
    """Return the adapter configured by one entry of PAYONCE_GATEWAYS.

    All options may be omitted. ``url`` is for a Stripe look-alike; ``key_retention_seconds`` and
    ``lookup_authoritative_after_seconds`` must then match the server at that address. ``stripe_account`` is the id of a
    connected account, for which the key is the platform's. Raises ``GatewayUnavailable``
    when there is no API key, and ``MisconfiguredError`` when the key would travel unencrypted.
    """
    api_key = secrets.get(SECRET_NAME, "")
    if not api_key:
        raise GatewayUnavailable(f"The secret {SECRET_NAME} is empty. Nothing was executed.")
    api_base = options.get("url")
    if api_base is not None:
        _check_api_base(str(api_base), api_key)
    retention = options.get("key_retention_seconds", STRIPE_CAPABILITIES.key_retention_seconds)
    authoritative = options.get(
        "lookup_authoritative_after_seconds", STRIPE_CAPABILITIES.lookup_authoritative_after_seconds
    )
    capabilities = replace(
        STRIPE_CAPABILITIES,
        key_retention_seconds=int(retention),
        lookup_authoritative_after_seconds=None if authoritative is None else float(authoritative),
    )
    return StripeGateway(
        name, api_key, api_base, capabilities, clock=clock, stripe_account=options.get("stripe_account")
    )


def _check_api_base(api_base: str, api_key: str) -> None:
    exposed = is_in_the_clear(api_base) and not api_key.startswith(TEST_KEY_PREFIX)
    if exposed or not is_web_address(api_base):
        raise MisconfiguredError("The url of a Stripe gateway must be an https URL, or a http one on this machine.")
