"""Logs what a decision changes. The alarms' metric filters and operators read these lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.routing.control.document import EVERYTHING

if TYPE_CHECKING:
    from payonce.ports import Log
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.decision.state import State

NOTED_LEVEL = 0.98  # a gateway below this share of its neutral weight is reported as demoted


def demoted(state: State) -> dict[str, list[str]]:
    """Return the demoted gateways, each with its demoted methods. The list is empty for one limited for all methods."""
    found: dict[str, list[str]] = {gateway: [] for gateway, limit in state.limits.items() if limit.rate is not None}
    for cell, level in sorted(state.levels.items()):
        if level < NOTED_LEVEL:
            found.setdefault(cell.gateway, []).append(cell.method)
    return found


def log_changes(log: Log, before: State, after: State, document: ControlDocument, last: ControlDocument | None) -> None:
    """Log which demotions and shedding begin or end with ``document``. ``before`` is the state last published."""
    said = {"epoch": document.epoch, "mode": document.mode.value, "reason": document.reason}
    was, now = demoted(before), demoted(after)
    for gateway in sorted(now.keys() - was.keys()):
        log.warning("gateway demoted", extra={**said, "gateway": gateway, "methods": now[gateway]})
    for gateway in sorted(was.keys() - now.keys()):
        log.info("gateway restored", extra={**said, "gateway": gateway})
    shed = document.admission != EVERYTHING
    admission = {"authorization": document.admission.authorization, "batch": document.admission.batch}
    if shed and not before.refusing:
        merchants = len(document.admission.merchants)
        log.warning("payments are shed", extra={**said, **admission, "limited_merchants": merchants})
    if before.refusing and not shed:
        log.info("payments are no longer shed", extra=said)
    if last is None or content(document) != content(last):
        log.info("routing decided", extra={**said, "weights": document.weights, "limits": document.limits})


def content(document: ControlDocument) -> tuple[Any, ...]:
    """Return what payments act on: two documents with equal content route and admit alike."""
    return document.mode, document.weights, document.limits, document.admission
