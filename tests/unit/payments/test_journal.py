"""Entries lie in the items of their changes, and the balances are their sum."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.durations import DAY_MS
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, charge, hold
from payonce.domain.payment import Change
from payonce.idempotency.keys import record_id
from payonce.outbox import DAY_SHARDS
from payonce.payments.booking import change_write, payment_event
from payonce.payments.journal import (
    BALANCE_COUNTERS,
    BALANCE_PARTITIONS,
    SPREAD_COUNTERS,
    balance_write,
    correction_writes,
    entries_of,
    entry_of,
    movements,
)
from payonce.payments.payment_reads import get_balances, get_history
from payonce.ports import Adjust, Insert, Table
from payonce.stores.memory import MemoryDatabase
from tests.support.payments import stored_payment
from tests.support.stored import entries_in
from tests.support.told import payment_id
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.ports import Item

AT_MS = 1_800_000_000_000
MOVEMENT = Movement(
    kind=MovementKind.CHARGE,
    gateway="bank",
    gateway_reference="pay_1-1",
    gateway_payment_id="ch_ö",
    payer="pm_1",
    idempotency_record_id="mer_1#create_payment#" + "a" * 64,
)


def entry(number: int = 1, **more: Any) -> JournalEntry:
    fields: dict[str, Any] = {
        "merchant_id": MERCHANT,
        "payment_id": f"pay_{number:026d}",
        "version": 1,
        "currency": "EUR",
        "description": Change.CHARGED.value,
        "booked_at_ms": AT_MS,
        "postings": charge("bank", 1000),
        "movement": MOVEMENT,
        **more,
    }
    return JournalEntry(**fields)


def stored(one: JournalEntry) -> Item:
    """Return the item of the change that ``one`` books."""
    if one.break_id is not None:
        (write, _) = correction_writes(one)
    else:
        payment = replace(
            stored_payment(one.merchant_id, one.payment_id, captured=True),
            version=one.version,
            updated_at_ms=one.booked_at_ms,
        )
        write = change_write(payment_event(payment, Change(one.description), {}), one)
    assert isinstance(write, Insert)
    return write.item


@pytest.mark.parametrize(
    "one",
    [
        entry(),
        entry(movement=None, postings=hold(5), description=Change.AUTHORIZED.value),
        entry(version=3, currency="JPY", description=Change.REFUND_PART.value),
        entry(break_id="brk_" + "b7" * 32, version=2, description="correction.reversed"),
    ],
)
def test_an_entry_comes_back_as_it_was(one: JournalEntry) -> None:
    """Fails when a part of it is neither stored nor known from its change, its id above all."""
    back = entry_of(stored(one))
    assert back == one
    assert back is not None
    assert back.entry_id == one.entry_id


def test_a_change_that_books_nothing_has_no_entry() -> None:
    write = change_write(payment_event(stored_payment(MERCHANT, "pay_1", captured=False), Change.DECLINED, {}), None)
    assert isinstance(write, Insert)
    assert entry_of(write.item) is None
    assert entries_in([write.item]) == []


def test_a_corrections_entry_follows_the_payments_own() -> None:
    """Fails when an entry of a correction takes the place of a change, or is listed as one."""
    world = World()
    world.create()
    (item,) = world.database._tables[Table.OUTBOX].values()  # type: ignore[attr-defined]
    payment_id = item["pk"]
    world.database.write(correction_writes(entry(payment_id=payment_id, break_id="brk_1")))
    found = list(entries_of(world.database, MERCHANT, payment_id))
    assert [one.break_id for one in found] == [None, "brk_1"]
    assert list(entries_of(world.database, "mer_2", payment_id)) == []
    assert [change["sequence"] for change in get_history(world.services, MERCHANT, payment_id)["data"]] == [1]


def test_a_days_movements_are_what_moved_money_that_day() -> None:
    """Fails when a hold, a decline or the next day's entries are among them."""
    database = MemoryDatabase()
    moved = [entry(number, booked_at_ms=AT_MS + number) for number in range(40)]
    held = entry(90, movement=None, postings=hold(5), description=Change.AUTHORIZED.value)
    tomorrow = entry(91, booked_at_ms=AT_MS + DAY_MS)
    corrected = entry(1, break_id="brk_1", booked_at_ms=AT_MS + 7)
    database.write([Insert(Table.OUTBOX, stored(one)) for one in (*moved, held, tomorrow, corrected)])
    found = [
        one
        for shard in range(DAY_SHARDS)
        for one in movements(database, shard, from_ms=AT_MS, until_ms=AT_MS + 2 * DAY_MS)
    ]
    assert sorted(one.entry_id for one in found) == sorted(one.entry_id for one in (*moved, corrected))


