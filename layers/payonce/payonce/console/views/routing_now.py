"""What routing does at this moment and why, as payments see it: document, override, weights, limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payonce.console.plots.drawing import percent
from payonce.routing.control.choice import applies
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.document import EVERYTHING
from payonce.routing.control.in_force import seen
from payonce.routing.control.override import mode_of, overridden
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.page import Services
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.control.override import Override

ANY_METHOD = "any"  # methods of which nothing is known


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingNow:
    """Routing as it is.

    ``mode`` is the one in force; ``configured`` the deployment's. ``decides``: the document decides about payments.
    ``weights`` are in force, by method (``ANY_METHOD`` for the others). ``document`` and ``override`` are ``None``
    where there is none in force; ``problem`` says why a stored one is not read; ``override_version`` is that of its
    last change, 0 before the first. ``sheds``: some payments are refused before they are claimed.
    """

    mode: Mode
    configured: Mode
    decides: bool
    document: ControlDocument | None
    document_problem: str
    override: Override | None
    override_problem: str
    override_version: int
    weights: Mapping[str, Mapping[str, float]]
    static: Mapping[str, float]
    sheds: bool

    @property
    def limits(self) -> Mapping[str, float]:
        """Return the limits in force: requests in flight, by gateway."""
        return self.document.limits if self.document is not None and self.decides else {}

    def share_of(self, gateway: str) -> float:
        """Return the override's share of the gateway, 1 without one."""
        return self.override.shares.get(gateway, 1.0) if self.override is not None else 1.0

    @property
    def says(self) -> str:
        """Return a sentence that says what routes payments now."""
        if self.configured is Mode.OFF:
            return "Routing is off: payments go by the static weights, and obey no override."
        if self.document is None:
            return "There is no fresh decision: payments go by the static weights."
        if not self.decides:
            return f"Mode {self.mode.value}: decisions are made and recorded, and payments go by the static weights."
        return (
            "Decisions route payments." if self.mode is Mode.ON else "Decisions route a part of the payments (canary)."
        )


def what_it_does(override: Override, now_ms: int) -> str:
    """Return what the override does from ``now_ms`` on, each part with the minutes that it lasts."""
    parts = [(f"mode {override.mode.value}", override.mode_end_ms)] if override.mode else []
    parts += [
        (f"{name} at {percent(share)} of its weight", override.end_of(name))
        for name, share in sorted(override.shares.items())
    ]
    return "; ".join(f"{says} for {round((end_ms - now_ms) / 60_000)} min" for says, end_ms in parts) or "released"


def routing_now(services: Services, now_ms: int) -> RoutingNow:
    """Return routing as payments see it now. One round trip. Raises ``StoreUnavailable``."""
    settings = services.settings.routing
    gateways = frozenset(settings.neutral) | frozenset(services.settings.gateways)
    control = ControlStore(services.database).read()
    stored = seen(control, gateways)
    document, override = stored.document_at(now_ms), stored.override_at(now_ms)
    document_problem = stored.document_problem
    if document is None and stored.document is not None:
        document_problem = f"the last one, epoch {stored.document.epoch}, has expired"
    off = settings.mode is Mode.OFF
    mode = settings.mode if off else mode_of(settings.mode, override, now_ms)
    decides = not off and document is not None and applies(document, "", replace(settings, mode=mode, canary_share=1.0))
    obeyed = None if off else override
    weights = {ANY_METHOD: overridden(settings.neutral, obeyed, now_ms)}
    if document is not None and decides:
        weights = {m: overridden(w, obeyed, now_ms) for m, w in sorted(document.weights.items())} | weights
    return RoutingNow(
        mode=mode,
        configured=settings.mode,
        decides=decides,
        document=document,
        document_problem=document_problem,
        override=obeyed,
        override_problem=stored.override_problem,
        override_version=control.override_version,
        weights=weights,
        static=settings.neutral,
        sheds=document is not None and decides and document.admission != EVERYTHING,
    )
