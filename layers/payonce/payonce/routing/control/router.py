"""Answers a payment's two questions before its claim: which gateway takes it, and whether it is admitted now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.routing.control.admission import admit
from payonce.routing.control.choice import admission_for, choose_route, weights_for
from payonce.routing.control.control_cache import Held
from payonce.routing.control.override import mode_of, overridden
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.routing.control.admission import Priority
    from payonce.routing.control.control_cache import ControlCache
    from payonce.routing.control.routing_settings import RoutingSettings


class Router:
    """Decides from memory; ``cache`` refreshes from the store. In mode off the cache is ignored and nothing is read.

    An override's shares apply to every payment, in every mode but off: they are an operator's order, not a forecast.
    """

    def __init__(
        self,
        settings: RoutingSettings,
        cache: ControlCache | None,
        *,
        now_ms: Callable[[], int],
        draw: Callable[[], float],
    ) -> None:
        self._settings = {mode: replace(settings, mode=mode) for mode in Mode}
        self._configured = settings.mode
        self._cache = None if settings.mode is Mode.OFF else cache
        self._now_ms = now_ms
        self._draw = draw

    def route(
        self, payment_id: str, method: str, own_gateway: str = "", passed_over: frozenset[str] = frozenset()
    ) -> str:
        """Return the gateway of a new payment: the merchant's ``own_gateway`` if it has one, else by the weights.

        In modes off and shadow these are the static weights. ``passed_over``: gateways that took nothing of this
        payment; with all of them passed over, the answer is "". Never raises.
        """
        if own_gateway:
            return "" if own_gateway in passed_over else own_gateway
        now_ms, held, settings = self._look()
        weights = overridden(weights_for(held.document, payment_id, method, settings), held.override, now_ms)
        if passed_over:  # a gateway that gets nothing, by an operator's word or a forecast, is no way out
            weights = {name: weight for name, weight in weights.items() if weight > 0}
        # There always is a gateway: neither settings nor document nor override may leave a payment without a route.
        return choose_route(weights, payment_id, passed_over) or ""

    def admit(self, payment_id: str, merchant_id: str, priority: Priority) -> None:
        """Return if the payment is admitted, else raise ``Throttled`` with the wait. To be called before the claim."""
        _, held, settings = self._look()
        admission = admission_for(held.document, payment_id, settings)
        admit(admission, priority, merchant_id, self._draw())

    def _look(self) -> tuple[int, Held, RoutingSettings]:
        now_ms = self._now_ms()
        held = Held() if self._cache is None else self._cache.current(now_ms)
        return now_ms, held, self._settings[mode_of(self._configured, held.override, now_ms)]
