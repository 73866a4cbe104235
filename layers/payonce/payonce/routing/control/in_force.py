"""What of the control item is in force: its parts as people look at them, and the predictor's settings under it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.routing.control.document import parse_document
from payonce.routing.control.override import mode_of, overridden, parse_override, readable

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.routing.control.control_store import Control
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.control.override import Override
    from payonce.routing.control.routing_settings import RoutingSettings


@dataclass(frozen=True, slots=True)
class Seen:
    """The parsed control item: each part, or its problem as text (``""`` if the part is valid or missing)."""

    document: ControlDocument | None
    document_problem: str
    override: Override | None
    override_problem: str

    def document_at(self, now_ms: int) -> ControlDocument | None:
        """Return the document if it is fresh at ``now_ms``."""
        return self.document if self.document is not None and self.document.is_fresh(now_ms) else None

    def override_at(self, now_ms: int) -> Override | None:
        """Return the override if it is in force at ``now_ms``, without the parts that have ended."""
        override = self.override
        return override.left_at(now_ms) if override is not None and override.is_in_force(now_ms) else None


def seen(control: Control, gateways: frozenset[str]) -> Seen:
    """Parse both parts as the request path does."""
    return Seen(
        *_parsed(parse_document, control.document, gateways), *_parsed(parse_override, control.override, gateways)
    )


def _parsed[T](
    parse: Callable[[bytes, frozenset[str]], T], raw: bytes | None, gateways: frozenset[str]
) -> tuple[T | None, str]:
    try:
        return None if raw is None else parse(raw, gateways), ""
    except ValueError as error:
        return None, str(error)


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
