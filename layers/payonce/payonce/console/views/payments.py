"""The list of payments: filters that are in the address, bounded pages, newest first.

A time, a reference and a customer are looked up in an index. What no index holds (status, gateway, method, currency,
amount, and a payer's token or a charge's id at the gateway) is looked for among the payments of the list: a page then
reads ``MAX_PAGES_LOOKED_THROUGH`` pages of keys at most, may be short, and says so.

Allowed: dynamodb:Query on OutboxTable's indexes events-by-merchant, payments-by-reference and payments-by-customer;
dynamodb:BatchGetItem on PaymentsTable and OutboxTable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from payonce.console.exports import MAX_PAGES, Amount, Instant, Sheet, collected
from payonce.console.views.asked import amount_of, choice_of, currency_of, field_of, moment_of, text_of
from payonce.domain.errors import BodyMalformed
from payonce.domain.gateway import PaymentMethodType
from payonce.domain.payment import PaymentStatus
from payonce.payments.payment_reads import MAX_PAGES_LOOKED_THROUGH, PaymentFilter, list_payments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.console.views.sources import Sources
    from payonce.domain.payment import Payment
    from payonce.paging import Listing
    from payonce.payments.representation import PaymentView

PAGE_ROWS: Final = 50
EXPORT_PAGE_ROWS: Final = 100
# Pages of a file for which payments are looked through, 500 for each: about 240 round trips, a second or two.
LOOKED_THROUGH_PAGES: Final = 8
FILTERS: Final = (
    "status", "gateway", "method", "currency", "min", "max", "from", "until", "customer", "reference", "payer",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ListedFilter(PaymentFilter):
    """Which payments the page lists; ``None`` does not restrict. Amounts are minor units, both bounds included.

    ``payer`` is a payment-method token, or the charge's id at the gateway: neither has an index.
    """

    gateway: str | None = None
    method: PaymentMethodType | None = None
    currency: str | None = None
    min_minor: int | None = None
    max_minor: int | None = None
    payer: str | None = None

    def listing(self, merchant_id: str) -> Listing:
        """See ``PaymentFilter``."""
        bounds = [None if minor is None else str(minor) for minor in (self.min_minor, self.max_minor)]
        of_payments = super().listing(merchant_id)
        return ("console", *of_payments, self.gateway, self.method, self.currency, *bounds, self.payer)

    @property
    def is_looked_for(self) -> bool:
        """See ``PaymentFilter``."""
        others = (self.gateway, self.method, self.currency, self.min_minor, self.max_minor, self.payer)
        return super().is_looked_for or any(wanted is not None for wanted in others)

    def takes(self, payment: Payment) -> bool:
        """See ``PaymentFilter``."""
        return (
            super().takes(payment)
            and self.gateway in (None, payment.gateway)
            and self.method in (None, payment.payment_method_type)
            and self.currency in (None, payment.currency)
            and (self.min_minor is None or payment.amount_minor >= self.min_minor)
            and (self.max_minor is None or payment.amount_minor <= self.max_minor)
            and self.payer in (None, payment.payment_method, payment.gateway_charge_id)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRow:
    """A payment as the list shows it. Amounts are minor units of ``currency``."""

    payment_id: str
    status: PaymentStatus
    amount_minor: int
    refunded_minor: int
    disputed_minor: int
    currency: str
    gateway: str
    method: str
    payer: str
    reference: str
    customer: str
    decline_code: str
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentsPage:
    """A page of the list. ``filters`` are the given ones, as they stand in the address.

    ``next_cursor`` is ``None`` on the last page. ``looked_through``: how many payments at most were read to find the
    rows, 0 where an index names them all.
    """

    rows: tuple[PaymentRow, ...]
    filters: Mapping[str, str]
    next_cursor: str | None
    looked_through: int
    is_first: bool

    @property
    def next_query(self) -> Mapping[str, str] | None:
        """The query of the next page."""
        return None if self.next_cursor is None else {**self.filters, "cursor": self.next_cursor}


def payments_page(sources: Sources, merchant_id: str, query: Mapping[str, str]) -> PaymentsPage:
    """Return a page of ``PAGE_ROWS``. Raises ``BodyMalformed`` for a filter or a cursor that is none."""
    wanted = filter_of(query)
    cursor = text_of(query, "cursor")
    rows, next_cursor = _read(sources, merchant_id, wanted, cursor, PAGE_ROWS)
    return PaymentsPage(
        rows=tuple(rows),
        filters=_shown(query, wanted),
        next_cursor=next_cursor,
        looked_through=MAX_PAGES_LOOKED_THROUGH * PAGE_ROWS if wanted.is_looked_for else 0,
        is_first=cursor is None,
    )


def payments_sheet(sources: Sources, merchant_id: str, query: Mapping[str, str]) -> tuple[Sheet, str | None]:
    """Return the list from the query's cursor on as a table to be saved, and the cursor of the next part."""
    wanted = filter_of(query)
    rows, next_cursor = collected(
        lambda cursor: _read(sources, merchant_id, wanted, cursor, EXPORT_PAGE_ROWS),
        text_of(query, "cursor"),
        most_pages=LOOKED_THROUGH_PAGES if wanted.is_looked_for else MAX_PAGES,
    )
    columns = (
        ("payment", 32), ("status", 18), ("amount", 14), ("refunded", 14), ("disputed", 14), ("currency", 8),
        ("gateway", 14), ("method", 14), ("payer", 24), ("reference", 24), ("customer", 24), ("decline code", 18),
        ("created", 20), ("updated", 20),
    )  # fmt: skip
    cells = [
        (
            row.payment_id, row.status.value, Amount(row.amount_minor, row.currency),
            Amount(row.refunded_minor, row.currency), Amount(row.disputed_minor, row.currency), row.currency,
            row.gateway, row.method, row.payer, row.reference, row.customer, row.decline_code,
            Instant(row.created_at_ms), Instant(row.updated_at_ms),
        )
        for row in rows
    ]  # fmt: skip
    return Sheet("Payments", columns, cells), next_cursor


