"""A payment is read from its first version until there is more to say; then it has a head.

``docs/adr/0031-one-item-a-change.md`` says what that saves.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import NotFound, OutcomeUnknown, PaymentStateConflict, StoreUnavailable
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.payments.follow_up import FollowUp
from payonce.payments.payment_items import payment_key
from payonce.payments.payment_reads import get_history, get_payment, list_payments
from payonce.payments.planning import load_payment, plan_follow_up
from payonce.payments.stored_payments import find_first, find_head, find_payment, find_payments, keep_head
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from tests.support.stored import payments_in
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Write

STRANGER = "mer_2"


def made(world: World, key: str = "first", **more: Any) -> str:
    identity: str = json.loads(world.create(key, **more).response.body)["id"]
    return identity


def head(world: World, payment_id: str) -> Any:
    return world.database.get(Table.PAYMENTS, payment_key(MERCHANT, payment_id))


def test_a_payment_that_is_charged_once_has_no_head_and_reads_whole() -> None:
    """Fails when a field is lost between the payment and its first event."""
    world = World()
    identity = made(world)
    assert head(world, identity) is None
    first = find_payment(world.database, MERCHANT, identity)
    assert first is not None
    charged = world.gateway.succeeded()[0].instruction
    assert (first.payment_id, first.merchant_id, first.version) == (identity, MERCHANT, 1)
    assert (first.gateway_reference, first.captured_minor, first.refundable_minor) == (
        charged.gateway_reference,
        1000,
        1000,
    )
    assert first.gateway_charge_id is not None
    keep_head(world.database, MERCHANT, identity)
    assert find_head(world.database, MERCHANT, identity) == first


@pytest.mark.parametrize("kind", [OperationKind.CAPTURE, OperationKind.VOID])
def test_the_first_operation_makes_the_head(kind: OperationKind) -> None:
    """Fails when the reservation finds nothing to put its condition on."""
    world = World()
    identity = made(world, capture=CaptureMethod.MANUAL)
    assert head(world, identity) is None
    world.follow_up(kind, identity, "then")
    stored = find_head(world.database, MERCHANT, identity)
    assert stored is not None
    assert stored.version == 2
    assert get_payment(world.services, MERCHANT, identity)["version"] == 2
    assert [change["sequence"] for change in get_history(world.services, MERCHANT, identity)["data"]] == [1, 2]


def test_a_payment_is_its_merchants_alone() -> None:
    """Fails when a payment is read by its id, without a look at whose it is."""
    world = World()
    identity = made(world)
    assert find_first(world.database, STRANGER, identity) is find_payment(world.database, STRANGER, identity) is None
    assert find_payments(world.database, STRANGER, [identity]) == {}
    keep_head(world.database, STRANGER, identity)
    assert world.database._tables[Table.PAYMENTS] == {}  # type: ignore[attr-defined]
    for read in (load_payment, get_payment, get_history):
        with pytest.raises(NotFound):
            read(world.services, STRANGER, identity)
    assert list_payments(world.services, STRANGER, limit=9, cursor=None)["data"] == []


def test_many_are_read_with_and_without_heads() -> None:
    world = World()
    ids = [made(world, f"key-{number}") for number in range(4)]
    world.follow_up(OperationKind.REFUND, ids[1], "refund")
    found = find_payments(world.database, MERCHANT, [*ids, "pay_none"])
    assert {identity: payment.version for identity, payment in found.items()} == dict(
        zip(ids, (1, 2, 1, 1), strict=True)
    )
    tables = world.database._tables  # type: ignore[attr-defined]
    assert sorted(found) == sorted(
        one.payment_id for one in payments_in(tables[Table.PAYMENTS].values(), tables[Table.OUTBOX].values())
    )
    assert find_payments(world.database, MERCHANT, []) == {}


def test_a_head_that_somebody_else_makes_meanwhile_is_kept() -> None:
    """Fails when a late head overwrites what an operation has reserved, or is an error."""
    world = World()
    identity = made(world)
    first = find_first(world.database, MERCHANT, identity)
    assert first is not None

    def refunds() -> None:
        world.follow_up(OperationKind.REFUND, identity, "meanwhile")

    keep_head(Interrupted(world.database, refunds), MERCHANT, identity)
    stored = find_head(world.database, MERCHANT, identity)
    assert stored is not None
    assert (stored.version, stored.refundable_minor) == (2, 0)


def test_a_head_whose_answer_is_lost_executes_nothing() -> None:
    """Fails when the doubt about a head is taken for a doubt about money."""
    world = World()
    identity = made(world)

    def lose() -> None:
        raise OutcomeUnknown("The database did not confirm the write.")

    with pytest.raises(StoreUnavailable):
        keep_head(Interrupted(world.database, lose), MERCHANT, identity)


def test_a_head_that_can_not_be_read_leaves_it_to_the_claim() -> None:
    """Fails when a retry is told "not executed" while the first request's refund is in doubt, or made, or a stranger's
    404 is told to the owner.
    """
    world = World()
    identity = made(world)
    blind = Blind(world.database)
    services = replace(world.services, database=blind)
    plan = plan_follow_up(
        OperationKind.REFUND, merchant_id=MERCHANT, payment_id=identity, amount_minor=400, services=services
    )

    def refund() -> int:
        work = FollowUp(plan, lambda _name: world.gateway, services)
        return world.engine.execute(world.request("refund", "refund"), work).response.status

    with pytest.raises(StoreUnavailable):
        refund()
    assert world.gateway.succeeded(OperationKind.REFUND) == []
    assert world.follow_up(OperationKind.REFUND, identity, "refund", 400).response.status == 201
    assert refund() == 201
    assert len(world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_a_refund_asked_for_while_the_payment_is_in_doubt_does_not_stop_its_end() -> None:
    """Its head is there although it has one version only. Fails when the second version must make the head."""
    world = World()
    world.gateway.script, world.gateway.lookup_fails = ["booked_lost"], True
    identity = made(world)
    with pytest.raises(PaymentStateConflict):
        world.follow_up(OperationKind.REFUND, identity, "too early", 400)
    assert head(world, identity)["status"] == "in_doubt"
    world.gateway.lookup_fails = False
    world.clock.ms += 3_600_000
    world.recover()
    assert world.errors == []
    stored = find_payment(world.database, MERCHANT, identity)
    assert stored is not None
    assert (stored.status.value, stored.version, stored.refundable_minor) == ("captured", 2, 1000)


class Blind(MemoryDatabase):
    """Can't read payments."""

    def __init__(self, database: Any) -> None:
        self._inner = database

    def get(self, table: Table, key: Any) -> Any:
        """See ``Database``."""
        raise StoreUnavailable("The table does not answer.")


class Interrupted(MemoryDatabase):
    """Lets something happen before its first write."""

    def __init__(self, database: Any, act: Any) -> None:
        self._inner, self._act = database, act

    def get(self, table: Table, key: Any) -> Any:
        """See ``Database``."""
        return self._inner.get(table, key)

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        self._act()
        self._inner.write(writes)
