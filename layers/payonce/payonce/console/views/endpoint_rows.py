"""A webhook endpoint as the console shows it: its state and why, its receiver's health, and how much waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from payonce.domain.durations import DAY_MS
from payonce.domain.webhooks import DISABLE_AFTER_FAILING_MS
from payonce.webhooks.waiting_list import count

if TYPE_CHECKING:
    from payonce.console.views.sources import Sources
    from payonce.domain.endpoint import Endpoint
    from payonce.webhooks.gate import Gate

MOST_COUNTED: Final = 100  # of each lane: more is shown as "100 and more"
WHY_DISABLED: Final = {
    "merchant": "somebody disabled it",
    "gone": "its receiver answered 410, which means that it is gone",
    "failing": "its receiver accepted nothing for days",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """An endpoint. ``backlog`` counts its pending deliveries up to a bound; ``has_more``: there are more than that.

    ``state`` is enabled, disabled, paused or failing; ``why`` says why it is not just enabled. Times are epoch
    milliseconds, ``None`` where there is none.
    """

    endpoint_id: str
    url: str
    description: str
    event_types: tuple[str, ...]
    state: str
    why: str
    disabled_at_ms: int | None
    failing_since_ms: int | None
    paused_until_ms: int | None
    backlog: int
    has_more: bool
    created_at_ms: int

    @property
    def is_enabled(self) -> bool:
        """Whether events are sent to it."""
        return self.state != "disabled"


def endpoint_row(sources: Sources, endpoint: Endpoint, gate: Gate) -> EndpointRow:
    """Return the row, with the pending deliveries counted: one round trip for each lane, of which most have one."""
    now_ms = sources.clock.now_ms()
    lanes = [
        count(sources.database, endpoint.merchant_id, endpoint.endpoint_id, lane, at_most=MOST_COUNTED)
        for lane in range(gate.lane_count)
    ]
    paused_until_ms = gate.health.cooldown_over_at_ms()
    is_paused = paused_until_ms > now_ms
    state, why = "enabled", ""
    if endpoint.disabled_reason is not None or endpoint.disabled_at_ms is not None:
        reason = endpoint.disabled_reason.value if endpoint.disabled_reason else "merchant"
        state, why = "disabled", f"{WHY_DISABLED[reason]}. Its events are held, and sent once it is enabled."
    elif is_paused:
        state, why = (
            "paused",
            f"{gate.health.consecutive_failures} attempts failed in a row: nothing is sent for a while.",
        )
    elif gate.health.failing:
        days = DISABLE_AFTER_FAILING_MS // DAY_MS
        state, why = "failing", f"The last attempt failed; after {days} days without a success it is disabled."
    return EndpointRow(
        endpoint_id=endpoint.endpoint_id,
        url=endpoint.url,
        description=endpoint.description,
        event_types=endpoint.event_types,
        state=state,
        why=why,
        disabled_at_ms=endpoint.disabled_at_ms,
        failing_since_ms=gate.health.failing_since_ms or None,
        paused_until_ms=paused_until_ms if is_paused else None,
        backlog=sum(lanes),
        has_more=any(lane == MOST_COUNTED for lane in lanes),
        created_at_ms=endpoint.created_at_ms,
    )
