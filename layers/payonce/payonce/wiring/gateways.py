"""The wiring of the gateways' adapters and of the router that chooses between them."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from payonce.domain.errors import GatewayUnavailable
from payonce.observability import get_logger
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.domain.gateway_address import Whereabouts
    from payonce.ports import Clock, Database, Gateway
    from payonce.routing.control.router import Router
    from payonce.wiring.settings import GatewaySettings, Settings


# The adapters whose key has one name, whatever the gateway is called; of the others it is the gateway's name.
NAMED_BY_KIND = frozenset({"stripe", "adyen", "sandbox_bank"})


def make_router(settings: Settings, database: Callable[[], Database], clock: Clock) -> Router:
    """Return the router of new payments. In mode off it does not open the database."""
    # Imported here, because the functions of captures and refunds use this module too and choose no route.
    from payonce.routing.control.control_cache import BackgroundReader, ControlCache
    from payonce.routing.control.control_store import ControlStore
    from payonce.routing.control.router import Router

    # Has no state: environments that are restored from one snapshot would draw the same gateways in the same order.
    draw = random.SystemRandom().random
    cache = None
    if settings.routing.mode is not Mode.OFF:
        reader = BackgroundReader(ControlStore(database()).read, _report)
        cache = ControlCache(reader, frozenset(settings.gateways), draw=draw, report=_report)
    return Router(settings.routing, cache, now_ms=clock.now_ms, draw=draw)


def make_gateway(
    settings: Settings,
    name: str,
    secrets: Callable[[], Mapping[str, str]],
    clock: Clock,
    database: Callable[[], Database],
    where: Whereabouts | None = None,
) -> Gateway:
    """Return the adapter of the gateway ``name``. Raises ``GatewayUnavailable`` unless it is configured.

    ``database`` is opened for gateways that can't be asked: what became of their operations is kept there. ``where`` is
    the account whose events tell of them, the platform's without one.
    """
    configured = settings.gateways.get(name)
    if configured is None:
        raise GatewayUnavailable(f"The gateway {name!r} is not configured.")
    if configured.kind == "stripe":
        # Importing the SDK takes about 0.4 s, so only a deployment that uses it does.
        from payonce.gateways.stripe_gateway import stripe_from_options

        return stripe_from_options(name, configured.options, secrets(), clock)
    if configured.kind == "adyen":
        from payonce.gateways.adyen_gateway import adyen_from_options
        from payonce.notices.told import KeptNoticeBook

        return adyen_from_options(name, configured.options, secrets(), KeptNoticeBook(database(), where), clock)
    if configured.kind == "mollie":
        from payonce.gateways.mollie_gateway import mollie_from_options

        return mollie_from_options(name, configured.options, secrets(), clock)
    from payonce.gateways.sandbox_bank import sandbox_bank_from_options

    return sandbox_bank_from_options(name, configured.options, secrets(), clock)


def secret_name(configured: GatewaySettings) -> str:
    """Return the name under which the adapter of this kind finds its API key among the secrets."""
    named = configured.kind if configured.kind in NAMED_BY_KIND else configured.name
    return f"{named}_api_key"


def at_account(configured: GatewaySettings, account: str, *, connected: bool) -> GatewaySettings:
    """Return the settings of the same gateway at another account. ``connected``: it is used by the platform's key.

    What names the account in every request is set here, and only here: Stripe's header, Adyen's merchant account, and
    the bank in the address of the sandbox bank. A Stripe or Mollie key of the account's own names it by itself.
    """
    named: dict[str, str] = {}
    if configured.kind == "stripe" and connected:
        named["stripe_account"] = account
    elif configured.kind == "adyen":
        named["merchant_account"] = account
    elif configured.kind == "sandbox_bank":
        named["url"] = f"{str(configured.options['url']).rstrip('/').rpartition('/')[0]}/{account}"
    return replace(configured, options={**configured.options, **named})


def _report(error: Exception) -> None:
    get_logger().warning("routing control not read", extra={"error": repr(error)})
