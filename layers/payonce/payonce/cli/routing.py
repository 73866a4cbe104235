"""The operator's commands for routing: show what is in force and why, drain a gateway, force a mode, release, history.

Every override has an operator, a reason and an end. Each command prints the next step.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from itertools import islice
from typing import TYPE_CHECKING

from payonce.cli.output import Exit, listed, tell
from payonce.cli.routing_decisions import explain_decision, list_decisions, replay_decision
from payonce.cli.routing_options import TABLES, add_commands
from payonce.cli.routing_views import Configured, entry_document, entry_line, says, show_document, show_lines, until
from payonce.cli.support import application_of, audited_act, names_tables, shown
from payonce.domain.durations import MINUTE_MS
from payonce.domain.errors import BodyMalformed, MisconfiguredError, OverrideRefused
from payonce.domain.principals import operator_of
from payonce.ports import Table
from payonce.routing.control.configured import MODE_VARIABLE, SETTINGS_VARIABLE
from payonce.routing.control.control_cache import JITTER, REFRESH_MS
from payonce.routing.control.control_store import ControlStore
from payonce.routing.control.in_force import seen
from payonce.routing.control.override import parse_override, readable
from payonce.routing.control.override_desk import OverrideDesk
from payonce.routing.control.routing_settings import Mode, RoutingSettings
from payonce.routing.decision.history import newest_decisions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from payonce.ports import Write
    from payonce.wiring.application import Application

__all__ = ["add_commands", "run"]

OPERATOR = "operator"  # the audit trail's scope for acts that concern no single merchant
SETTINGS = frozenset(setting.name for setting in fields(RoutingSettings))
FOLLOW_SECONDS = REFRESH_MS * (1 + JITTER) / 1000  # by then every environment has read the control item again
SETTLING_MS = 10_000  # the predictor reads the override every 5 s


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Run the command and return the exit code. Raises ``PayonceError``."""
    audited = names_tables(options, environment, (Table.AUDIT,))
    application = application_of(options, environment, (*TABLES, Table.AUDIT) if audited else TABLES)
    match options.routing_command:
        case "show":
            return _show(application, environment, options)
        case "drain" | "weights" | "mode":
            return _set(application, environment, options)
        case "release":
            return _release(application, environment, options)
        case "history":
            return _history(application, options)
        case "decisions":
            return list_decisions(application, options)
        case "replay":
            return replay_decision(application, options)
        case _:
            return explain_decision(application, options)


def _configured(application: Application, environment: Mapping[str, str]) -> Configured:
    """Return the deployed settings from the last decision's record, else those of this environment."""
    newest = next(newest_decisions(application.database, application.clock.now_ms()), None)
    named = Mode(environment[MODE_VARIABLE]) if environment.get(MODE_VARIABLE) else None
    if newest is not None:
        try:
            # Another version of payonce, from before an update, may have recorded settings that are gone: a gateway
            # can be drained all the same.
            stored = {name: value for name, value in newest.stored["settings"].items() if name in SETTINGS}
            settings = RoutingSettings.from_json(stored)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BodyMalformed(
                f"The settings in the record of epoch {newest.epoch} can't be read: {error}."
            ) from error
        source = f"of decision {newest.epoch}, {shown(newest.at_ms)}"
        weights = _weights_before_override(application, newest.at_ms)
        if weights is not None and weights.keys() == settings.neutral.keys():
            settings = replace(settings, neutral=weights)
        mode = named or (None if _is_forced(application) else settings.mode)
        return Configured(settings=settings, mode=mode, source=source, decides=True)
    if environment.get(SETTINGS_VARIABLE) or application.settings.default_gateway:
        routing = application.settings.routing
        return Configured(settings=routing, mode=named, source="of this environment; there is no decision")
    return Configured(settings=None, mode=named, source="not known here; there is no decision")


def _weights_before_override(application: Application, at_ms: int) -> dict[str, float] | None:
    # Under an override, decisions are made and recorded with static weights that lack the drained gateways. The
    # override's entry in the trail has the original weights.
    newest = next(_desk(application, {}).history(), None)
    if newest is None:
        return None
    override = parse_override(newest.after, None)
    end_ms = newest.at_ms if override.is_release() else override.expires_at_ms
    return json.loads(newest.weights) or None if at_ms < end_ms + SETTLING_MS else None


