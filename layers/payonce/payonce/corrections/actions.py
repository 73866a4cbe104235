"""The table of corrective actions per break class. A class that is not in the table is left to a person."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from payonce.reconciliation.taxonomy import BreakClass

if TYPE_CHECKING:
    from collections.abc import Mapping


class Action(StrEnum):
    """The kind of action that corrects a break."""

    GIVE_BACK_SURPLUS = "give_back_surplus"  # void or refund a charge that our ledger does not have
    REFUND_PAYMENT = "refund_payment"  # refund one of our payments, as a merchant would
    REVERSE_POSTING = "reverse_posting"  # reverse an entry that was booked twice, without any gateway
    MANUAL = "manual"  # a person has to act


ACTIONS: Mapping[BreakClass, Action] = MappingProxyType(
    {
        BreakClass.DUPLICATE_CAPTURE: Action.GIVE_BACK_SURPLUS,
        BreakClass.DOUBLE_CHARGE: Action.REFUND_PAYMENT,
        BreakClass.DUPLICATE_POSTING: Action.REVERSE_POSTING,
    }
)


def action_for(break_class: BreakClass) -> Action:
    """Return the action for a break class, ``MANUAL`` if the table has none."""
    return ACTIONS.get(break_class, Action.MANUAL)
