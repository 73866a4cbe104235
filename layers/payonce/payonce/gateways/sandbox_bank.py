"""The gateway adapter of the sandbox bank. It is also an example of an adapter for a plain HTTP gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    CANCELED,
    PAYMENT_EXPIRED,
    AwaitsPayer,
    ChargeOutcome,
    CredentialsRefused,
    Declined,
    GatewayCapabilities,
    Instruction,
    LookupOutcome,
    NeverSent,
    NotAllowed,
    NotFound,
    OperationKind,
    Overtaken,
    Pending,
    ResultRefused,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.json_answers import document_of, object_of
from payonce.gateways.sandbox_bank_objects import charge_at_bank, held_by_bank
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Exchange
    from payonce.ports import Clock, Deadline

DECLINE_CODES = frozenset(
    {
        CANCELED,
        "declined",
        "insufficient_funds",
        "expired_card",
        "fraud_suspected",
        "authentication_required",
        "authentication_failed",
        PAYMENT_EXPIRED,
    }
)
DECIDED_AGAINST = frozenset({"declined", "canceled", "expired"})
HELD = frozenset({"requires_action", "processing"})
KEPT_HEADER = "idempotency-kept"
MAX_ANSWER_BYTES = 256 * 1024  # an answer has a few KB; anything near this limit is not one
_PATHS = {OperationKind.CAPTURE: "captures", OperationKind.VOID: "voids", OperationKind.REFUND: "refunds"}


class SandboxBankGateway:
    """The Gateway port over the bank's HTTP API."""

    def __init__(
        self, *, name: str, base_url: str, token: str, capabilities: GatewayCapabilities, exchange: DeadlineExchange
    ) -> None:
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._capabilities = capabilities
        self._exchange = exchange

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
        body: dict[str, Any] = {"reference": instruction.gateway_reference}
        if instruction.kind is OperationKind.PAYMENT:
            path = "/charges"
            body["currency"] = instruction.money.currency
            body["payment_method"] = instruction.payment_method
            body["capture"] = instruction.capture_method.value
            body["method_type"] = instruction.payment_method_type.value
            body["payer"] = instruction.payer.value
            told = {name: getattr(instruction, name) for name in ("return_url", "customer", "description")}
            body |= {name: text for name, text in told.items() if text is not None}
        else:
            path = f"/charges/{instruction.gateway_charge_id}/{_PATHS[instruction.kind]}"
        body["amount_minor"] = instruction.money.amount_minor
        outcome = self._post(path, body, deadline, key=instruction.gateway_reference)
        match outcome:
            case NotSent(reason):
                return NeverSent(reason)
            case Lost(reason):
                return Unknown(reason, repeatable=True)
            case Answered():
                return self._judge(outcome, instruction)

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``. Several bookings under one reference are the bank's error, and are logged as such."""
        outcome = self._exchange.send(
            "GET",
            f"{self._base_url}/operations?reference={instruction.gateway_reference}",
            headers=self._headers(),
            body=None,
            deadline=deadline,
        )
        if not isinstance(outcome, Answered) or outcome.status != 200:
            return _not_asked(outcome)
        operations = document_of(outcome.body).get("operations")
        if not isinstance(operations, list):
            return Unknown("the bank's answer is not usable")
        if not operations:
            return NotFound()
        operations = [row for row in operations if object_of(row).get("kind") == instruction.kind.value] or operations
        succeeded = [row for row in operations if isinstance(row, dict) and row.get("status") == "succeeded"]
        if len(succeeded) > 1:
            get_logger().error(
                "duplicate booking at gateway",
                extra={"gateway": self._name, "reference": instruction.gateway_reference, "count": len(succeeded)},
            )
        return self._outcome((succeeded or operations)[0], instruction)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. A payment that can't be canceled any more is looked up."""
        answer = self._post(f"/charges/{waiting.gateway_object_id}/cancellations", {}, deadline)
        if isinstance(answer, Answered) and answer.status == 201:
            return Declined(CANCELED, "The payment was canceled.")
        if isinstance(answer, Answered) and answer.status == 409:
            found = self.find(instruction, deadline)
            if isinstance(found, Succeeded | Declined) or type(found) is Pending:
                return found
        return waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        path = f"/charges/{waiting.gateway_object_id}/confirmations"
        answer = self._post(path, {"payment_result": result}, deadline)
        if isinstance(answer, NotSent):
            return NeverSent(answer.reason)
        if not isinstance(answer, Answered):
            return Unknown(answer.reason, repeatable=True)
        document = document_of(answer.body)
        if answer.status == 200:
            return self._outcome(document, instruction)
        if answer.status == 400 and object_of(document.get("error")).get("code") == "forged_result":
            return ResultRefused("forged_result", "The gateway did not issue this result.")
        return Unknown(f"HTTP {answer.status}", repeatable=True)

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        outcome = self._exchange.send(
            "GET",
            f"{self._base_url}/charges/{quote(gateway_charge_id, safe='')}",
            headers=self._headers(),
            body=None,
            deadline=deadline,
        )
        if isinstance(outcome, Answered) and outcome.status == 404:
            error = object_of(document_of(outcome.body).get("error"))
            return NotFound() if error.get("code") == "no_such_charge" else Unknown("HTTP 404")
        if not isinstance(outcome, Answered) or outcome.status != 200:
            return _not_asked(outcome)
        return charge_at_bank(document_of(outcome.body), gateway_charge_id)

    def _post(self, path: str, body: dict[str, Any], deadline: Deadline, *, key: str = "") -> Exchange:
        return self._exchange.send(
            "POST",
            self._base_url + path,
            headers={**self._headers(), **({"idempotency-key": key} if key else {})},
            body=json.dumps(body).encode(),
            deadline=deadline,
        )

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self._token}", "content-type": "application/json"}

    def _judge(self, answer: Answered, instruction: Instruction) -> SubmitOutcome:
        """Map an answer to an outcome. The bank promises that its 429 and 503 come before booking, no other 5xx."""
        document = document_of(answer.body)
        if answer.status == 201:
            return self._outcome(document, instruction)
        if answer.status == 402:
            return _declined(object_of(document.get("error")))
        if answer.status in {429, 503}:
            retry_after = answer.headers.get("retry-after", "")
            return NeverSent(f"HTTP {answer.status}", int(retry_after) if retry_after.isdecimal() else None)
        if answer.status == 401:
            get_logger().error("the gateway refuses our credentials", extra={"gateway": self._name})
            return CredentialsRefused("the gateway refuses our credentials")
        if 400 <= answer.status < 500:
            if answer.status == 422:
                # Our own key with another body: a defect on one side. Only a lookup can tell what was executed.
                get_logger().error("the gateway knows our key with another request", extra={"gateway": self._name})
                return Unknown("HTTP 422")
            # Final also for a resubmission, which is made only if nothing was executed or the key is remembered.
            kind = Overtaken if object_of(document.get("error")).get("code") == "not_possible" else Declined
            return kind("rejected_by_gateway", "The gateway rejected the operation; nothing was executed.")
        # The bank stores what it booked under the key, and marks any other answer that it stores.
        kept = answer.headers.get(KEPT_HEADER, "") == "true"
        return Unknown(f"HTTP {answer.status}", repeatable=not kept)

    def _outcome(self, row: Any, instruction: Instruction) -> Succeeded | Declined | Pending | Unknown:
        row = object_of(row)
        expected = (
            instruction.gateway_reference,
            instruction.kind.value,
            instruction.money.amount_minor,
            instruction.money.currency,
        )
        if (row.get("reference"), row.get("kind"), row.get("amount_minor"), row.get("currency")) != expected:
            get_logger().error(
                "gateway answered for another operation",
                extra={"gateway": self._name, "reference": instruction.gateway_reference},
            )
            return Unknown("the answer is for another operation")
        if row.get("status") in DECIDED_AGAINST:
            code = PAYMENT_EXPIRED if row["status"] == "expired" else row.get("code") or row["status"]
            return _declined({"code": code})
        charge_id, operation_id = row.get("charge_id"), row.get("operation_id")
        if row.get("status") in HELD and isinstance(charge_id, str):
            return held_by_bank(charge_id, row)
        if row.get("status") != "succeeded" or not isinstance(charge_id, str) or not isinstance(operation_id, str):
            return Unknown("the answer is not usable", repeatable=True)
        return Succeeded(charge_id, operation_id)


