"""The gateway adapter of the sandbox bank. It is also an example of an adapter for a plain HTTP gateway."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    CANCELED,
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
    ResultRefused,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.declines import not_withdrawn
from payonce.gateways.json_answers import document_of, object_of
from payonce.gateways.sandbox_bank_answers import judge, outcome_of
from payonce.gateways.sandbox_bank_objects import charge_at_bank
from payonce.gateways.sandbox_bank_setups import (
    SAVING,
    mandate_path,
    request_of,
    state_of_mandate,
)
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Exchange
    from payonce.ports import Clock, Deadline

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
        if instruction.kind in SAVING:
            path, more = request_of(instruction)
            body |= more
        elif instruction.kind is OperationKind.PAYMENT:
            path = "/charges"
            body["currency"] = instruction.money.currency
            body["payment_method"] = instruction.payment_method
            body["capture"] = instruction.capture_method.value
            body["method_type"] = instruction.payment_method_type.value
            body["payer"] = instruction.payer.value
            told = {name: getattr(instruction, name) for name in ("return_url", "customer", "description")}
            body |= {name: text for name, text in told.items() if text is not None}
            body |= {"save_method": True} if instruction.saves_method and instruction.customer is not None else {}
        else:
            path = f"/charges/{instruction.gateway_charge_id}/{_PATHS[instruction.kind]}"
        if instruction.kind not in SAVING:
            body["amount_minor"] = instruction.money.amount_minor
        outcome = self._post(path, body, deadline, key=instruction.gateway_reference)
        match outcome:
            case NotSent(reason):
                return NeverSent(reason)
            case Lost(reason):
                return Unknown(reason, repeatable=True)
            case Answered():
                return judge(outcome, instruction, self._name)

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``. Several bookings under one reference are the bank's error, and are logged as such.

        A revocation is found by its effect: the mandate is revoked, whoever has revoked it.
        """
        if instruction.kind is OperationKind.REVOCATION:
            return self._find_revocation(instruction, deadline)
        listed = "setups" if instruction.kind is OperationKind.SETUP else "operations"
        outcome = self._get(f"/{listed}?reference={instruction.gateway_reference}", deadline)
        if not isinstance(outcome, Answered) or outcome.status != 200:
            return _not_asked(outcome)
        operations = document_of(outcome.body).get(listed)
        if not isinstance(operations, list):
            return Unknown("the bank's answer is not usable")
        if not operations:
            return NotFound()
        of_kind = [row for row in operations if object_of(row).get("kind") == instruction.kind.value]
        operations = of_kind or operations  # a list of set-ups has nothing else, and names no kind
        succeeded = [row for row in operations if isinstance(row, dict) and row.get("status") == "succeeded"]
        if len(succeeded) > 1:
            get_logger().error(
                "duplicate booking at gateway",
                extra={"gateway": self._name, "reference": instruction.gateway_reference, "count": len(succeeded)},
            )
        return outcome_of((succeeded or operations)[0], instruction, self._name)

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. A payment that can't be canceled any more is looked up."""
        if instruction.kind is OperationKind.SETUP:
            path, body = (
                f"/setups/{waiting.gateway_object_id}/cancellations",
                {"reference": instruction.gateway_reference},
            )
        else:
            path, body = f"/charges/{waiting.gateway_object_id}/cancellations", {}
        answer = self._post(path, body, deadline)
        if isinstance(answer, Answered) and answer.status == 201:
            return Declined(CANCELED, "The payment was canceled.")
        if isinstance(answer, Answered) and answer.status == 409:
            found = self.find(instruction, deadline)
            if isinstance(found, Succeeded | Declined) or type(found) is Pending:
                return found
        refused = isinstance(answer, Answered) and answer.status in {401, 403}
        return not_withdrawn(waiting) if refused else waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``."""
        held = "setups" if instruction.kind is OperationKind.SETUP else "charges"
        path = f"/{held}/{waiting.gateway_object_id}/confirmations"
        answer = self._post(path, {"payment_result": result}, deadline)
        if isinstance(answer, NotSent):
            return NeverSent(answer.reason)
        if not isinstance(answer, Answered):
            return Unknown(answer.reason, repeatable=True)
        document = document_of(answer.body)
        if answer.status == 200:
            return outcome_of(document, instruction, self._name)
        if answer.status == 400 and object_of(document.get("error")).get("code") == "forged_result":
            return ResultRefused("forged_result", "The gateway did not issue this result.")
        return Unknown(f"HTTP {answer.status}", repeatable=True)

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``."""
        outcome = self._get(f"/charges/{quote(gateway_charge_id, safe='')}", deadline)
        if isinstance(outcome, Answered) and outcome.status == 404:
            error = object_of(document_of(outcome.body).get("error"))
            return NotFound() if error.get("code") == "no_such_charge" else Unknown("HTTP 404")
        if not isinstance(outcome, Answered) or outcome.status != 200:
            return _not_asked(outcome)
        return charge_at_bank(document_of(outcome.body), gateway_charge_id)

    def _find_revocation(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        path = mandate_path(instruction)
        if path is None:
            return Unknown("the bank keeps no mandate of this method")
        outcome = self._get(path, deadline)
        if not isinstance(outcome, Answered) or outcome.status != 200:
            return _not_asked(outcome)
        return state_of_mandate(document_of(outcome.body), instruction)

    def _get(self, path: str, deadline: Deadline) -> Exchange:
        return self._exchange.send("GET", self._base_url + path, headers=self._headers(), body=None, deadline=deadline)

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
