"""Reads the deployment's routing configuration: a mode, and a JSON object of the settings that differ from defaults."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from payonce.domain.errors import MisconfiguredError
from payonce.routing.control.document import MAX_LIFE_MS
from payonce.routing.control.routing_settings import Mode, RoutingSettings

if TYPE_CHECKING:
    from collections.abc import Collection

MODE_VARIABLE = "PAYONCE_ROUTING_MODE"
SETTINGS_VARIABLE = "PAYONCE_ROUTING"
WHOLE = frozenset({"slo_ms", "hold_seconds", "life_seconds"})
NUMBERS = frozenset({"canary_share"})
WEIGHTS = "weights"  # the operator's name for the field ``neutral``


def configured_routing(mode: str, text: str, *, gateways: Collection[str], default_gateway: str) -> RoutingSettings:
    """Return the settings of both variables. Empty ones mean mode off and all payments to the default gateway.

    Without a default gateway and without weights, the only route has the name "", which no gateway has: payments of
    merchants without a gateway of their own are then refused. Raises ``MisconfiguredError``.
    """
    values = _values(text)
    weights = values.pop(WEIGHTS, {default_gateway: 1.0})
    settings = RoutingSettings(neutral=weights, mode=_mode(mode), **values)
    if settings.life_seconds * 1000 > MAX_LIFE_MS:
        raise MisconfiguredError(f"{SETTINGS_VARIABLE}: life_seconds may be at most {MAX_LIFE_MS // 1000}.")
    routes = {name for name in settings.neutral if name}
    unknown = sorted(routes - set(gateways))
    if unknown:
        raise MisconfiguredError(
            f"{SETTINGS_VARIABLE} has weights of {', '.join(unknown)}, which PAYONCE_GATEWAYS lacks. Configure the "
            "gateway, or take its weight away."
        )
    if settings.mode is not Mode.OFF and not routes:
        raise MisconfiguredError(
            f"{MODE_VARIABLE} is {settings.mode.value!r}, but there is nothing to route between. Give weights in "
            f"{SETTINGS_VARIABLE}, or a PAYONCE_DEFAULT_GATEWAY."
        )
    return settings


def _mode(text: str) -> Mode:
    try:
        return Mode(text or Mode.OFF)
    except ValueError:
        raise MisconfiguredError(f"{MODE_VARIABLE} is {text!r}; it must be one of {', '.join(Mode)}.") from None


def _values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text.strip() or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise MisconfiguredError(f'{SETTINGS_VARIABLE} must be a JSON object such as {{"weights":{{"stripe":1}}}}.')
    known = WHOLE | NUMBERS | {WEIGHTS}
    for name, value in values.items():
        if name not in known:
            raise MisconfiguredError(
                f"{SETTINGS_VARIABLE} has {name!r}; known are {', '.join(sorted(known))}. The mode is in "
                f"{MODE_VARIABLE}."
            )
        if name in WHOLE and (isinstance(value, bool) or not isinstance(value, int)):
            raise MisconfiguredError(f"{SETTINGS_VARIABLE}: {name} must be a whole number.")
        if name in NUMBERS and not _is_number(value):
            raise MisconfiguredError(f"{SETTINGS_VARIABLE}: {name} must be a number.")
    if WEIGHTS in values:
        weights = values[WEIGHTS]
        if not isinstance(weights, dict) or "" in weights or not all(map(_is_number, weights.values())):
            raise MisconfiguredError(f"{SETTINGS_VARIABLE}: weights must be an object of gateways and numbers.")
        values[WEIGHTS] = {name: float(weight) for name, weight in weights.items()}
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
