"""The settings that count now: the configured ones, and what an operator overrides of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.routing.override import mode_of, overridden, parse_override

if TYPE_CHECKING:
    from payonce.routing.control_store import Control
    from payonce.routing.settings import RoutingSettings


def settings_in_force(
    settings: RoutingSettings, control: Control, gateways: frozenset[str], now_ms: int
) -> RoutingSettings:
    """Return the settings with the stored override applied, if one is in force at ``now_ms``.

    It is what ``decide`` gets, and what a decision's record has. Of the shares, only those of gateways that get
    nothing: nothing may be moved to them, or expected of them. The others are of the weight that the document will
    give, and payments take them of it: taken here too, a half would become a quarter. An override that can't be read
    is none, as it is for payments.
    """
    if control.override is None:
        return settings
    try:
        override = parse_override(control.override, gateways)
    except (ValueError, KeyError, TypeError):
        return settings
    drained = {gateway: share for gateway, share in override.shares.items() if share == 0}
    weights = overridden(settings.neutral, replace(override, shares=drained), now_ms)
    return replace(settings, neutral=dict(weights), mode=mode_of(settings.mode, override, now_ms))
