"""The predictor's settings now in force: the configured ones with the operator's override applied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.routing.control.override import mode_of, overridden, readable

if TYPE_CHECKING:
    from payonce.routing.control.control_store import Control
    from payonce.routing.control.routing_settings import RoutingSettings


def settings_in_force(
    settings: RoutingSettings, control: Control, gateways: frozenset[str], now_ms: int
) -> RoutingSettings:
    """Return the settings with the stored override applied, if one is in force at ``now_ms``.

    ``decide`` gets the result, so that a decision's record shows the settings it was made with. A malformed override
    is ignored, here as on the request path.

    Of the override's shares only zeros are applied to the static weights, so that no plan relies on a drained gateway.
    The request path multiplies the document's weights by every share itself: applied in both places, a share of a half
    would act as a quarter, while a zero stays zero.
    """
    override = readable(control.override, gateways)
    if override is None:
        return settings
    shares = {gateway: share for gateway, share in override.shares_at(now_ms).items() if share == 0}
    drained = replace(override, mode=None, mode_ends_at_ms=None, shares=shares, ends_at_ms={})
    weights = overridden(settings.neutral, drained, now_ms)
    return replace(settings, neutral=dict(weights), mode=mode_of(settings.mode, override, now_ms))
