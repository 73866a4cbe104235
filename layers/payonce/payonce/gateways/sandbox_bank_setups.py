"""Set-ups, saved methods and mandates at the sandbox bank: the requests, and what its objects say. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from payonce.domain.gateway import MethodSaved, NotFound, OperationKind, Succeeded, Unknown
from payonce.gateways.json_answers import object_of
from payonce.gateways.sandbox_bank_objects import held_by_bank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import Instruction, LookupOutcome, Pending

SAVING = frozenset({OperationKind.SETUP, OperationKind.REVOCATION})


def request_of(instruction: Instruction) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that make a set-up, or revoke a saved method."""
    if instruction.kind is OperationKind.REVOCATION:
        return f"/saved_methods/{quote(instruction.payment_method, safe='')}/revocations", {}
    told = {name: getattr(instruction, name) for name in ("payment_method", "customer", "return_url")}
    body = {name: text for name, text in told.items() if text is not None}
    return "/setups", body | {
        "method_type": instruction.payment_method_type.value,
        "payer": instruction.payer.value,
    }


def mandate_path(instruction: Instruction) -> str | None:
    """Return where a saved method's mandate is read; ``None`` where the method has none to ask for."""
    mandate_id = instruction.gateway_charge_id
    return None if mandate_id is None else f"/mandates/{quote(mandate_id, safe='')}"


def state_of_mandate(row: Mapping[str, Any], instruction: Instruction) -> LookupOutcome:
    """Return whether a saved method is revoked: a revocation is found by its effect, whoever has made it."""
    if row.get("mandate_id") != instruction.gateway_charge_id:
        return Unknown("the answer is for another mandate")
    match row.get("status"):
        case "revoked":
            return _revoked(instruction)
        case "active" | "pending":
            return NotFound()
    return Unknown("the answer is not usable")


def outcome_of_revocation(row: Mapping[str, Any], instruction: Instruction) -> Succeeded | Unknown:
    """Return what the answer to a revocation says: its ``mandate`` is revoked, or it has said nothing."""
    found = state_of_mandate(object_of(row.get("mandate")), instruction)
    return found if isinstance(found, Succeeded) else Unknown("the answer shows no revoked mandate", repeatable=True)


def outcome_of_setup(row: Mapping[str, Any], instruction: Instruction) -> MethodSaved | Pending | Unknown | None:
    """Return what a set-up's row says; ``None`` for one that was decided against."""
    named = (row.get("reference"), row.get("customer"))
    if named != (instruction.gateway_reference, instruction.customer):
        return Unknown("the answer is for another set-up")
    setup_id, status = row.get("setup_id"), row.get("status")
    if not isinstance(setup_id, str):
        return Unknown("the answer is not usable", repeatable=True)
    if status in {"requires_action", "processing"}:
        return held_by_bank(setup_id, row)
    if status in {"declined", "canceled", "expired"}:
        return None
    token, mandate = row.get("saved_method"), object_of(row.get("mandate"))
    if status != "succeeded" or not isinstance(token, str):
        return Unknown("the answer is not usable", repeatable=True)
    mandate_id = mandate.get("mandate_id")
    return MethodSaved(setup_id, setup_id, token, mandate_id if isinstance(mandate_id, str) else None)


def _revoked(instruction: Instruction) -> Succeeded:
    return Succeeded(instruction.gateway_charge_id or instruction.payment_method, instruction.payment_method)
