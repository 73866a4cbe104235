"""A template: the adapter of Toypay, a vendor that does not exist, whose API is as plain as a vendor's can be.

Copy it, and go through it from top to bottom: each place at which an author decides something about money says what
is decided there and from which sentence of the vendor's documents. docs/how-to-add-a-gateway.md explains each outcome.
Toypay's documents are the docstring of ``template_server``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.exchange import Answered, Lost, NotSent
from payonce.domain.gateway import (
    CANCELED,
    MONEY_OPERATIONS,
    ActionType,
    AwaitsPayer,
    ChargeOutcome,
    ChargeRefund,
    ChargeState,
    Declined,
    GatewayCapabilities,
    Instruction,
    LookupOutcome,
    NeverSent,
    NextAction,
    NotFound,
    OperationKind,
    PaymentMethodType,
    Pending,
    SubmitOutcome,
    Succeeded,
    Unknown,
    WithdrawOutcome,
)
from payonce.gateways.deadline_exchange import DeadlineExchange
from payonce.gateways.declines import DECLINED, REJECTED, declined, overtaken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.exchange import Exchange
    from payonce.ports import Clock, Deadline

MAX_ANSWER_BYTES = 256 * 1024
# Every capability is a sentence of the vendor's documents. One that is not there is not claimed.
TOYPAY_CAPABILITIES = GatewayCapabilities(
    key_retention_seconds=86_400,  # "A key is remembered for 24 hours."
    lookup_by_reference=True,  # "GET /payments?reference= lists the payments of a reference."
    # "A payment is listed as soon as it is answered." A request that is still on its way at our deadline may be
    # executed later; Toypay ends every request after 10 seconds, and this is three times as long.
    lookup_authoritative_after_seconds=30,
    multiple_captures=True,  # "An authorization can be captured in several parts."
    operations=MONEY_OPERATIONS,
    payment_method_types=frozenset({PaymentMethodType.CARD, PaymentMethodType.BANK_DEBIT}),
)
# The vendor's codes become payonce's closed list (``declines``). What is not listed is a plain "declined": a vendor's
# own words may tell a thief which card to try next.
DECLINE_CODES: Mapping[object, str] = {"insufficient_funds": "insufficient_funds", "expired_card": "expired_card"}
_PATHS = {OperationKind.CAPTURE: "captures", OperationKind.VOID: "voids", OperationKind.REFUND: "refunds"}
_SUCCEEDED = frozenset({"authorized", "paid", "done"})


class ToypayGateway:
    """The Gateway port over Toypay's API. Thread-safe: it keeps no state of a call."""

    def __init__(
        self, name: str, url: str, api_key: str, clock: Clock, capabilities: GatewayCapabilities = TOYPAY_CAPABILITIES
    ) -> None:
        self._name = name
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._capabilities = capabilities
        # It ends by the deadline whatever the vendor does, follows no redirect, repeats nothing by itself, and knows
        # whether a byte was sent. An official library is used over it where that library's transport can be replaced.
        self._exchange = DeadlineExchange(clock, max_answer_bytes=MAX_ANSWER_BYTES)

    @property
    def name(self) -> str:
        """See ``Gateway``."""
        return self._name

    @property
    def capabilities(self) -> GatewayCapabilities:
        """See ``Gateway``."""
        return self._capabilities

    def submit(self, instruction: Instruction, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. One request, and none after it: what is left open is for ``find``."""
        body: dict[str, Any] = {
            "reference": instruction.gateway_reference,  # stored at the vendor: this is how a lost answer is found
            "amount_minor": instruction.money.amount_minor,
        }
        path = "/payments"
        if instruction.kind is OperationKind.PAYMENT:
            body |= {
                "currency": instruction.money.currency,
                "method": instruction.payment_method_type.value,
                "token": instruction.payment_method,
                "capture": instruction.capture_method.value,
                "payer": instruction.payer.value,
                "return_url": instruction.return_url,
                "description": instruction.description,  # and what else of ``Instruction`` the vendor can use
            }
        else:
            path = f"/payments/{quote(instruction.gateway_charge_id or '', safe='')}/{_PATHS[instruction.kind]}"
        exchange = self._send("POST", path, deadline, body, key=instruction.gateway_reference)
        match exchange:
            case NotSent(reason):
                return NeverSent(reason)  # not a byte was sent
            case Lost(reason):
                # It may have arrived. The key answers a repeated request with the first result, so repeating can help.
                return Unknown(reason, repeatable=True)
            case Answered():
                return self._judge(exchange, instruction)

    def _judge(self, answer: Answered, instruction: Instruction) -> SubmitOutcome:
        """Map a status to an outcome: what the vendor documents as a refusal is one, and all else is a doubt."""
        document = _document(answer.body)
        error = document.get("error")
        match answer.status, error:
            case 201, _:
                return self._outcome(document, instruction)
            case 402, str():
                return declined(DECLINE_CODES.get(error, DECLINED))
            case 429 | 401 | 403, _:
                # "Requests over the limit, and without a valid key, are refused before anything is done." The payer is
                # not told about our credentials: this is no decline.
                retry_after = answer.headers.get("retry-after", "")
                return NeverSent(f"HTTP {answer.status}", int(retry_after) if retry_after.isdecimal() else None)
            case 409, "wrong_state":
                # Our own earlier request would have been answered by its key, so it was somebody else.
                return overtaken(REJECTED)
            case 409, "in_progress":
                return Unknown("the first request is still being executed", repeatable=True)
            case 422, "key_reused":
                return Unknown("the gateway knows our key with another request")  # a defect on one of the two sides
            case ((400 | 404), str()):
                return declined(REJECTED)
            case _:
                # The documents do not explain it, or it is an answer of something between. "What was answered with
                # Toypay-Kept is answered again": only a new reference can then succeed.
                return Unknown(f"HTTP {answer.status}", repeatable=answer.headers.get("toypay-kept") != "true")

    def find(self, instruction: Instruction, deadline: Deadline) -> LookupOutcome:
        """See ``Gateway``. Only a complete answer that says so is ``NotFound``; an error is ``Unknown``."""
        charge_id = instruction.gateway_charge_id
        if charge_id is None:
            path = f"/payments?reference={quote(instruction.gateway_reference, safe='')}"
        else:
            path = f"/payments/{quote(charge_id, safe='')}"
        answer = self._send("GET", path, deadline)
        if not isinstance(answer, Answered) or answer.status != 200:
            return Unknown("the gateway could not be asked")
        document = _document(answer.body)
        if instruction.kind is OperationKind.PAYMENT and charge_id is not None:
            return self._outcome(document, instruction)
        rows = document.get("payments" if instruction.kind is OperationKind.PAYMENT else "operations")
        if not isinstance(rows, list):
            return Unknown("the answer is not usable")
        mine = [row for row in rows if _is_for(row, instruction)]
        return self._outcome(mine[0], instruction) if mine else NotFound()

    def withdraw(self, instruction: Instruction, waiting: AwaitsPayer, deadline: Deadline) -> WithdrawOutcome:
        """See ``Gateway``. It is declined only when the vendor says that the payer can't pay any more."""
        path = f"/payments/{quote(waiting.gateway_object_id, safe='')}/cancel"
        answer = self._send("POST", path, deadline, {})
        if isinstance(answer, Answered) and answer.status == 201 and _document(answer.body).get("status") == "canceled":
            return declined(CANCELED)
        if isinstance(answer, Answered) and answer.status == 409:  # the payer was faster, or it was declined meanwhile
            found = self.find(instruction, deadline)
            if isinstance(found, Succeeded | Declined) or type(found) is Pending:
                return found
        return waiting

    def confirm(self, instruction: Instruction, waiting: AwaitsPayer, result: str, deadline: Deadline) -> SubmitOutcome:
        """See ``Gateway``. Toypay goes on by itself once the payer has acted, so there is nothing to confirm.

        A vendor with a second step is sent ``result`` here, as ``SandboxBankGateway.confirm`` does it.
        """
        del instruction, result, deadline
        return waiting

    def read_charge(self, gateway_charge_id: str, deadline: Deadline) -> ChargeOutcome:
        """See ``Gateway``. All amounts are what the vendor says now, whoever caused them."""
        answer = self._send("GET", f"/payments/{quote(gateway_charge_id, safe='')}", deadline)
        if not isinstance(answer, Answered):
            return Unknown(answer.reason)
        document = _document(answer.body)
        if answer.status == 404 and document.get("error") == "no_such_payment":
            return NotFound()  # the vendor's own 404: a proxy's would be Unknown
        amounts = [document.get(name) for name in ("captured_minor", "refunded_minor")]
        refunds = _refunds(document.get("operations"))
        is_whole = document.get("id") == gateway_charge_id and all(type(amount) is int for amount in amounts)
        if answer.status != 200 or not is_whole or refunds is None:
            return Unknown("the answer is not usable")
        return ChargeState(
            captured_minor=int(document["captured_minor"]),
            refunded_minor=int(document["refunded_minor"]),
            voided=document.get("status") == "voided",
            currency=str(document.get("currency")),
            refunds=refunds,
            gateway_reference=document.get("reference"),
        )

    def _outcome(self, row: Mapping[str, Any], instruction: Instruction) -> Succeeded | Declined | Pending | Unknown:
        """Return what an object of the vendor's says. It has to be ours: an answer can belong to another request."""
        if not _is_for(row, instruction):
            return Unknown("the answer is for another operation", repeatable=True)
        identity, status = row.get("id"), row.get("status")
        charge_id = identity if instruction.kind is OperationKind.PAYMENT else row.get("payment_id")
        if not isinstance(identity, str) or not isinstance(charge_id, str):
            return Unknown("the answer is not usable", repeatable=True)
        if status in _SUCCEEDED:
            return Succeeded(charge_id, identity)
        if status in {"declined", "canceled"}:
            return declined(CANCELED if status == "canceled" else DECLINED)
        if status == "processing":
            return Pending(identity, "processing")
        if status == "open":
            url = row.get("checkout_url")
            return AwaitsPayer(identity, "open", NextAction(type=ActionType.REDIRECT, url=url) if url else None)
        return Unknown(f"the status is {status}", repeatable=True)  # the vendor may add one tomorrow

    def _send(
        self, method: str, path: str, deadline: Deadline, body: dict[str, Any] | None = None, *, key: str = ""
    ) -> Exchange:
        headers = {"authorization": f"Bearer {self._api_key}", "content-type": "application/json"}
        return self._exchange.send(
            method,
            self._url + path,
            headers={**headers, **({"idempotency-key": key} if key else {})},
            body=None if body is None else json.dumps(body).encode(),
            deadline=deadline,
        )


def _is_for(row: object, instruction: Instruction) -> bool:
    if not isinstance(row, dict):
        return False
    ours = (instruction.gateway_reference, instruction.kind.value, instruction.money.amount_minor)
    currency = instruction.money.currency
    return (row.get("reference"), row.get("kind"), row.get("amount_minor")) == ours and row.get("currency") == currency


def _refunds(operations: object) -> tuple[ChargeRefund, ...] | None:
    """Return each refund by the id with which it succeeds (``_outcome``); ``None`` where they can't be read."""
    if not isinstance(operations, list):
        return None
    rows = [row for row in operations if isinstance(row, dict) and row.get("kind") == "refund"]
    if not all(isinstance(row.get("id"), str) and type(row.get("amount_minor")) is int for row in rows):
        return None
    return tuple(
        ChargeRefund(
            gateway_refund_id=row["id"],
            amount_minor=row["amount_minor"],
            gateway_reference=row.get("reference"),
            came_back=row.get("status") == "returned",  # "A refund that came back is returned instead of done."
        )
        for row in rows
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
