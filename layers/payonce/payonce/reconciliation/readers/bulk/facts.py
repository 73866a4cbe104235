"""Which plan reads a file, and what is told of a file that was read in bulk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.bulk.adyen import adyen_plan
from payonce.reconciliation.readers.bulk.generic import generic_gateway_plan
from payonce.reconciliation.readers.bulk.ledger import ledger_plan
from payonce.reconciliation.readers.bulk.stripe import stripe_plan
from payonce.reconciliation.readers.limits import MAX_FILE_BYTES, MAX_ROWS
from payonce.reconciliation.readers.rows import FileFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.bulk.plan import BulkPlan

_GATEWAY_PLANS: Mapping[FileFormat, Callable[[FirstLook], BulkPlan]] = {
    FileFormat.STRIPE_CSV: stripe_plan,
    FileFormat.ADYEN_CSV: adyen_plan,
    FileFormat.GENERIC_GATEWAY_CSV: generic_gateway_plan,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkFacts:
    """What a file that was read in bulk holds.

    ``sums``: rows and signed sum per currency, of the file's own totals or counted from its texts a second time: not
    of the table that was made. ``gateways`` are those of a ledger's rows. ``fees``, ``delays`` and ``words`` count
    charges by whole basis points and hours, and adjustments by the gateway's word.
    """

    rows: int
    sums: Mapping[str, tuple[int, int]]
    latest_ms: int = 0
    gateways: frozenset[str] = frozenset()
    fees: Mapping[int, int] = field(default_factory=dict)
    delays: Mapping[int, int] = field(default_factory=dict)
    words: Counter[str | None] = field(default_factory=Counter)


def plan_of(look: FirstLook, *, is_ledger: bool) -> BulkPlan | None:
    """Return the plan for the file, ``None`` where it is left to the readers."""
    found = ledger_plan if is_ledger else _GATEWAY_PLANS.get(look.format) if look.format else None
    if found is None or not (is_ledger or (look.size <= MAX_FILE_BYTES and look.records <= MAX_ROWS)):
        return None
    try:
        return found(look)
    except (FileRejected, ValueError):
        return None
