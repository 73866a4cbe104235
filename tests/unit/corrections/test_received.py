"""A correction that the gateway only receives, as Adyen receives every refund, ends once, and when it is decided.

https://docs.adyen.com/online-payments/refund: the answer is "received", and the outcome comes with a webhook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.corrections.record import CorrectionStatus
from payonce.domain.gateway import OperationKind
from tests.support.corrections import corrections_in, deadline, double_charge, duplicate_capture
from tests.support.holding import HoldingGateway
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.reconciliation.model import Break


@pytest.mark.parametrize("end", ["pay", "decline"])
@pytest.mark.parametrize("broken", [duplicate_capture, double_charge])
def test_a_correction_that_is_only_received_is_not_failed(broken: Callable[[World], Break], end: str) -> None:
    """Fails (the correction counts as failed, so that the next run gives back once more) when it is concluded."""
    world = World()
    world.gateway = gateway = HoldingGateway(world.clock)
    found = broken(world)
    gateway.receives = True
    corrections = corrections_in(world)
    asked = len(gateway.submissions)
    for _ in range(4):
        step = corrections.advance(found, deadline(world))
        world.clock.ms += 61_000
        world.recover()
    assert step.correction.status is CorrectionStatus.APPROVED
    assert len(gateway.submissions) == asked + 1
    getattr(gateway, end)()
    world.clock.ms += 3_600_000
    world.recover()
    assert world.errors == []
    ended = corrections.advance(found, deadline(world)).correction
    assert ended.status is (CorrectionStatus.CORRECTED if end == "pay" else CorrectionStatus.FAILED)
    assert len(gateway.succeeded(OperationKind.REFUND)) == (1 if end == "pay" else 0)
    assert len(gateway.submissions) == asked + 1


@pytest.mark.parametrize("lost", ["answer", "request"])
@pytest.mark.parametrize("broken", [duplicate_capture, double_charge])
def test_a_correction_that_is_received_behind_a_lost_answer_is_not_ended(
    broken: Callable[[World], Break], lost: str
) -> None:
    """Its lookup finds it received, or recovery sends it again and it is received. Fails when either concludes it."""
    world = World()
    world.gateway = gateway = HoldingGateway(world.clock)
    found = broken(world)
    gateway.receives, gateway.unanswered = lost == "answer", int(lost == "answer")
    gateway.script = ["lost"] if lost == "request" else []
    corrections = corrections_in(world)
    corrections.advance(found, deadline(world))
    gateway.receives = True
    for _ in range(4):
        world.clock.ms += 61_000
        world.recover()
        assert corrections.advance(found, deadline(world)).correction.status is CorrectionStatus.APPROVED
    gateway.pay()
    world.clock.ms += 3_600_000
    world.recover()
    assert world.errors == []
    assert corrections.advance(found, deadline(world)).correction.status is CorrectionStatus.CORRECTED
    assert len(gateway.succeeded(OperationKind.REFUND)) == 1
