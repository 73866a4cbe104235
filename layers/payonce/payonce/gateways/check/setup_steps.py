"""What the checks of set-ups have in common: a method is saved, and charged while the payer is absent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.gateway import AwaitsPayer, MethodSaved, NeverSent, Payer, Unknown
from payonce.gateways.check.stage import BrokenError, told
from payonce.gateways.check.vendor import Token

if TYPE_CHECKING:
    from payonce.domain.gateway import Instruction
    from payonce.gateways.check.stage import Stage


def is_saved(outcome: object) -> MethodSaved:
    """Return the outcome of a set-up that has saved a method. Raises ``BrokenError`` for any other."""
    if not isinstance(outcome, MethodSaved):
        raise BrokenError(f"the set-up ended as {told(outcome)}, not as MethodSaved")
    return outcome


def saved_by(stage: Stage, setup: Instruction) -> MethodSaved:
    """Return what the set-up saves, once its payer has agreed where the vendor asks."""
    return is_saved(stage.drive(setup, stage.submit(setup)))


def absent_charge(stage: Stage, setup: Instruction, saved: MethodSaved) -> tuple[Instruction, object]:
    """Charge the saved method while the payer is absent."""
    first = stage.payment(payer=Payer.ABSENT, payment_method=saved.token, method_type=setup.payment_method_type)
    charge = replace(first, customer=setup.customer)
    return charge, stage.drive(charge, stage.submit(charge))


def waiting_setup(stage: Stage, token: Token = Token.NEEDS_PAYER) -> tuple[Instruction, AwaitsPayer]:
    """Return a set-up that waits for its payer."""
    setup = stage.setup(token)
    outcome = stage.submit(setup)
    if not isinstance(outcome, AwaitsPayer) or outcome.action is None:
        raise BrokenError(f"a set-up that needs its payer ended as {told(outcome)}")
    return setup, outcome


def recovered(stage: Stage, setup: Instruction, doubt: object, *, executed: bool) -> object:
    """Return what recovery learns: it repeats what may be repeated, and asks otherwise. ``None``: it can do neither."""
    honours = stage.capabilities.key_retention_seconds > 0
    if isinstance(doubt, NeverSent) or (isinstance(doubt, Unknown) and doubt.repeatable and honours):
        return stage.submit(setup)
    if not stage.capabilities.lookup_by_reference:
        return None
    return stage.known(setup) if executed else stage.find(setup)
