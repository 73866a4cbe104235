"""A doubt about a correction's refund ends with the gateway's event about the charge, and not when its turn comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from payonce.domain.gateway import OperationKind, Unknown
from payonce.idempotency.keys import record_id
from payonce.idempotency.records import RecordStatus
from payonce.notices.kept import NoticeState
from payonce.payments.corrective_plan import OPERATION, corrective_reference
from tests.support.corrections import corrections_in, deadline, double_charge, duplicate_capture
from tests.support.notice_stage import Stage
from tests.support.world import MERCHANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.reconciliation.model import Break
    from tests.support.world import World

LEASE_OVER_MS = 61_000


def in_doubt(stage: Stage, make: Callable[[World], Break]) -> tuple[Break, str]:
    """Let a correction's refund be executed without an answer. Return the break, and the id of the claim's record."""
    world = stage.world
    found = make(world)
    world.gateway.script = ["booked_lost"]
    asked = world.gateway.find
    world.gateway.find = lambda *_: Unknown("no answer")  # type: ignore[method-assign, assignment]
    corrections_in(world).advance(found, deadline(world))
    world.gateway.find = asked  # type: ignore[method-assign]
    world.clock.ms += LEASE_OVER_MS
    claim = record_id(MERCHANT, OPERATION, f"{found.break_id}-1")
    assert is_open(world, claim)
    return found, claim


def is_open(world: World, claim: str) -> bool:
    stored = world.store.get(claim)
    assert stored is not None
    return stored.status is not RecordStatus.COMPLETED


@pytest.mark.parametrize("make", [duplicate_capture, double_charge])
@pytest.mark.parametrize("named", ["the payment", "the correction"])
def test_a_correction_in_doubt_ends_with_the_event(make: Callable[[World], Break], named: str) -> None:
    stage = Stage()
    found, claim = in_doubt(stage, make)
    reference = f"{found.payment_id}-1" if named == "the payment" else corrective_reference(found.break_id)
    data = {} if named == "the payment" else {"payment_reference": f"{found.payment_id}-1"}
    key = stage.post(reference, **data)
    stage.apply_all(stage.world.clock.ms + 60_000)
    assert not is_open(stage.world, claim)
    assert stage.state(key) is NoticeState.APPLIED
    assert len(stage.world.gateway.succeeded(OperationKind.REFUND)) == 1


def test_another_payments_corrections_are_left_to_their_turn() -> None:
    stage = Stage()
    other = json.loads(stage.world.create("another-key").response.body)["id"]
    _, claim = in_doubt(stage, duplicate_capture)
    stage.post(f"{other}-1")
    stage.apply_all(stage.world.clock.ms + 60_000)
    assert is_open(stage.world, claim)
