"""Routing's decisions: the last ones, and one with its forecasts, made again to see whether it comes out the same.

Allowed: see gateways.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from payonce.console.page import Rendered
from payonce.domain.errors import BodyMalformed, NotFound, PayonceError
from payonce.routing.control.routing_settings import Mode
from payonce.routing.decision.history import SEARCHED_HOURS, differences, find_decision, newest_decisions
from payonce.routing.decision.record import VERSION, replay
from payonce.routing.detection.rising import AHEAD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.page import PageRequest, Services
    from payonce.routing.decision.history import KeptDecision

SHOWN = 30
NAMED_DIFFERENCES = 20
HOUR = re.compile(r"\d{8}T\d{2}")
EPOCH = re.compile(r"\d{1,12}")


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A decision in the list."""

    epoch: int
    hour: str
    at_ms: int
    mode: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """What a decision expected of a route. Shares are 0..1."""

    gateway: str
    method: str
    bad: float
    others: float
    trusted: float
    drivers: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision made again from its record: ``same`` bytes, or the ``differences``; ``problem``: why it was not."""

    same: bool
    bytes: int
    differences: tuple[str, ...] = ()
    problem: str = ""


def decisions(services: Services, request: PageRequest) -> Rendered:
    """Return the page of the last decisions that were kept. Raises ``StoreUnavailable`` and ``BodyMalformed``.

    A round trip for ten decisions, and one for each hour that is searched for them. With routing off none is made, and
    none is searched for.
    """
    off = services.settings.routing.mode is Mode.OFF
    found = [] if off else list(islice(newest_decisions(services.database, request.now_ms), SHOWN))
    rows = [_row(kept) for kept in found]
    return Rendered("decisions.html", {"rows": rows, "off": off, "searched_hours": SEARCHED_HOURS})


def decision(services: Services, request: PageRequest) -> Rendered:
    """Return the page of one decision by its ``epoch``, and the ``hour`` of the query. One round trip.

    Raises ``NotFound``, ``BodyMalformed`` for a record that can't be read, and ``StoreUnavailable``.
    """
    epoch, hour = request.path_parameters["epoch"], request.query.get("hour", "")
    if not EPOCH.fullmatch(epoch):
        raise NotFound("A decision has a number.")
    if hour and not HOUR.fullmatch(hour):
        raise BodyMalformed("An hour is written as 20261125T11 (UTC).")
    kept = find_decision(services.database, int(epoch), request.now_ms, hour or None)
    document = kept.stored.get("document") or {}
    return Rendered(
        "decision.html",
        {
            "row": _row(kept),
            "forecasts": _forecasts(kept),
            "weights": _weights(document),
            "limits": sorted((document.get("limits") or {}).items()),
            "replayed": replayed(kept),
            "ahead_seconds": round(AHEAD_SECONDS),
        },
    )


def replayed(kept: KeptDecision) -> Replayed:
    """Make the decision again and compare. Pure; some milliseconds."""
    try:
        made = replay(kept.recorded)
    except (ValueError, PayonceError) as error:
        return Replayed(same=False, bytes=0, problem=str(error))
    if made == kept.recorded:
        return Replayed(same=True, bytes=len(made))
    found = islice(differences(kept.stored, json.loads(made)), NAMED_DIFFERENCES)
    return Replayed(same=False, bytes=len(made), differences=tuple(found))


def _row(kept: KeptDecision) -> DecisionRow:
    document = kept.stored.get("document") or {}
    return DecisionRow(
        kept.epoch, kept.hour, kept.at_ms, str(document.get("mode", "–")), str(document.get("reason", "–"))
    )


def _forecasts(kept: KeptDecision) -> list[ForecastRow]:
    if kept.stored.get("version") != VERSION:
        return []
    try:
        rows = [
            ForecastRow(
                key.partition("|")[0],
                key.partition("|")[2],
                float(known["bad_share"]),
                float(known["others_share"]),
                float(known["trusted"]),
                ", ".join(known["drivers"]),
            )
            for key, known in (kept.stored.get("forecasts") or {}).items()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BodyMalformed(f"The record of epoch {kept.epoch} can't be explained: it was changed.") from error
    return sorted(rows, key=lambda row: (-row.bad, row.gateway, row.method))


def _weights(document: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    return [
        (method, gateway, float(weight))
        for method, shares in sorted((document.get("weights") or {}).items())
        for gateway, weight in sorted(shares.items())
    ]
