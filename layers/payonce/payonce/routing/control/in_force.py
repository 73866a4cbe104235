"""The settings that count now: the configured ones, and what an operator overrides of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.routing.control.override import mode_of, overridden, parse_override

if TYPE_CHECKING:
    from payonce.routing.control.control_store import Control
    from payonce.routing.control.routing_settings import RoutingSettings


def settings_in_force(
    settings: RoutingSettings, control: Control, gateways: frozenset[str], now_ms: int
) -> RoutingSettings:
    """Return the settings with the stored override applied, if one is in force at ``now_ms``.

    It is what ``decide`` gets, so that a decision's record says what was in force. An override that can't be read is
    none, as it is for payments.

    Of its shares only the drained gateways are taken from the static weights, so that nothing is planned with them.
    Payments multiply the document's weights by every share themselves, at once: a share of a half in both places would
    be a quarter, and nothing times nothing is still nothing.
    """
    if control.override is None:
        return settings
    try:
        override = parse_override(control.override, gateways)
    except (ValueError, KeyError, TypeError):
        return settings
    drained = replace(override, shares={gateway: share for gateway, share in override.shares.items() if share == 0})
    weights = overridden(settings.neutral, drained, now_ms)
    return replace(settings, neutral=dict(weights), mode=mode_of(settings.mode, override, now_ms))
