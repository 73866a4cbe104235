"""What a decision changes, as the log tells it: alarms and people read these lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.routing.control.document import EVERYTHING

if TYPE_CHECKING:
    from payonce.ports import Log
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.decision.state import State

NOTED_LEVEL = 0.98  # of its share: a gateway with less is demoted


def demoted(state: State) -> dict[str, list[str]]:
    """Return the gateways that get less than their share, with the methods; none when it is limited as a whole."""
    found: dict[str, list[str]] = {gateway: [] for gateway, limit in state.limits.items() if limit.rate is not None}
    for cell, level in sorted(state.levels.items()):
        if level.level < NOTED_LEVEL:
            found.setdefault(cell.gateway, []).append(cell.method)
    return found


def log_changes(log: Log, before: State, after: State, document: ControlDocument, last: ControlDocument | None) -> None:
    """Log what begins and what ends with ``document``. ``before`` is the state of the last published one."""
    said = {"epoch": document.epoch, "mode": document.mode.value, "reason": document.reason}
    was, now = demoted(before), demoted(after)
    for gateway in sorted(now.keys() - was.keys()):
        log.warning("gateway demoted", extra={**said, "gateway": gateway, "methods": now[gateway]})
    for gateway in sorted(was.keys() - now.keys()):
        log.info("gateway restored", extra={**said, "gateway": gateway})
    shed = document.admission != EVERYTHING
    admission = {"authorization": document.admission.authorization, "batch": document.admission.batch}
    if shed and not before.scarce:
        merchants = len(document.admission.merchants)
        log.warning("payments are shed", extra={**said, **admission, "limited_merchants": merchants})
    if before.scarce and not shed:
        log.info("payments are no longer shed", extra=said)
    if last is None or _content(document) != _content(last):
        log.info("routing decided", extra={**said, "weights": document.weights, "limits": document.limits})


def _content(document: ControlDocument) -> tuple[Any, ...]:
    return document.mode, document.weights, document.limits, document.admission
