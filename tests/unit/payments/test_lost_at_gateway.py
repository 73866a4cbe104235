"""What a gateway has held and does not know any more is named to people, who can end it; nobody else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import ReleaseRefused
from payonce.domain.gateway import NotFound, OperationKind
from payonce.payments.settlement import LOST_AFTER_MS, OPERATION
from tests.support.told import MINUTE_MS, balances, body, history
from tests.unit.payments.test_release import release, stored
from tests.unit.payments.test_waiting import pass_time, world_of

if TYPE_CHECKING:
    from tests.support.world import World

LOST = "gateway lost what it held"


def held(token: str) -> tuple[World, str]:
    world, gateway = world_of()
    identity = str(body(world.create(payment_method=token))["id"])
    gateway.held[f"{identity}-1"] = NotFound()
    return world, identity


def lost_lines(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.message == LOST for record in caplog.records)


@pytest.mark.parametrize("token", ["pm_debit", "pm_3ds"])
def test_what_is_not_found_for_a_day_is_named_and_stays_open(token: str, caplog: pytest.LogCaptureFixture) -> None:
    """Fails when a lookup that is behind ends a payment, and when one that is lost is asked about in silence."""
    world, identity = held(token)
    pass_time(world, LOST_AFTER_MS // MINUTE_MS // 2)
    assert lost_lines(caplog) == 0
    pass_time(world, LOST_AFTER_MS // MINUTE_MS)
    assert lost_lines(caplog) > 0
    assert history(world, identity) == [{"pm_debit": "payment.processing", "pm_3ds": "payment.requires_action"}[token]]


def test_people_who_have_looked_at_the_gateway_end_it() -> None:
    """Fails (nobody can, for ever) when the release of what is held is refused."""
    world, identity = held("pm_debit")
    pass_time(world, 60)
    settlement = stored(world, OPERATION, identity)
    with pytest.raises(ReleaseRefused, match="may have charged already"):
        release(world, settlement, finding="")
    release(world, settlement)
    assert history(world, identity) == ["payment.processing", "payment.failed"]
    assert balances(world) == {}
    pass_time(world, 60)
    assert history(world, identity)[2:] == []


def test_an_operation_that_the_gateway_has_lost_gives_back_what_it_reserved() -> None:
    world, gateway = world_of()
    identity = str(body(world.create())["id"])
    gateway.receives = True
    refund = body(world.follow_up(OperationKind.REFUND, identity, "refund", 400))
    assert refund["status"] == "processing"
    gateway.held[f"{refund['id']}-1"] = NotFound()
    pass_time(world, 60)
    release(world, stored(world, OPERATION, refund["id"]))
    assert history(world, identity)[-1] == "refund.failed"
    gateway.receives = False
    assert world.follow_up(OperationKind.REFUND, identity, "all").response.status == 201