def filter_of(query: Mapping[str, str]) -> ListedFilter:
    """Return the filter of the address. Raises ``BodyMalformed``, naming the parameter."""
    currency = currency_of(query)
    wanted = ListedFilter(
        status=choice_of(query, "status", PaymentStatus),
        gateway=text_of(query, "gateway"),
        method=choice_of(query, "method", PaymentMethodType),
        currency=currency,
        min_minor=amount_of(query, "min", currency),
        max_minor=amount_of(query, "max", currency),
        created_from_ms=moment_of(query, "from"),
        created_until_ms=moment_of(query, "until", is_end=True),
        customer=text_of(query, "customer"),
        reference=text_of(query, "reference"),
        payer=text_of(query, "payer"),
    )
    _check_order(wanted.min_minor, wanted.max_minor, "The least amount is larger than the largest.")
    _check_order(wanted.created_from_ms, wanted.created_until_ms, "The time range ends before it begins.")
    return wanted


def _shown(query: Mapping[str, str], wanted: ListedFilter) -> dict[str, str]:
    """Return the filters as they stand in the form: a time in the form that its field can show."""
    given = {name: query[name].strip() for name in FILTERS if query.get(name, "").strip()}
    times = {"from": wanted.created_from_ms, "until": wanted.created_until_ms}
    return given | {name: field_of(moment_ms) for name, moment_ms in times.items() if moment_ms is not None}


def _check_order(least: int | None, most: int | None, otherwise: str) -> None:
    if least is not None and most is not None and least > most:
        raise BodyMalformed(otherwise)


def _read(
    sources: Sources, merchant_id: str, wanted: ListedFilter, cursor: str | None, limit: int
) -> tuple[Sequence[PaymentRow], str | None]:
    page = list_payments(sources.payments, merchant_id, limit=limit, cursor=cursor, wanted=wanted)
    views = cast("list[PaymentView]", page["data"])
    return [row_of(view) for view in views], page.get("next_cursor")


def row_of(view: PaymentView | Mapping[str, Any]) -> PaymentRow:
    """Return the row of a payment's view."""
    return PaymentRow(
        payment_id=view["id"],
        status=PaymentStatus(view["status"]),
        amount_minor=view["amount_minor"],
        refunded_minor=view["refunded_minor"],
        disputed_minor=view["disputed_minor"],
        currency=view["currency"],
        gateway=view["gateway"],
        method=view["payment_method_type"],
        payer=view["payment_method"],
        reference=view["reference"] or "",
        customer=view["customer"] or "",
        decline_code=view["decline_code"] or "",
        created_at_ms=view["created_at_ms"],
        updated_at_ms=view["updated_at_ms"],
    )
