"""What became of an instruction by Adyen's kept notifications: Adyen offers no other way to ask. See docs/adr/0040.

::

    payment,      authorised by any ────▶ Succeeded      a refusal may come before it, never after
                  refused or closed ────▶ Declined
    set-up
    modification  failed by any ────────▶ Declined       a card scheme may reject what had succeeded
                  executed ─────────────▶ Succeeded
    none          held by Adyen ────────▶ AwaitsPayer or Pending, as before
                  otherwise ────────────▶ NotFound       never final: a notification may be late by days
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, MethodSaved, NotFound, OperationKind, Pending, Succeeded, Unknown
from payonce.gateways.adyen_tokens import executed as at_gateway
from payonce.gateways.declines import DECLINED, declined
from payonce.observability import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import Instruction, LookupOutcome, NoticeOutcome

AUTHORISED = frozenset({OperationKind.PAYMENT, OperationKind.SETUP})
STILL_HELD = "no notification has told of its end"


def names_of(instruction: Instruction) -> list[str]:
    """Return the names under which notifications tell of this instruction."""
    named = (instruction.gateway_reference, instruction.gateway_operation_id)
    return [name for name in named if name is not None]


def found_among(instruction: Instruction, outcomes: Sequence[NoticeOutcome], *, gateway: str) -> LookupOutcome:
    """Return what ``outcomes``, oldest first, say about the instruction."""
    told = [outcome for outcome in outcomes if outcome.kind is instruction.kind]
    if not told:
        return _held(instruction)
    if instruction.kind is not OperationKind.VOID and any(not _agrees(instruction, outcome) for outcome in told):
        # The reference is ours, and it is never used twice: somebody else uses the same account, or Adyen is wrong.
        _log("gateway told of another operation", instruction, gateway, told)
        return Unknown("a notification is for another operation")
    executed = [outcome for outcome in told if outcome.executed]
    refused = [outcome for outcome in told if not outcome.executed]
    if instruction.kind is OperationKind.SETUP and any(outcome.undone for outcome in told):
        return declined(DECLINED)  # it was authorised, and nothing could be stored
    if instruction.kind in AUTHORISED:
        ids = list(dict.fromkeys(outcome.gateway_operation_id for outcome in executed))
        if len(ids) > 1:
            _log("duplicate booking at gateway", instruction, gateway, executed)
        token = next((outcome.token for outcome in executed if outcome.token is not None), None)
        if ids and token is not None:
            return MethodSaved(ids[0], ids[0], token)
        return at_gateway(instruction, ids[0], {}) if ids else declined(refused[-1].code)
    if refused:
        return declined(refused[-1].code)
    return Succeeded(instruction.gateway_charge_id or "", executed[0].gateway_operation_id)


def _held(instruction: Instruction) -> LookupOutcome:
    """Return that nothing was told. What Adyen is known to hold stays as it was."""
    if instruction.kind in AUTHORISED:
        if instruction.gateway_charge_id is not None:
            return AwaitsPayer(instruction.gateway_charge_id, STILL_HELD)
    elif instruction.gateway_operation_id is not None:
        return Pending(instruction.gateway_operation_id, STILL_HELD)
    return NotFound()


def _agrees(instruction: Instruction, outcome: NoticeOutcome) -> bool:
    money = instruction.money
    return (outcome.amount_minor, outcome.currency) == (money.amount_minor, money.currency)


def _log(message: str, instruction: Instruction, gateway: str, told: Sequence[NoticeOutcome]) -> None:
    get_logger().error(
        message,
        extra={
            "gateway": gateway,
            "reference": instruction.gateway_reference,
            "ids": [outcome.gateway_operation_id for outcome in told],
        },
    )
