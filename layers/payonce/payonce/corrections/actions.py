"""What may be done about each class of break, as data. What is not in the table is for a person."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(StrEnum):
    """What corrects a break."""

    GIVE_BACK_SURPLUS = "give_back_surplus"  # void or refund a charge that our books do not know
    REFUND_PAYMENT = "refund_payment"  # refund a payment of ours, as a merchant would
    REVERSE_POSTING = "reverse_posting"  # book the reversal of an entry that was booked twice; no gateway takes part
    MANUAL = "manual"  # nothing that a program could do by itself


ACTIONS: Mapping[BreakClass, Action] = MappingProxyType(
    {
        BreakClass.DUPLICATE_CAPTURE: Action.GIVE_BACK_SURPLUS,
        BreakClass.DOUBLE_CHARGE: Action.REFUND_PAYMENT,
        BreakClass.DUPLICATE_POSTING: Action.REVERSE_POSTING,
    }
)


def action_for(break_class: BreakClass) -> Action:
    """Return the action of a class. A class without one is manual."""
    return ACTIONS.get(break_class, Action.MANUAL)