def _is_forced(application: Application) -> bool:
    # While an override forces a mode, decisions are recorded with that mode, not with the configured one.
    override, now_ms = readable(ControlStore(application.database).read().override, None), application.clock.now_ms()
    return override is not None and override.mode_at(now_ms) is not None and override.is_in_force(now_ms)


def _show(application: Application, environment: Mapping[str, str], options: argparse.Namespace) -> int:
    known, now_ms = _configured(application, environment), application.clock.now_ms()
    gateways = frozenset(known.weights) | frozenset(application.settings.gateways)
    now = seen(ControlStore(application.database).read(), gateways)
    lines = show_lines(known, now, now_ms)
    tell(options, show_document(known, now, now_ms), "\n".join(line.rstrip() for line in lines))
    return Exit.DONE


def _desk(application: Application, weights: Mapping[str, float]) -> OverrideDesk:
    return OverrideDesk(application.database, application.clock, weights)


def _set(application: Application, environment: Mapping[str, str], options: argparse.Namespace) -> int:
    known = _configured(application, environment)
    if known.settings is None:
        raise MisconfiguredError(
            "The gateways are not known here: there is no decision to read them from. Set PAYONCE_GATEWAYS and "
            f"{SETTINGS_VARIABLE} as the stack has them."
        )
    if known.mode is Mode.OFF:
        raise OverrideRefused(
            "RoutingMode is off, and then payments read no override. Deploy with RoutingMode=shadow: it routes as off "
            "does, and obeys overrides."
        )
    mode = Mode(options.mode) if options.routing_command == "mode" else None
    now_ms = application.clock.now_ms()
    before = seen(ControlStore(application.database).read(), frozenset(known.weights))
    override = _desk(application, known.weights).set(
        operator=options.operator,
        reason=options.reason,
        mode=mode,
        shares=_shares(options),
        life_ms=options.minutes * MINUTE_MS,
        beside=_audited(application, environment, options),
    )
    text = f"in force   {says(override)}\n           {until(override, now_ms)}\n"
    earlier = before.override_at(now_ms)
    if earlier is not None:  # parts of it may be another operator's
        text += (
            f"before     {says(earlier)}\n"
            f"           {until(earlier, now_ms)}, by {earlier.operator}: {earlier.reason}\n"
            "           what is not named now keeps its own end\n"
        )
    if known.mode is None and not known.decides:
        text += "warning: there is no decision yet. If RoutingMode is off, payments do not read this\n"
    text += (
        f"payments follow within {FOLLOW_SECONDS:g} s\n"
        "next: payonce routing show; payonce routing release ends it sooner\n"
    )
    tell(options, {"override": override, "before": before.override}, text)
    return Exit.DONE


def _shares(options: argparse.Namespace) -> dict[str, float]:
    if options.routing_command == "drain":
        return {options.gateway: options.share}
    shares: dict[str, float] = {}
    for part in options.shares if options.routing_command == "weights" else ():
        gateway, _, share = part.rpartition("=")
        try:
            shares[gateway] = float(share)
        except ValueError:
            gateway = ""
        if not gateway:
            raise BodyMalformed(f"{part!r} is no gateway and its share. Write alder=0.5.")
    return shares


def _release(application: Application, environment: Mapping[str, str], options: argparse.Namespace) -> int:
    _desk(application, _configured(application, environment).weights).release(
        operator=options.operator,
        reason=options.reason,
        beside=_audited(application, environment, options),
    )
    text = f"released; payments follow within {FOLLOW_SECONDS:g} s\nnext: payonce routing show"
    tell(options, {"released": True, "follow_seconds": FOLLOW_SECONDS}, text)
    return Exit.DONE


def _audited(application: Application, environment: Mapping[str, str], options: argparse.Namespace) -> list[Write]:
    """Return the audit trail entry if that table is named; the history of overrides names the operator in any case."""
    if not names_tables(options, environment, (Table.AUDIT,)):
        return []
    return audited_act(
        application,
        scope=OPERATOR,
        operation=f"{options.routing_command}_routing",
        resource="/routing",
        principal=operator_of(options.operator),
        reason=options.reason,
    )


def _history(application: Application, options: argparse.Namespace) -> int:
    entries = list(islice(_desk(application, {}).history(), options.last))
    text = "".join(f"{entry_line(entry)}\n" for entry in entries)
    tell(options, listed(map(entry_document, entries)), text or "nobody has overridden routing yet")
    return Exit.DONE
