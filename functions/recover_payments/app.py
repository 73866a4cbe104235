"""Scheduled recovery: carries on open claims whose owner is gone and asks about those in doubt."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

from payonce.observability import get_logger
from payonce.ports import Deadline
from payonce.wiring.application import bootstrap
from payonce.wiring.proxy_function import is_configured, proxy_of

APPLICATION = bootstrap()
PROXY = proxy_of(APPLICATION, os.environ) if is_configured(os.environ) else None
STOP_BEFORE_TIMEOUT_MS = 2_000  # time to log and answer before the function is cut off


def handler(_event: dict[str, Any], context: Any) -> dict[str, int]:
    """Run recovery until done or nearly out of time; return and log its counts."""
    remaining_ms = context.get_remaining_time_in_millis() - STOP_BEFORE_TIMEOUT_MS
    now_ms = APPLICATION.clock.now_ms()
    deadline = Deadline(now_ms + remaining_ms)
    # Half for each while both have much to do: an upstream that is down must not keep payments in doubt.
    report = asdict(APPLICATION.recovery.run(Deadline(now_ms + remaining_ms // 2) if PROXY else deadline))
    if PROXY:
        others = asdict(PROXY.service.recover_all(_report_error, deadline))
        report = {name: count + others[name] for name, count in report.items()}
    get_logger().info("recovery run", extra=report)
    return report


def _report_error(open_id: str, error: Exception) -> None:
    get_logger().error("claim not recovered", extra={"record_id": open_id, "error": repr(error)})
