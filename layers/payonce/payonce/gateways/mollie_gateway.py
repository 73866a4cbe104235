"""The Gateway port over Mollie's Payments API v2: https://docs.mollie.com/reference/payments-api.

::

    payment  POST /payments ─▶ open (the payer goes to _links.checkout) ─▶ pending ─▶ paid, authorized
                                 └─▶ canceled, expired, failed
    set-up   the same with an amount of nothing, and what it saves is a mandate: see ``mollie_setups``
    capture  POST /payments/{id}/captures              ─▶ pending ─▶ succeeded, failed
    void     POST /payments/{id}/release-authorization ─▶ the payment is canceled, or paid if some of it was captured
    refund   POST /payments/{id}/refunds               ─▶ queued, pending, processing ─▶ refunded, failed, canceled
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import GatewayUnavailable, MisconfiguredError
from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    AwaitsPayer,
    ChargeOutcome,
    Declined,
    GatewayCapabilities,
    Instruction,
    LookupOutcome,
    NeverSent,
    NotAllowed,
    NotFound,
    OperationKind,
    Pending,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from payonce.gateways import mollie_lookup, mollie_setups
from payonce.gateways.base_urls import is_in_the_clear, is_web_address
from payonce.gateways.declines import not_withdrawn
from payonce.gateways.json_answers import document_of
from payonce.gateways.method_types import METHOD_TYPES
from payonce.gateways.mollie_answers import PAID, is_error, outcome_of, refused
from payonce.gateways.mollie_charge import charge_state
from payonce.gateways.mollie_http import MollieHttp, part
from payonce.gateways.mollie_requests import follow_up_body, key_of, payment_body, refusal
from payonce.gateways.mollie_setups import SETUP_METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Clock, Deadline

URL = "https://api.mollie.com/v2"
MOLLIE_CAPABILITIES = GatewayCapabilities(
    # https://docs.mollie.com/reference/api-idempotency: 24 hours in its source of 2023 (mollie/api-documentation), one
    # hour as it has been told since. The shorter is relied on.
    key_retention_seconds=3_600,
    lookup_by_reference=True,  # by the metadata of the listed objects
    # Of a request that has lost its connection the same page says that it "may still arrive at the API eventually and
    # get executed", and of a listing nowhere how late it may be.
    lookup_authoritative_after_seconds=None,
    # "The payment will have this status", authorized, "for as long as new captures can be created":
    # https://docs.mollie.com/docs/handling-payment-status. What is left is freed by a release, and by nothing else.
    multiple_captures=True,
    operations=frozenset(OperationKind),
    payment_method_types=METHOD_TYPES["mollie"],
    setup_methods=SETUP_METHODS,
)
_PATHS: Mapping[OperationKind, str] = MappingProxyType(
    {
        OperationKind.CAPTURE: "captures",
        OperationKind.VOID: "release-authorization",
        OperationKind.REFUND: "refunds",
    }
)


class MollieGateway:
    """The Gateway port. Thread-safe: it keeps no state of a call."""

    def __init__(self, name: str, url: str, api_key: str, clock: Clock) -> None:
        self._name = name
        self._http = MollieHttp(url, api_key, clock)

    @property
    def name(self) -> str:
        """See ``Gateway``."""
        return self._name

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return MOLLIE_CAPABILITIES

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        if instruction.kind is OperationKind.REVOCATION:
            return mollie_setups.revoke(self._http, instruction, deadline)
        if instruction.kind in PAID:
            no = refusal(instruction)
            if no is not None:
                return no
            path, body = "/payments", payment_body(instruction)
        else:
            path = f"/payments/{part(instruction.gateway_charge_id)}/{_PATHS[instruction.kind]}"
            body = follow_up_body(instruction)
        answer = self._http.send("POST", path, deadline, body, key=key_of(instruction))
        match answer:
            case NotSent(reason):
                return NeverSent(reason)
            case Lost(reason):
                return Unknown(reason, repeatable=True)
        if instruction.kind is OperationKind.VOID and answer.status == 202:
            # "The request was accepted and will be processed asynchronously." It has no id: the payment's tells.
            return Pending(instruction.gateway_charge_id or "", "the release was accepted")
        if instruction.kind is not OperationKind.VOID and answer.status == 201:
            outcome = outcome_of(document_of(answer.body), instruction)
            return mollie_setups.with_mandate(self._http, instruction, outcome, deadline)
        return refused(answer, instruction)

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``."""
        if instruction.kind is OperationKind.REVOCATION:
            return mollie_setups.find_revocation(self._http, instruction, deadline)
        found = mollie_lookup.find(self._http, instruction, deadline)
        return mollie_setups.with_mandate(self._http, instruction, found, deadline)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. What Mollie does not let be canceled waits until it expires.

        https://docs.mollie.com/reference/cancel-payment: "Depending on the payment method, you may be able to cancel a
        payment". A second cancellation is refused, so that the payment is read after every refusal.
        """
        path = f"/payments/{part(waiting.gateway_object_id)}"
        answer = self._http.send("DELETE", path, deadline)
        if not isinstance(answer, Answered):
            return waiting
        if answer.status in {401, 403} and is_error(answer):
            return not_withdrawn(waiting)
        row: Mapping[str, Any] | None = document_of(answer.body)
        if answer.status != 200:
            row = self._http.read(path, deadline) if answer.status == 422 and is_error(answer) else None
        if row is None or row.get("id") != waiting.gateway_object_id:
            return waiting
        outcome = mollie_setups.with_mandate(self._http, instruction, outcome_of(row, instruction), deadline)
        return outcome if isinstance(outcome, Succeeded | Declined) or type(outcome) is Pending else waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. Mollie goes on by itself: "redirectUrl" brings the payer back with nothing."""
        del instruction, result, deadline
        return waiting

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        answer = self._http.send("GET", f"/payments/{part(gateway_charge_id)}?embed=refunds,chargebacks", deadline)
        if not isinstance(answer, Answered):
            return Unknown(answer.reason)
        if answer.status == 404 and is_error(answer):
            return NotFound()
        if answer.status != 200:
            return (NotAllowed if answer.status in {401, 403} else Unknown)(f"HTTP {answer.status}")
        return charge_state(document_of(answer.body), gateway_charge_id)

    def account_of_key(self, deadline: Deadline) -> str:
        """See ``TellsAccount``: a key is of one profile, https://docs.mollie.com/reference/get-current-profile."""
        row = self._http.read("/profiles/me", deadline) or {}
        if not isinstance(row.get("id"), str):
            raise GatewayUnavailable("Mollie did not say whose key it is.")
        return str(row["id"])


def mollie_from_options(
    name: str, options: Mapping[str, Any], secrets: Mapping[str, str], clock: Clock
) -> MollieGateway:
    """Return the adapter. ``secrets`` has ``<name>_api_key``, ``options`` may have ``url``.

    Raises ``MisconfiguredError`` when the key is missing, or would travel unencrypted.
    """
    key = secrets.get(f"{name}_api_key")
    if not isinstance(key, str) or not key.isascii() or not key.strip():
        raise MisconfiguredError(f"The gateways' secret lacks {name}_api_key.")
    url = str(options.get("url") or URL)
    if is_in_the_clear(url) or not is_web_address(url):
        raise MisconfiguredError("The url of a Mollie gateway must be an https URL, or a http one on this machine.")
    return MollieGateway(name, url, key.strip(), clock)
