"""The page of one payment: where it stands, its amounts, its whole story, and the keys that an operator may release."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.views.gathering import gather
from payonce.console.views.key_rows import KeyRow, key_row
from payonce.console.views.moments import moments_of
from payonce.console.views.payments import row_of
from payonce.console.views.standing import standing_of
from payonce.payments.representation import payment_view

if TYPE_CHECKING:
    from payonce.console.views.claim_stories import Operation
    from payonce.console.views.gathering import Gathered
    from payonce.console.views.payments import PaymentRow
    from payonce.console.views.sources import Sources
    from payonce.console.views.standing import Standing
    from payonce.console.views.time_line import Moment
    from payonce.domain.dispute import Dispute
    from payonce.payments.representation import PaymentView


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSum:
    """What the payment's entries have booked on an account, in minor units of ``currency``; debits are positive."""

    currency: str
    account: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPage:
    """The page. ``payment`` is ``None`` while nothing but its claim is stored."""

    payment_id: str
    payment: PaymentView | None
    row: PaymentRow | None
    standing: Standing
    moments: tuple[Moment, ...]
    operations: tuple[Operation, ...]
    disputes: tuple[Dispute, ...]
    sums: tuple[AccountSum, ...]
    keys: tuple[KeyRow, ...]
    notes: tuple[str, ...]

    @property
    def is_balanced(self) -> bool:
        """Whether the payment's entries sum to zero in every currency."""
        totals: Counter[str] = Counter()
        for each in self.sums:
            totals[each.currency] += each.amount_minor
        return not any(totals.values())


def payment_page(sources: Sources, merchant_id: str, payment_id: str) -> PaymentPage:
    """Return the page of the merchant's payment. Raises ``NotFound``, also for another merchant's."""
    gathered = gather(sources, merchant_id, payment_id)
    view = None if gathered.payment is None else payment_view(gathered.payment)
    return PaymentPage(
        payment_id=payment_id,
        payment=view,
        row=None if view is None else row_of(view),
        standing=standing_of(gathered),
        moments=moments_of(gathered),
        operations=gathered.operations,
        disputes=gathered.disputes,
        sums=_sums(gathered),
        keys=tuple(
            key_row(claim.record, now_ms=gathered.now_ms) for claim in gathered.claims if claim.record is not None
        ),
        notes=gathered.notes,
    )


def _sums(gathered: Gathered) -> tuple[AccountSum, ...]:
    totals: Counter[tuple[str, str]] = Counter()
    for entry in gathered.entries:
        for posting in entry.postings:
            totals[entry.currency, posting.account] += posting.amount_minor
    return tuple(
        AccountSum(currency=currency, account=account, amount_minor=amount_minor)
        for (currency, account), amount_minor in sorted(totals.items())
    )
