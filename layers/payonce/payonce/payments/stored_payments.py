"""Reads payments: the head where there is one, and else the first version, which is as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import OutcomeUnknown, StoreUnavailable, WriteConflict
from payonce.outbox import event_key
from payonce.payments.payment_items import head_insert, payment_from, payment_key, payment_of_first
from payonce.ports import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.payment import Payment
    from payonce.ports import Database, Item

FIRST_VERSION = 1
HEAD_TRIES = 3  # as often as a transaction whose answer is lost is sent (stores/dynamodb.py)


def find_payment(database: Database, merchant_id: str, payment_id: str) -> Payment | None:
    """Return the merchant's payment as it is stored now, or ``None``."""
    head = find_head(database, merchant_id, payment_id)
    return find_first(database, merchant_id, payment_id) if head is None else head


def find_head(database: Database, merchant_id: str, payment_id: str) -> Payment | None:
    """Return the payment's head, or ``None``."""
    item = database.get(Table.PAYMENTS, payment_key(merchant_id, payment_id))
    return None if item is None else payment_from(item)


def find_first(database: Database, merchant_id: str | None, payment_id: str) -> Payment | None:
    """Return the first version of the merchant's payment, or ``None``. With no merchant given, of anybody's."""
    return _first(database.get(Table.OUTBOX, event_key(payment_id, FIRST_VERSION)), merchant_id)


def find_payments(database: Database, merchant_id: str, payment_ids: Sequence[str]) -> dict[str, Payment]:
    """Return those of up to 100 distinct payments that the merchant has, by id, as they are stored now."""
    if not payment_ids:
        return {}
    heads = database.get_many(Table.PAYMENTS, [payment_key(merchant_id, payment_id) for payment_id in payment_ids])
    found = {payment.payment_id: payment for payment in map(payment_from, heads)}
    others = [payment_id for payment_id in payment_ids if payment_id not in found]
    if others:
        items = database.get_many(Table.OUTBOX, [event_key(payment_id, FIRST_VERSION) for payment_id in others])
        firsts = (_first(item, merchant_id) for item in items)
        found |= {first.payment_id: first for first in firsts if first is not None}
    return found


def keep_head(database: Database, merchant_id: str, payment_id: str) -> None:
    """Make the head of the merchant's payment unless it is there, so that a condition can be put on it.

    Idempotent. Does nothing for a payment that does not exist. Raises ``StoreUnavailable``.
    """
    if find_head(database, merchant_id, payment_id) is not None:
        return
    first = find_first(database, merchant_id, payment_id)
    if first is None:
        return
    doubt: OutcomeUnknown | None = None
    for _ in range(HEAD_TRIES):
        try:
            database.write([head_insert(first)])
            return
        except WriteConflict:
            return  # a concurrent operation has made it, or a try whose answer was lost
        except OutcomeUnknown as error:
            doubt = error
    # It is what everybody reads anyhow, so nothing has been executed, even if it is stored now or later.
    raise StoreUnavailable("The payment's head could not be stored. Retry with the same key.") from doubt


def _first(item: Item | None, merchant_id: str | None) -> Payment | None:
    if item is None or merchant_id not in (None, item["merchant_id"]):
        return None
    try:
        return payment_of_first(item)
    except KeyError:
        return None  # the first change of something else