def test_the_balances_are_the_sum_of_the_entries() -> None:
    world = World()
    for number in range(5):
        world.create(f"key-{number}")
    world.create("held", capture=CaptureMethod.MANUAL)
    payment_id = next(iter(world.database._tables[Table.OUTBOX].values()))["pk"]  # type: ignore[attr-defined]
    world.follow_up(OperationKind.REFUND, payment_id, "refund")
    totals: dict[str, int] = {}
    for one in entries_in(world.database._tables[Table.OUTBOX].values()):  # type: ignore[attr-defined]
        for account, amount in one.by_account().items():
            totals[account] = totals.get(account, 0) + amount
    shown = get_balances(world.services, MERCHANT)["data"]
    assert {row["account"]: row["balance_minor"] for row in shown} == totals
    assert sum(totals.values()) == 0


def test_a_thousand_payments_a_second_of_one_merchant_meet_in_less_than_one_of_a_hundred() -> None:
    """Two transactions that change one item at once conflict, and one is tried again.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html (transaction conflicts)

    Five seconds of payments whose commits take 10 ms each, counted, not calculated, once the processes have met and
    spread. Fails with few counters, and when they are not chosen evenly: with 16 counters 47 of a hundred meet.
    """
    few, many, partitions = [], [], []
    for number in range(5_000):
        write = balance_write(entry(number))
        assert isinstance(write, Adjust)
        assert write.spread_key is not None
        few.append(write.key["sk"])
        many.append(write.spread_key["sk"])
        partitions += [write.key["pk"], write.spread_key["pk"]]
    assert _met(many, in_flight=10) < 0.01
    assert _met(few, in_flight=3) < 0.01, "300 payments a second, before anybody spreads"
    assert len(set(few)) == BALANCE_COUNTERS, "a balance is dear to read by as many as there are"
    # A partition takes 1,000 write units a second, and each of these takes two.
    assert max(Counter(partitions).values()) < 2 * len(partitions) / BALANCE_PARTITIONS
    assert len(set(many)) > SPREAD_COUNTERS * (1 - math.exp(-len(many) / SPREAD_COUNTERS)) * 0.9


def _met(counters: list[str], *, in_flight: int) -> float:
    return sum(counter in counters[max(0, at - in_flight) : at] for at, counter in enumerate(counters)) / len(counters)


def test_a_balance_is_the_sum_of_few_counters_and_of_those_that_were_spread() -> None:
    """Fails when a reader knows of the first ones only."""
    world = World()
    kept, spread = balance_write(entry(1)), balance_write(entry(2))
    assert isinstance(spread, Adjust)
    assert spread.spread_key is not None
    world.database.write([kept])
    world.database.write([replace(spread, key=spread.spread_key)])
    shown = {row["account"]: row["balance_minor"] for row in get_balances(world.services, MERCHANT)["data"]}
    assert shown == {account: 2 * amount for account, amount in entry().by_account().items()}


@pytest.mark.parametrize("word", ["ok", "lost"])
def test_each_movement_names_the_key_that_asked_for_it(word: str) -> None:
    """Whether its request or recovery has concluded it. Fails when a break can't be traced to a client's request."""
    world = World()
    world.gateway.script = [word]
    world.create("key-1", capture=CaptureMethod.MANUAL)
    world.clock.ms += 60_000
    world.recover()
    identity = payment_id(world.create("key-1", capture=CaptureMethod.MANUAL))
    for kind, key in ((OperationKind.CAPTURE, "key-2"), (OperationKind.REFUND, "key-3")):
        world.gateway.script = [word]
        world.follow_up(kind, identity, key)
        world.clock.ms += 60_000
        world.recover()
    entries = entries_of(world.database, MERCHANT, identity)
    asked_by = [entry.movement.idempotency_record_id for entry in entries if entry.movement is not None]
    assert asked_by == [
        record_id(MERCHANT, kind.value, key)
        for kind, key in ((OperationKind.CAPTURE, "key-2"), (OperationKind.REFUND, "key-3"))
    ]
    assert world.errors == []
