"""What a run has to say of payouts that it matched by more than a name, or could not check. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from payonce.reconciliation.readers.values import grouped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_TEXTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sum": "Payouts of gateway {gateway!r} found as parts of bank lines that name none, by the only sums that fit: "
        "{rows:,}, together {amount} {currency}.",
        "in_order": "Equal payouts of gateway {gateway!r} taken in the order of as many equal bank lines that name "
        "none: {rows:,}, together {amount} {currency}.",
        "memberless": "Payouts of gateway {gateway!r} that no other row of its reports names, so that what they are "
        "made of was not checked: {rows:,}, together {amount} {currency}.",
    }
)


@dataclass(frozen=True, slots=True)
class BankFact:
    """How many payouts of a gateway and currency it is about, and their sum. ``how`` is a key of the texts."""

    how: str
    gateway: str
    currency: str
    rows: int
    amount_minor: int


def bank_remarks(facts: Iterable[BankFact]) -> tuple[str, ...]:
    """Return a sentence for each, in a fixed order."""
    return tuple(
        _TEXTS[one.how].format(
            rows=one.rows, gateway=one.gateway, currency=one.currency, amount=grouped(one.amount_minor, one.currency)
        )
        for one in sorted(facts, key=lambda fact: (fact.how, fact.gateway, fact.currency))
    )
