"""Reads disputes and pages of them, always within one merchant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.dispute import payment_of
from payonce.domain.errors import NotFound
from payonce.merged_lists import LAST, just_before
from payonce.outbox import DISPUTES, keys_by_reference, opened, partition_of
from payonce.paging import every_item, make_cursor, read_cursor
from payonce.payments.dispute_items import DISPUTE_PREFIX, dispute_from, dispute_key
from payonce.payments.payment_reads import MAX_PAGES_LOOKED_THROUGH
from payonce.payments.planning import load_payment
from payonce.payments.representation import DisputeView, dispute_view
from payonce.payments.stored_payments import find_payments
from payonce.ports import Table

if TYPE_CHECKING:
    from payonce.domain.dispute import Dispute
    from payonce.domain.gateway import DisputeStatus
    from payonce.paging import Listing, ListView
    from payonce.payments.payment_work import Services
    from payonce.ports import Item

PAGE_SIZE = 100  # a payment has a few disputes


def get_dispute(services: Services, merchant_id: str, dispute_id: str) -> DisputeView:
    """Return the dispute's view. Raises ``NotFound``."""
    payment_id = payment_of(dispute_id)
    item = services.database.get(Table.PAYMENTS, dispute_key(merchant_id, payment_id, dispute_id))
    if item is None:
        raise NotFound(f"There is no dispute {dispute_id}.")
    return dispute_view(dispute_from(item), load_payment(services, merchant_id, payment_id))


def disputes_of_payment(services: Services, merchant_id: str, payment_id: str) -> ListView:
    """Return all disputes of the payment, the one that payonce learned of first at the front. Raises ``NotFound``."""
    payment = load_payment(services, merchant_id, payment_id)
    items = every_item(
        lambda start: services.database.query(
            Table.PAYMENTS,
            partition=("pk", partition_of(merchant_id, payment_id)),
            sort_prefix=("sk", DISPUTE_PREFIX),
            limit=PAGE_SIZE,
            start=start,
        )
    )
    disputes = sorted(map(dispute_from, items), key=lambda dispute: (dispute.opened_at_ms, dispute.dispute_id))
    return {"object": "list", "data": [{**dispute_view(dispute, payment)} for dispute in disputes]}


def list_disputes(
    services: Services, merchant_id: str, *, limit: int, cursor: str | None, status: DisputeStatus | None = None
) -> ListView:
    """Return a page of the merchant's disputes, newest first, and the cursor of the next page.

    A status is looked for among the disputes of the list, of which one page reads a bounded number. Such a page may
    have fewer entries than asked for, or none, although a next one has more. Eventually consistent: a dispute committed
    a moment ago may be missing. Raises ``BodyMalformed`` for the cursor of another list.
    """
    listing: Listing = ("disputes", merchant_id, status)
    until = LAST if cursor is None else just_before(read_cursor(cursor, listing))
    data: list[DisputeView] = []
    for _ in range(1 if status is None else MAX_PAGES_LOOKED_THROUGH):
        page = keys_by_reference(
            services.database, merchant_id, DISPUTES, after="", until=until, limit=limit - len(data)
        )
        disputes = _disputes_at(services, merchant_id, page.items)
        disputes = [dispute for dispute in disputes if status in (None, dispute.state.status)]
        payment_ids = list(dict.fromkeys(dispute.payment_id for dispute in disputes))
        payments = find_payments(services.database, merchant_id, payment_ids)
        data += [dispute_view(dispute, payments[dispute.payment_id]) for dispute in disputes]
        if page.next_key is None or len(data) == limit:
            break
        until = just_before(page.next_key["created_key"])
    more = None if page.next_key is None else make_cursor(page.next_key["created_key"], listing)
    return {"object": "list", "data": [*data], "next_cursor": more}


def _disputes_at(services: Services, merchant_id: str, keys: list[Item]) -> list[Dispute]:
    """Return the disputes that the events with these keys have opened, in the order of the keys, as they are now."""
    if not keys:
        return []
    events = services.database.get_many(Table.OUTBOX, [{"pk": key["pk"], "sk": key["sk"]} for key in keys])
    opening = {(event["pk"], event["sk"]): json.loads(opened(event)["body"])["data"]["id"] for event in events}
    named = [(key["pk"], opening[key["pk"], key["sk"]]) for key in keys]
    items = services.database.get_many(Table.PAYMENTS, [dispute_key(merchant_id, *each) for each in named])
    found = {dispute.dispute_id: dispute for dispute in map(dispute_from, items)}
    return [found[dispute_id] for _, dispute_id in named]
