"""Drain a gateway, and release the override: with a reason and an end, through the desk that keeps their history.

A form's key is written in the same transaction as the override. So a form that is sent twice acts once, whichever of
its two requests comes first, and both are told so.

Allowed: dynamodb:GetItem on RoutingTable with the leading keys CONTROL and FORM#*; dynamodb:Query with OVERRIDES;
dynamodb:PutItem with OVERRIDES and FORM#*; dynamodb:UpdateItem with CONTROL on the attributes pk, sk, override,
override_version.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.console.page import Done
from payonce.console.views.routing_now import what_it_does
from payonce.domain.durations import MINUTE_MS
from payonce.domain.errors import BodyMalformed, OverrideConflict, OverrideRefused
from payonce.ports import Insert, Table
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.in_force import seen
from payonce.routing.control.override_desk import OverrideDesk, last_version
from payonce.routing.control.routing_settings import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.console.page import ActionRequest, Services
    from payonce.ports import Write
    from payonce.routing.control.override import Override

PAGE = "/gateways"
FORM_PREFIX = "FORM#"
FORM_KEPT_SECONDS = 2 * 86_400  # longer than a session, within which a form can be sent again
WHOLE = re.compile(r"\d{1,6}")
_VERSION = re.compile(r"[0-9]{1,10}")
FOLLOW = "Payments follow within 6 s."


def drain(services: Services, request: ActionRequest) -> Done:
    """Leave a ``gateway`` a part of its weight (``percent``, 0 by default) for ``minutes``, for a ``reason``.

    Raises ``OverrideRefused`` (no reason or end, unknown gateway, none left, routing off), ``OverrideConflict`` if
    another operator was faster or has made a change that the form's page did not show, ``BodyMalformed`` and
    ``StoreUnavailable``. Nothing was changed then.
    """
    gateway = request.fields.get("gateway", "")
    if gateway not in services.settings.routing.neutral:
        raise OverrideRefused(f"Routing knows no gateway {gateway}.", field="gateway")
    percent = _whole(request, "percent", "The part of its weight", 100)
    minutes = _whole(request, "minutes", "The minutes", 100_000)
    seen_version = _seen_version(request)

    def act(desk: OverrideDesk, beside: Sequence[Write]) -> Override:
        return desk.set(
            operator=request.operator.name,
            reason=request.fields.get("reason", ""),
            shares={gateway: percent / 100},
            life_ms=minutes * MINUTE_MS,
            seen_version=seen_version,
            beside=beside,
        )

    _once(services, request, act)
    left = "none" if percent == 0 else f"{percent} %"
    why = request.fields.get("reason", "").strip()
    return Done(PAGE, f"Drained: {gateway} gets {left} of its weight for {minutes} min ({why}). {FOLLOW}")


def release(services: Services, request: ActionRequest) -> Done:
    """End the override for a ``reason``, so that configuration and decisions count again. Raises as ``drain`` does."""
    seen_version = _seen_version(request)
    _once(
        services,
        request,
        lambda desk, beside: desk.release(
            operator=request.operator.name,
            reason=request.fields.get("reason", ""),
            seen_version=seen_version,
            beside=beside,
        ),
    )
    return Done(PAGE, f"The override was released ({request.fields.get('reason', '').strip()}). {FOLLOW}")


def _once(services: Services, request: ActionRequest, act: Callable[[OverrideDesk, Sequence[Write]], Override]) -> None:
    routing = services.settings.routing
    if routing.mode is Mode.OFF:
        raise OverrideRefused(
            "Routing is off, and then payments read no override. Deploy with RoutingMode=shadow: it routes as off "
            "does, and obeys overrides."
        )
    if not request.key:
        raise BodyMalformed("The form has no key. Open the page again, and send the form from there.")
    form = {"pk": FORM_PREFIX + request.key, "sk": "FORM"}
    if services.database.get(Table.ROUTING, form) is not None:
        return
    marker = Insert(Table.ROUTING, {**form, "purge_at": request.now_ms // 1000 + FORM_KEPT_SECONDS})
    try:
        act(OverrideDesk(services.database, services.clock, routing.neutral), [marker])
    except OverrideConflict as conflict:
        if services.database.get(Table.ROUTING, form) is None:
            raise _with_what_is_in_force(services, conflict, request.now_ms) from None


def _with_what_is_in_force(services: Services, conflict: OverrideConflict, now_ms: int) -> OverrideConflict:
    """Return the refusal with what it is about, so that the form, sent again, is about a change that was seen."""
    weights = services.settings.routing.neutral
    control = ControlStore(services.database).read()
    newest = next(OverrideDesk(services.database, services.clock, weights).history(), None)
    left = seen(control, frozenset(weights) | frozenset(services.settings.gateways)).override_at(now_ms)
    says = f"{what_it_does(left, now_ms)} ({left.reason})" if left is not None else "nothing is overridden"
    return OverrideConflict(
        f"{conflict.detail} In force now: {says}.", seen=last_version(control.override_version, newest)
    )


def _seen_version(request: ActionRequest) -> int:
    text = request.fields.get("seen", "")
    if not _VERSION.fullmatch(text):
        raise BodyMalformed("The form does not say which override its page showed. Open the page again.")
    return int(text)


def _whole(request: ActionRequest, name: str, what: str, most: int) -> int:
    text = request.fields.get(name, "")
    if not WHOLE.fullmatch(text) or int(text) > most:
        raise BodyMalformed(f"{what} is a whole number, at most {most}.", field=name)
    return int(text)
