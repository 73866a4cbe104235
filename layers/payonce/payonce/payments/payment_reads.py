"""Reads payments, pages of payments, a payment's history and balances, always within one merchant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypedDict

from payonce.domain.errors import NotFound
from payonce.merged_lists import LAST, just_before
from payonce.outbox import FIRSTS, is_event, keys_by_customer, keys_by_reference, listed_keys, opened
from payonce.paging import ListView, every_item, make_cursor, read_cursor
from payonce.payments.journal import ACCOUNT_PREFIX, BALANCE_PARTITIONS, SPREAD_COUNTERS, balance_partition, entry_of
from payonce.payments.planning import load_payment
from payonce.payments.representation import DisputeView, OperationView, PaymentView, payment_view
from payonce.payments.stored_payments import find_payments
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.domain.payment import Payment, PaymentStatus
    from payonce.paging import Listing
    from payonce.payments.payment_work import Services
    from payonce.ports import Database, Item, Page

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100  # about 100 KB, far below the limits of a query and of API Gateway
MAX_PAGES_LOOKED_THROUGH = 5  # for a status: up to 500 payments, some 60 ms and 250 read units
HISTORY_PAGE_SIZE = 1000  # only a bound: a payment has a handful of changes


class PostingView(TypedDict):
    """A line of a journal entry. Debits are positive."""

    account: str
    amount_minor: int


class JournalEntryView(TypedDict):
    """What a change booked. The postings sum to zero."""

    id: str
    postings: list[PostingView]


class PaymentChangeView(TypedDict):
    """A change of a payment: its event, and what was booked with it."""

    sequence: int
    event_id: str
    type: Annotated[str, "The event's type: docs/events.md."]
    created_at_ms: int
    data: PaymentView | OperationView | DisputeView
    journal_entry: JournalEntryView | None


class BalanceView(TypedDict):
    """What an account holds of a currency. Debits are positive."""

    currency: str
    account: str
    balance_minor: int


def get_payment(services: Services, merchant_id: str, payment_id: str) -> PaymentView:
    """Return the payment's view. Raises ``NotFound``."""
    return payment_view(load_payment(services, merchant_id, payment_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFilter:
    """Which payments are listed; ``None`` does not restrict. Times are epoch milliseconds, both included."""

    reference: str | None = None
    customer: str | None = None
    status: PaymentStatus | None = None
    created_from_ms: int | None = None
    created_until_ms: int | None = None

    def listing(self, merchant_id: str) -> Listing:
        """Return the name of the list, to which its cursors are bound."""
        bounds = [None if at_ms is None else str(at_ms) for at_ms in (self.created_from_ms, self.created_until_ms)]
        return ("payments", merchant_id, self.reference, self.customer, self.status, *bounds)

    @property
    def is_looked_for(self) -> bool:
        """Whether payments of the list have to be read to know whether they are wanted."""
        return self.status is not None or (self.reference is not None and self.customer is not None)

    def takes(self, payment: Payment) -> bool:
        """Return whether a payment of the list is wanted."""
        named = self.reference in (None, payment.reference) and self.customer in (None, payment.customer)
        return named and self.status in (None, payment.status)


def list_payments(
    services: Services,
    merchant_id: str,
    *,
    limit: int,
    cursor: str | None,
    wanted: PaymentFilter = PaymentFilter(),
) -> ListView:
    """Return a page of payments, newest first, and the cursor of the next page.

    A reference, a customer and a time are looked up; a status is looked for among the payments of the list, and so is a
    customer among those with the reference. One page reads a bounded number of them. Such a page may have fewer entries
    than asked for, or none, although a next one has more.
    Eventually consistent: a payment committed a moment ago may be missing. Raises ``BodyMalformed`` for the cursor of
    another list.
    """
    listing = wanted.listing(merchant_id)
    last = LAST if wanted.created_until_ms is None else f"{wanted.created_until_ms:013d}{LAST}"
    until = last if cursor is None else just_before(read_cursor(cursor, listing))
    after = "" if wanted.created_from_ms is None else f"{wanted.created_from_ms:013d}"
    data: list[PaymentView] = []
    for _ in range(MAX_PAGES_LOOKED_THROUGH if wanted.is_looked_for else 1):
        page = _keys(services, merchant_id, wanted, after=after, until=until, limit=limit - len(data))
        found = find_payments(services.database, merchant_id, [key["pk"] for key in page.items])
        payments = [found[key["pk"]] for key in page.items]
        data += [payment_view(payment) for payment in payments if wanted.takes(payment)]
        if page.next_key is None or len(data) == limit:
            break
        until = just_before(page.next_key["created_key"])
    more = None if page.next_key is None else make_cursor(page.next_key["created_key"], listing)
    return {"object": "list", "data": [*data], "next_cursor": more}


def _keys(services: Services, merchant_id: str, wanted: PaymentFilter, *, after: str, until: str, limit: int) -> Page:
    database = services.database
    if wanted.reference is not None:
        return keys_by_reference(database, merchant_id, wanted.reference, after=after, until=until, limit=limit)
    if wanted.customer is not None:
        return keys_by_customer(database, merchant_id, wanted.customer, after=after, until=until, limit=limit)
    return listed_keys(
        services.database, merchant_id, (FIRSTS,), after=after, until=until, descending=True, limit=limit
    )


def get_history(services: Services, merchant_id: str, payment_id: str) -> ListView:
    """Return every change of the payment in order, with its event and postings. Raises ``NotFound``."""
    page = services.database.query(Table.OUTBOX, partition=("pk", payment_id), limit=HISTORY_PAGE_SIZE)
    changes = [item for item in page.items if item["merchant_id"] == merchant_id and is_event(item)]
    if not changes:
        raise NotFound(f"There is no payment {payment_id}.")
    return {"object": "list", "data": [_history_entry(item) for item in changes]}


def get_balances(services: Services, merchant_id: str) -> ListView:
    """Return the merchant's balances by currency and account, in minor units. Debits are positive.

    Every currency sums to zero. Each counter is committed together with its journal entries.
    """
    totals: dict[str, dict[str, int]] = {}
    for number in range(BALANCE_PARTITIONS):
        for item in _counters(services.database, balance_partition(merchant_id, number)):
            _add_counter(totals, item)
    balances: list[BalanceView] = [
        {"currency": currency, "account": account, "balance_minor": amount}
        for currency, accounts in sorted(totals.items())
        for account, amount in sorted(accounts.items())
    ]
    return {"object": "list", "data": [*balances]}


def _counters(database: Database, partition: str) -> Iterator[Item]:
    return every_item(
        lambda start: database.query(Table.LEDGER, partition=("pk", partition), limit=SPREAD_COUNTERS, start=start)
    )


def _add_counter(totals: dict[str, dict[str, int]], item: Item) -> None:
    accounts = totals.setdefault(item["sk"].split("#")[0], {})
    for name, amount in item.items():
        if name.startswith(ACCOUNT_PREFIX):
            account = name.removeprefix(ACCOUNT_PREFIX)
            accounts[account] = accounts.get(account, 0) + amount


def _history_entry(item: Item) -> PaymentChangeView:
    event, entry = opened(item), entry_of(item)
    body = json.loads(event["body"])
    booked: JournalEntryView | None = None
    if entry is not None:
        postings: list[PostingView] = [
            {"account": line.account, "amount_minor": line.amount_minor} for line in entry.postings
        ]
        booked = {"id": entry.entry_id, "postings": postings}
    return {
        "sequence": body["sequence"],
        "event_id": body["id"],
        "type": body["type"],
        "created_at_ms": body["created_at_ms"],
        "data": body["data"],
        "journal_entry": booked,
    }