def sandbox_bank_from_options(
    name: str, options: Mapping[str, Any], secrets: Mapping[str, str], clock: Clock
) -> SandboxBankGateway:
    """Return the adapter configured by one entry of PAYONCE_GATEWAYS.

    ``url`` is required. ``key_retention_seconds`` (0: keys are ignored) and ``lookup_authoritative_after_seconds``
    (30) must match the bank at that URL.
    """
    return SandboxBankGateway(
        name=name,
        base_url=str(options["url"]),
        token=secrets["sandbox_bank_api_key"],
        capabilities=GatewayCapabilities(
            key_retention_seconds=int(options.get("key_retention_seconds", 0)),
            lookup_by_reference=True,
            lookup_authoritative_after_seconds=float(options.get("lookup_authoritative_after_seconds", 30)),
            multiple_captures=True,
            operations=frozenset(OperationKind),
        ),
        exchange=DeadlineExchange(clock, max_answer_bytes=MAX_ANSWER_BYTES),
    )


def _not_asked(outcome: Exchange) -> Unknown:
    refused = isinstance(outcome, Answered) and outcome.status == 401
    return (NotAllowed if refused else Unknown)("the bank could not be asked")


def _declined(error: Mapping[str, Any]) -> Declined:
    code = error.get("code")
    return Declined(code if code in DECLINE_CODES else "declined", "The payment was declined.")
