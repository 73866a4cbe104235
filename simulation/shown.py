"""Outcomes in the words of a run's history."""

from __future__ import annotations

from payonce.domain.gateway import ChargeState, Succeeded, Unknown


def shown(outcome: object) -> str:
    """Return what an outcome says."""
    match outcome:
        case Succeeded(charge_id, _):
            return f"succeeded {charge_id}"
        case Unknown(reason, repeatable):
            return f"unknown ({reason}{'' if repeatable else ', not to be repeated'})"
        case ChargeState(captured_minor=captured, refunded_minor=refunded):
            return f"captured {captured}, refunded {refunded}"
    return type(outcome).__name__.lower()
