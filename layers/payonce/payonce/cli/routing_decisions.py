"""``payonce routing decisions``, ``replay`` and ``explain``: show decisions and their inputs."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from payonce.cli.output import Exit, listed, tell
from payonce.cli.routing_views import plain
from payonce.cli.support import shown
from payonce.domain.errors import BodyMalformed, PayonceError
from payonce.routing.decision.history import SEARCHED_HOURS, differences, find_decision, newest_decisions
from payonce.routing.decision.record import VERSION, replay
from payonce.routing.detection.rising import AHEAD_SECONDS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from payonce.routing.decision.history import KeptDecision
    from payonce.wiring.application import Application

NAMED_DIFFERENCES = 20  # the number of differences shown: the first ones suffice to see their kind
HOUR = re.compile(r"\d{8}T\d{2}")


def list_decisions(application: Application, options: argparse.Namespace) -> int:
    """List the last decisions. Raises ``PayonceError``, as do the other commands."""
    kept = newest_decisions(application.database, application.clock.now_ms())
    decisions = list(islice(kept, options.last))
    text = "".join(
        f"{each.epoch:>8}  {shown(each.at_ms)}  {plain(str(_document(each).get('reason', '')))}\n" for each in decisions
    )
    after = (
        "next: payonce routing explain EPOCH, or payonce routing replay EPOCH"
        if decisions
        else f"no decision in the last {SEARCHED_HOURS} hours. With RoutingMode off none are made; else see "
        "docs/runbooks/routing-predictor-silent.md"
    )
    data = ({"epoch": kept.epoch, "at_ms": kept.at_ms, "hour": kept.hour, **_reason(kept)} for kept in decisions)
    tell(options, listed(data), text + after)
    return Exit.DONE


def _found(application: Application, options: argparse.Namespace) -> KeptDecision:
    if options.hour is not None and not HOUR.fullmatch(options.hour):
        raise BodyMalformed(f"{options.hour!r} is no hour. Write 20261125T11 (UTC).")
    return find_decision(application.database, options.epoch, application.clock.now_ms(), options.hour)


def replay_decision(application: Application, options: argparse.Namespace) -> int:
    """Replay a decision and compare; return 0 for the same bytes, 1 for a difference."""
    kept = _found(application, options)
    try:
        made = replay(kept.recorded)
    except (ValueError, PayonceError) as error:
        raise BodyMalformed(
            f"The record of epoch {kept.epoch} can't be replayed: {error}. If another version of payonce made it, "
            "replay it with that one."
        ) from error
    document = {"epoch": kept.epoch, "at_ms": kept.at_ms, "same": made == kept.recorded, "bytes": len(made)}
    if made == kept.recorded:
        tell(options, document, f"the same bytes: {len(made)}, epoch {kept.epoch}, {shown(kept.at_ms)}")
        return Exit.DONE
    found = list(islice(differences(kept.stored, json.loads(made)), NAMED_DIFFERENCES))
    text = f"NOT the same: epoch {kept.epoch}, {shown(kept.at_ms)}\n" + "".join(f"  {line}\n" for line in found)
    text += (
        "next: was it made by this version of payonce? If so, the record was changed, or a decision depends on "
        "something that is not in it: a defect"
    )
    tell(options, {**document, "differences": found}, text)
    return Exit.FOUND


def explain_decision(application: Application, options: argparse.Namespace) -> int:
    """Show the forecasts behind a decision. Raises ``BodyMalformed`` for the record of another version."""
    kept = _found(application, options)
    version = kept.stored.get("version")
    if version != VERSION:
        raise BodyMalformed(
            f"The record of epoch {kept.epoch} can't be explained: it is of version {version}, and this payonce reads "
            f"version {VERSION}. Use the payonce that made it."
        )
    try:
        lines = list(_forecast_lines(kept))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BodyMalformed(
            f"The record of epoch {kept.epoch} can't be explained: it was changed ({error!r})."
        ) from error
    document = {"epoch": kept.epoch, "at_ms": kept.at_ms, "forecasts": kept.stored.get("forecasts") or {}}
    tell(options, document | _reason(kept), "\n".join(lines))
    return Exit.DONE


def _document(kept: KeptDecision) -> dict[str, Any]:
    return kept.stored.get("document") or {}


def _reason(kept: KeptDecision) -> dict[str, Any]:
    return {name: _document(kept).get(name) for name in ("mode", "reason")}


def _forecast_lines(kept: KeptDecision) -> Iterator[str]:
    """Yield the lines of ``routing explain``: each route's forecast, the worst first."""
    document, forecasts = _document(kept), kept.stored.get("forecasts") or {}
    yield f"decision   epoch {kept.epoch}, {shown(kept.at_ms)}, hour {kept.hour}"
    yield f"mode       {document.get('mode', '-')}"
    yield f"reason     {plain(str(document.get('reason', '-')))}"
    yield (
        f"forecasts  share of bad payments (no answer, or later than the SLO) within {AHEAD_SECONDS:.0f} s, against "
        "the best other route's; trusted: the part of its neutral share that the route is trusted with"
    )
    rows = [["gateway", "method", "bad", "others", "trusted", "drivers"]]
    for key, known in sorted(forecasts.items(), key=lambda item: (-item[1]["bad_share"], item[0])):
        shares = [f"{known[name]:.1%}" for name in ("bad_share", "others_share", "trusted")]
        rows.append([*map(plain, key.partition("|")[::2]), *shares, ", ".join(known["drivers"]) or "-"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
