"""Settings from the environment, read and validated once at start-up, so that a mistake can't fail a payment later."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_SECONDS
from payonce.domain.errors import MisconfiguredError
from payonce.gateways.method_types import EVERY_METHOD_TYPE, METHOD_TYPES
from payonce.idempotency.window import DEFAULT_AUDIT_RETENTION_SECONDS, MIN_AUDIT_RETENTION_SECONDS, IdempotencySettings
from payonce.ports import Table
from payonce.routing.control.configured import MODE_VARIABLE, SETTINGS_VARIABLE, configured_routing
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.domain.gateway import PaymentMethodType
    from payonce.routing.control.routing_settings import RoutingSettings

POWERTOOLS_OFF_SWITCH = "POWERTOOLS_IDEMPOTENCY_DISABLED"
DOCUMENTATION_VARIABLE = "PAYONCE_DOCUMENTATION_URL"
LOCAL_ENVIRONMENT = "local"  # a value of template.yaml's parameter Environment
_PAGE = re.compile(r"https?://[A-Za-z0-9][!\"$-~]{0,500}", re.ASCII)
# What Stripe takes at one endpoint, and a quarter of what it takes in all (https://docs.stripe.com/rate-limits): the
# rest is for new payments.
DEFAULT_RECOVERY_REQUESTS_PER_SECOND = 25.0
RECOVERY_OPTION = "recovery_requests_per_second"
MAX_RECOVERY_REQUESTS_PER_SECOND = 10_000.0
METHODS_OPTION = "payment_method_types"
OWN_OPTIONS = frozenset({"name", "kind", RECOVERY_OPTION, METHODS_OPTION})


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """A configured gateway: its ``name`` in records and ledgers, its ``kind`` (adapter), and the adapter's options.

    ``recovery_requests_per_second``: the most that recovery asks of it and sends to it, beside new payments.
    ``payment_method_types``: what new payments at this gateway can be paid by; at most what its adapter can do.
    """

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    recovery_requests_per_second: float = DEFAULT_RECOVERY_REQUESTS_PER_SECOND
    payment_method_types: frozenset[PaymentMethodType] = EVERY_METHOD_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings that differ between deployments."""

    table_names: Mapping[Table, str]
    idempotency: IdempotencySettings
    gateways: Mapping[str, GatewaySettings]
    default_gateway: str
    gateway_secret_arn: str
    routing: RoutingSettings
    endpoint_url: str | None = None
    secrets_key_arn: str = ""
    delivery_queue_url: str = ""
    recovery_queue_url: str = ""
    notice_queue_url: str = ""
    corrections_arn: str = ""
    allow_local_endpoints: bool = False
    audit_retention_seconds: int = DEFAULT_AUDIT_RETENTION_SECONDS
    documentation_url: str = ""


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings of ``environment``. Raises ``MisconfiguredError`` with the variable and what it needs."""
    if environment.get(POWERTOOLS_OFF_SWITCH, "").strip().lower() in {"1", "true", "yes", "y", "on", "t"}:
        raise MisconfiguredError(
            f"{POWERTOOLS_OFF_SWITCH} is set. It would turn off the protection against double charges; unset it."
        )
    defaults = IdempotencySettings()
    gateways = _gateways(environment.get("PAYONCE_GATEWAYS", "[]"))
    default_gateway = environment.get("PAYONCE_DEFAULT_GATEWAY", "")
    if default_gateway and default_gateway not in gateways:
        raise MisconfiguredError(f"PAYONCE_DEFAULT_GATEWAY is {default_gateway!r}, which PAYONCE_GATEWAYS lacks.")
    return Settings(
        table_names={
            table: environment[f"PAYONCE_{table.name}_TABLE"]
            for table in Table
            if environment.get(f"PAYONCE_{table.name}_TABLE")
        },
        idempotency=IdempotencySettings(
            window_seconds=_whole(environment, "PAYONCE_WINDOW_SECONDS", defaults.window_seconds),
            guard_seconds=_whole(environment, "PAYONCE_GUARD_SECONDS", defaults.guard_seconds),
        ),
        gateways=gateways,
        default_gateway=default_gateway,
        gateway_secret_arn=environment.get("PAYONCE_GATEWAY_SECRET_ARN", ""),
        routing=_routing(environment, gateways, default_gateway),
        endpoint_url=environment.get("PAYONCE_ENDPOINT_URL") or environment.get("AWS_ENDPOINT_URL") or None,
        secrets_key_arn=environment.get("PAYONCE_SECRETS_KEY_ARN", ""),
        delivery_queue_url=environment.get("PAYONCE_DELIVERY_QUEUE_URL", ""),
        recovery_queue_url=environment.get("PAYONCE_RECOVERY_QUEUE_URL", ""),
        notice_queue_url=environment.get("PAYONCE_GATEWAY_EVENT_QUEUE_URL", ""),
        corrections_arn=environment.get("PAYONCE_CORRECTIONS_ARN", ""),
        # Allows webhooks to loopback over plain HTTP, for a receiver on the developer's machine only.
        allow_local_endpoints=environment.get("PAYONCE_ENVIRONMENT", "") == LOCAL_ENVIRONMENT,
        audit_retention_seconds=_audit_retention_seconds(environment),
        documentation_url=documentation_url_of(environment),
    )


def documentation_url_of(environment: Mapping[str, str]) -> str:
    """Return the URL of the page to which problems link, or "". Raises ``MisconfiguredError`` for a malformed one."""
    url = environment.get(DOCUMENTATION_VARIABLE, "")
    if url and not _PAGE.fullmatch(url):
        raise MisconfiguredError(
            f"{DOCUMENTATION_VARIABLE} is {url!r}; it must be the address of a page, http:// or https://, without #."
        )
    return url


def _routing(
    environment: Mapping[str, str], gateways: Mapping[str, GatewaySettings], default_gateway: str
) -> RoutingSettings:
    settings = configured_routing(
        environment.get(MODE_VARIABLE, ""),
        environment.get(SETTINGS_VARIABLE, ""),
        gateways=gateways,
        default_gateway=default_gateway,
    )
    if settings.mode is not Mode.OFF and not environment.get("PAYONCE_ROUTING_TABLE"):
        # Without the table every read would fail, and routing would silently stay neutral.
        raise MisconfiguredError(f"{MODE_VARIABLE} is {settings.mode.value!r}, but PAYONCE_ROUTING_TABLE is not set.")
    return settings


def _audit_retention_seconds(environment: Mapping[str, str]) -> int:
    default_days = DEFAULT_AUDIT_RETENTION_SECONDS // DAY_SECONDS
    seconds = _whole(environment, "PAYONCE_AUDIT_RETENTION_DAYS", default_days, "days") * DAY_SECONDS
    if seconds < MIN_AUDIT_RETENTION_SECONDS:
        raise MisconfiguredError(
            f"PAYONCE_AUDIT_RETENTION_DAYS must be at least {MIN_AUDIT_RETENTION_SECONDS // DAY_SECONDS}."
        )
    return seconds


def _whole(environment: Mapping[str, str], name: str, default: int, unit: str = "seconds") -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdecimal():
        raise MisconfiguredError(f"{name} is {text!r}; it must be a whole number of {unit}.")
    return int(text)


def _gateways(text: str) -> dict[str, GatewaySettings]:
    try:
        entries = json.loads(text)
        found = [
            GatewaySettings(
                name=entry["name"],
                kind=entry["kind"],
                options={name: value for name, value in entry.items() if name not in OWN_OPTIONS},
                recovery_requests_per_second=float(entry.get(RECOVERY_OPTION, DEFAULT_RECOVERY_REQUESTS_PER_SECOND)),
                payment_method_types=_method_types(entry),
            )
            for entry in entries
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MisconfiguredError(
            'PAYONCE_GATEWAYS must be a JSON list such as [{"name":"stripe","kind":"stripe"}].'
        ) from error
    for gateway in found:
        if gateway.kind not in METHOD_TYPES:
            raise MisconfiguredError(
                f"PAYONCE_GATEWAYS names the kind {gateway.kind!r}; known are {', '.join(sorted(METHOD_TYPES))}."
            )
        if not 0 < gateway.recovery_requests_per_second <= MAX_RECOVERY_REQUESTS_PER_SECOND:
            raise MisconfiguredError(
                f"PAYONCE_GATEWAYS: {RECOVERY_OPTION} of {gateway.name} must be above 0 and at most "
                f"{MAX_RECOVERY_REQUESTS_PER_SECOND:.0f}."
            )
    return {gateway.name: gateway for gateway in found}


def _method_types(entry: Mapping[str, Any]) -> frozenset[PaymentMethodType]:
    """Return the types that a gateway's entry allows, or all of its kind. An unknown kind is refused by the caller."""
    possible = METHOD_TYPES.get(entry["kind"], EVERY_METHOD_TYPE)
    listed = entry.get(METHODS_OPTION, possible)
    wrong = sorted({str(each) for each in listed} - possible) if not isinstance(listed, str) else [listed]
    if wrong or not listed:
        raise MisconfiguredError(
            f"PAYONCE_GATEWAYS: {METHODS_OPTION} of {entry['name']} must be a list of some of "
            f"{', '.join(sorted(possible))}{'; it has ' + ', '.join(wrong) if wrong else ''}."
        )
    return frozenset(each for each in possible if each in listed)
