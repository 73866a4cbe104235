"""Reads payments, pages of payments, a payment's history and balances, always within one merchant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from payonce.outbox import opened
from payonce.paging import ListView, every_item, make_cursor, read_cursor
from payonce.payments.follow_up import load_payment
from payonce.payments.payment_items import (
    ACCOUNT_PREFIX,
    BALANCE_SHARDS,
    BY_MERCHANT_INDEX,
    balance_partition,
    journal_partition,
    payment_from,
    payment_key,
)
from payonce.payments.representation import PaymentView, payment_view
from payonce.ports import Table

if TYPE_CHECKING:
    from payonce.payments.payment_work import Services
    from payonce.ports import Item

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100  # about 100 KB, far below the limits of a query and of API Gateway
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
    page = services.database.query(
        Table.PAYMENTS,
        index=BY_MERCHANT_INDEX,
        partition=("merchant_id", merchant_id),
        descending=True,
        limit=limit,
        start=None if cursor is None else _start_key(merchant_id, read_cursor(cursor, listing)),
    )
    return {
        "object": "list",
        "data": [payment_view(payment_from(item)) for item in page.items],
        "next_cursor": None if page.next_key is None else make_cursor(page.next_key["created_key"], listing),
    }


def get_history(services: Services, merchant_id: str, payment_id: str) -> ListView:
    """Return every change of the payment in order, with its event and postings. Raises ``NotFound``."""
    load_payment(services, merchant_id, payment_id)
    events = services.database.query(Table.OUTBOX, partition=("pk", payment_id), limit=HISTORY_PAGE_SIZE)
    entries = services.database.query(
        Table.LEDGER, partition=("pk", journal_partition(merchant_id, payment_id)), limit=HISTORY_PAGE_SIZE
    )
    journal = {item["sk"]: item for item in entries.items}
    return {
        "object": "list",
        "data": [_history_entry(opened(item), journal.get(item["sk"])) for item in events.items],
    }


def get_balances(services: Services, merchant_id: str) -> ListView:
    """Return the merchant's balances by currency and account, in minor units. Debits are positive.

    Every currency sums to zero. Each counter is committed together with its journal entries.
    """
    totals: dict[str, dict[str, int]] = {}
    for item in every_item(
        lambda start: services.database.query(
            Table.LEDGER,
            partition=("pk", balance_partition(merchant_id)),
            limit=BALANCE_SHARDS * 10,
            start=start,
        )
    ):
        _add_counter(totals, item)
    return {
        "object": "list",
        "data": [
            {"currency": currency, "account": account, "balance_minor": amount}
            for currency, accounts in sorted(totals.items())
            for account, amount in sorted(accounts.items())
        ],
    }


def _add_counter(totals: dict[str, dict[str, int]], item: Item) -> None:
    accounts = totals.setdefault(item["sk"].split("#")[0], {})
    for name, amount in item.items():
        if name.startswith(ACCOUNT_PREFIX):
            account = name.removeprefix(ACCOUNT_PREFIX)
            accounts[account] = accounts.get(account, 0) + amount


def _history_entry(event: Item, entry: Item | None) -> dict[str, Any]:
    body = json.loads(event["body"])
    return {
        "sequence": body["sequence"],
        "event_id": body["id"],
        "type": body["type"],
        "created_at_ms": body["created_at_ms"],
        "data": body["data"],
        "journal_entry": None if entry is None else {"id": entry["entry_id"], "postings": entry["postings"]},
    }


def _start_key(merchant_id: str, position: str) -> Item:
    payment_id = position.partition("#")[2]
    return {**payment_key(merchant_id, payment_id), "merchant_id": merchant_id, "created_key": position}
