"""Reads payments, pages of payments, a payment's history and balances, always within one merchant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import NotFound
from payonce.outbox import FIRSTS, is_event, listed_keys, opened
from payonce.paging import ListView, every_item, make_cursor, read_cursor
from payonce.payments.follow_up import load_payment
from payonce.payments.journal import ACCOUNT_PREFIX, BALANCE_COUNTERS, BALANCE_PARTITIONS, balance_partition, entry_of
from payonce.payments.representation import PaymentView, payment_view
from payonce.payments.stored_payments import find_payments
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.payments.payment_work import Services
    from payonce.ports import Database, Item

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100  # about 100 KB, far below the limits of a query and of API Gateway
LAST = "~"  # sorts after every time
HISTORY_PAGE_SIZE = 1000  # only a bound: a payment has a handful of changes


def get_payment(services: Services, merchant_id: str, payment_id: str) -> PaymentView:
    """Return the payment's view. Raises ``NotFound``."""
    return payment_view(load_payment(services, merchant_id, payment_id))


def list_payments(services: Services, merchant_id: str, *, limit: int, cursor: str | None) -> ListView:
    """Return a page of payments, newest first, and the cursor of the next page.

    Eventually consistent: a payment committed a moment ago may be missing. Raises ``BodyMalformed`` for the cursor of
    another list.
    """
    listing = ("payments", merchant_id)
    page = listed_keys(
        services.database,
        merchant_id,
        (FIRSTS,),
        after="",
        # No key lies between the last one of the page before and that without its last character.
        until=LAST if cursor is None else read_cursor(cursor, listing)[:-1],
        descending=True,
        limit=limit,
    )
    found = find_payments(services.database, merchant_id, [key["pk"] for key in page.items])
    return {
        "object": "list",
        "data": [payment_view(found[key["pk"]]) for key in page.items],
        "next_cursor": None if page.next_key is None else make_cursor(page.next_key["created_key"], listing),
    }


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
    return {
        "object": "list",
        "data": [
            {"currency": currency, "account": account, "balance_minor": amount}
            for currency, accounts in sorted(totals.items())
            for account, amount in sorted(accounts.items())
        ],
    }


def _counters(database: Database, partition: str) -> Iterator[Item]:
    return every_item(
        lambda start: database.query(Table.LEDGER, partition=("pk", partition), limit=BALANCE_COUNTERS, start=start)
    )


def _add_counter(totals: dict[str, dict[str, int]], item: Item) -> None:
    accounts = totals.setdefault(item["sk"].split("#")[0], {})
    for name, amount in item.items():
        if name.startswith(ACCOUNT_PREFIX):
            account = name.removeprefix(ACCOUNT_PREFIX)
            accounts[account] = accounts.get(account, 0) + amount


def _history_entry(item: Item) -> dict[str, Any]:
    event, entry = opened(item), entry_of(item)
    body = json.loads(event["body"])
    booked = None
    if entry is not None:
        postings = [{"account": line.account, "amount_minor": line.amount_minor} for line in entry.postings]
        booked = {"id": entry.entry_id, "postings": postings}
    return {
        "sequence": body["sequence"],
        "event_id": body["id"],
        "type": body["type"],
        "created_at_ms": body["created_at_ms"],
        "data": body["data"],
        "journal_entry": booked,
    }
