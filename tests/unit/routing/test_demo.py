"""The demo's last word on the bank that gets slower."""

from __future__ import annotations

from dataclasses import replace

import pytest

from local.degradation import GATEWAY, METHOD, OTHER, TIMEOUT_MS, WINDOW_SECONDS, Moment
from local.demo_routing import outcome
from payonce.routing.control.document import EVERYTHING, ControlDocument
from payonce.routing.control.routing_settings import Mode

DOCUMENT = ControlDocument(
    mode=Mode.ON,
    epoch=1,
    issued_at_ms=1,
    expires_at_ms=2,
    reason="honouring_bank for card: at 5% of its share",
    weights={METHOD: {GATEWAY: 0.05, OTHER: 0.95}},
    limits={},
    admission=EVERYTHING,
)
LEFT = Moment(70.0, 4_900, 0.05, DOCUMENT)


def test_traffic_that_has_left_is_said_to_have_and_when() -> None:
    said = outcome(LEFT)
    assert "has left, 44 s before" in said
    assert DOCUMENT.reason in said


@pytest.mark.parametrize(
    "last",
    [
        replace(LEFT, latency_ms=TIMEOUT_MS, document=None),
        replace(LEFT, latency_ms=TIMEOUT_MS, share=0.5),
        replace(LEFT, seconds=WINDOW_SECONDS - 1),
    ],
)
def test_traffic_that_stayed_until_the_timeout_is_not_said_to_have_left(last: Moment) -> None:
    """Fails when the demo claims it whatever happened: with routing broken it would say the same."""
    assert "has not left" in outcome(last)
