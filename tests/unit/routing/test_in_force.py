"""An override in the predictor and at a payment: what both do must be the operator's order once, not twice."""

from __future__ import annotations

import pytest

from payonce.routing.control.control_store import Control
from payonce.routing.control.in_force import settings_in_force
from payonce.routing.control.override import Override, overridden
from payonce.routing.control.routing_settings import Mode, RoutingSettings

T0 = 1_795_526_278_000
GATEWAYS = frozenset({"alder", "birch"})
ROUTING = RoutingSettings(neutral={"alder": 0.5, "birch": 0.5}, mode=Mode.ON)


def control(**shares: float) -> tuple[Override, Control]:
    override = Override(
        version=1, shares=shares, operator="ann", reason="maintenance", issued_at_ms=T0, expires_at_ms=T0 + 60_000
    )
    return override, Control(override=override.to_bytes(), override_version=1)


@pytest.mark.parametrize(("share", "of_payments"), [(0.0, 0.0), (0.25, 0.2), (0.5, 1 / 3), (1.0, 0.5)])
def test_a_share_counts_once_for_payments(share: float, of_payments: float) -> None:
    """Fails when the predictor plans with every share: payments multiply what it planned by the share again."""
    override, stored = control(alder=share)
    planned = settings_in_force(ROUTING, stored, GATEWAYS, T0).neutral
    assert overridden(planned, override, T0)["alder"] == pytest.approx(of_payments)


def test_nothing_is_planned_with_a_drained_gateway() -> None:
    """Fails when drains are left to payments alone: the others' room would be planned with a gateway that is off."""
    _, stored = control(alder=0.0)
    assert settings_in_force(ROUTING, stored, GATEWAYS, T0).neutral == {"alder": 0.0, "birch": 1.0}
    assert settings_in_force(ROUTING, stored, GATEWAYS, T0 + 60_000) == ROUTING
