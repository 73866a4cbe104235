"""The gateway adapter of Stripe, on the official SDK. Imported only where a Stripe gateway is configured.

The SDK builds, signs and parses the requests. What decides about money is ours: nothing is retried here, every call
is over by its deadline, and what an answer means is in ``stripe_errors`` and ``stripe_objects``.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import stripe

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.gateway import (
    AwaitsPayer,
    ChargeOutcome,
    Declined,
    GatewayCapabilities,
    NeverSent,
    NotFound,
    OperationKind,
    Pending,
    Succeeded,
    Unknown,
)
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.stripe_charge import read_charge
from payonce.gateways.stripe_errors import (
    AMOUNT_NOT_SUPPORTED,
    AUTHENTICATION_REQUIRED,
    CANCELED,
    DECLINED,
    declined,
    outcome_of_error,
)
from payonce.gateways.stripe_http import MAX_ANSWER_BYTES, BoundHttpClient
from payonce.gateways.stripe_lookup import StripeLookup
from payonce.gateways.stripe_money import check_money
from payonce.gateways.stripe_objects import REQUIRES_ACTION, read_object
from payonce.gateways.stripe_requests import execute
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, LookupOutcome, SubmitOutcome, WithdrawOutcome
    from payonce.gateways.stripe_http import HttpExchange
    from payonce.gateways.stripe_objects import StripeDocument
    from payonce.ports import Clock, Deadline

# The SDK would measure our calls, describe the machine and keep an id in the home folder, which Lambda does not have.
stripe.enable_telemetry = False
# At its lower levels the SDK's logger writes whole requests and answers.
logging.getLogger("stripe").setLevel(logging.WARNING)

STRIPE_CAPABILITIES = GatewayCapabilities(
    key_retention_seconds=86_400,  # "at least 24 hours old" is when Stripe may prune a key
    lookup_by_reference=True,
    # Listings are consistent, but a request that Stripe is still working on may create its intent late.
    lookup_authoritative_after_seconds=300,
    multiple_captures=False,  # multicapture is a feature of some accounts and cards
    operations=frozenset(OperationKind),
)
# For a server that ignores idempotency keys, as localstripe does. It answers from memory, one request at a time.
KEYLESS_STRIPE_CAPABILITIES = replace(
    STRIPE_CAPABILITIES, key_retention_seconds=0, lookup_authoritative_after_seconds=2
)
SECRET_NAME = "stripe_api_key"  # noqa: S105 - the name of the secret, not the secret
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
TEST_KEY_PREFIX = "sk_test_"


class StripeGateway:
    """The Gateway port over Stripe's payment intents and refunds. Shared by threads: it holds no state of a call."""

    def __init__(
        self,
        name: str,
        api_key: str,
        api_base: str | None = None,
        capabilities: GatewayCapabilities = STRIPE_CAPABILITIES,
        *,
        clock: Clock,
        exchange: HttpExchange | None = None,
    ) -> None:
        self._name = name
        self._api_key = api_key
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
        problem = None if instruction.kind is OperationKind.VOID else check_money(instruction.money)
        if problem is not None:
            return Declined(AMOUNT_NOT_SUPPORTED, problem)
        if instruction.kind is not OperationKind.PAYMENT and instruction.gateway_charge_id is None:
            return NeverSent("the instruction names no charge")
        client = self._client(deadline)
        try:
            return _judge(instruction, execute(client, instruction))
        except Exception as error:
            # Whatever the SDK makes of an answer is an outcome, never a crash.
            return outcome_of_error(
                error, gateway=self._name, reference=instruction.gateway_reference, kind=instruction.kind
            )

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``. Several bookings under one reference are logged loudly; the first of them counts."""
        lookup = StripeLookup(
            self._client(deadline),
            gateway=self._name,
            now_ms=self._clock.now_ms(),
            keys_are_honoured=self._capabilities.key_retention_seconds > 0,
        )
        try:
            return lookup.find(instruction)
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
            return Unknown(f"the gateway could not be asked: {type(error).__name__}")

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. Declined is only what Stripe shows as canceled.

        No idempotency key of ours: a failure kept under it would keep the intent open for a day, and canceling is
        canceling once anyway.
        """
        client = self._client(deadline)
        intents = client.v1.payment_intents
        try:
            try:
                intent = intents.cancel(waiting.gateway_object_id).to_dict()
            except stripe.InvalidRequestError:
                # It is in a state that can't be canceled any more: perhaps the payer was faster.
                intent = intents.retrieve(waiting.gateway_object_id).to_dict()
            outcome = read_object(instruction, intent)
        except Exception as error:
            get_logger().warning(
                "a payment that waits for the payer could not be canceled",
                extra={
                    "gateway": self._name,
                    "reference": instruction.gateway_reference,
                    "error": type(error).__name__,
                },
            )
            return waiting
        if intent.get("status") == "canceled" and isinstance(outcome, Declined):
            return declined(AUTHENTICATION_REQUIRED if waiting.reason == REQUIRES_ACTION else CANCELED)
        return outcome if isinstance(outcome, Succeeded | Declined | Pending) else waiting

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``. A charge is a payment intent, here as everywhere."""
        try:
            return read_charge(self._client(deadline), gateway_charge_id)
        except stripe.InvalidRequestError as error:
            if error.http_status == 404:
                return NotFound()
            return Unknown("the gateway could not be asked: InvalidRequestError")
        except Exception as error:
            return Unknown(f"the gateway could not be asked: {type(error).__name__}")

    def _client(self, deadline: Deadline) -> stripe.StripeClient:
        # A client per operation costs 0.2 ms and ties its calls to the deadline without state that calls would share.
        return stripe.StripeClient(
            self._api_key,
            base_addresses={"api": self._api_base},
            max_network_retries=0,  # payonce owns the retries: it asks before it sends again
            http_client=BoundHttpClient(self._exchange, deadline),
        )


def _judge(instruction: Instruction, document: StripeDocument) -> SubmitOutcome:
    """Return what the answer of the executing call means."""
    outcome = read_object(instruction, document)
    if isinstance(outcome, Succeeded | Unknown | Pending):
        return outcome
    match instruction.kind, document.get("status"):
        case OperationKind.PAYMENT, "requires_payment_method":
            return outcome if isinstance(outcome, Declined) else declined(DECLINED)
        case ((OperationKind.PAYMENT | OperationKind.REFUND), _) if isinstance(outcome, Declined):
            return outcome
        case _, status:
            # An accepted capture that captured nothing, a void that voided nothing: a lookup has to decide.
            return Unknown(f"the answer is {status}", repeatable=True)


def stripe_from_options(
    name: str, options: Mapping[str, Any], secrets: Mapping[str, str], clock: Clock
) -> StripeGateway:
    """Return the adapter configured by one entry of PAYONCE_GATEWAYS.

    Everything is optional: ``url`` is for a Stripe look-alike, and ``key_retention_seconds`` and
    ``lookup_authoritative_after_seconds`` must then say what the server at that address does. Raises
    ``GatewayUnavailable`` without an API key and ``MisconfiguredError`` where the key would travel in the clear.
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
    return StripeGateway(name, api_key, api_base, capabilities, clock=clock)


def _check_api_base(api_base: str, api_key: str) -> None:
    target = urlsplit(api_base)
    in_the_clear = target.scheme == "http" and target.hostname not in LOOPBACK_HOSTS
    if target.scheme not in {"http", "https"} or (in_the_clear and not api_key.startswith(TEST_KEY_PREFIX)):
        raise MisconfiguredError("The url of a Stripe gateway must be an https URL, or a http one on this machine.")
