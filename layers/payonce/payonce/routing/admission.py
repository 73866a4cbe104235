"""Who is served when there is not enough for all: by priority, then fairly among merchants. The rest is told 429."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.errors import Throttled
from payonce.routing.document import EVERYTHING, MAX_MERCHANTS, Admission

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_ADMITTED = 0.2  # of authorizations: if really nothing works, a wrong observation is as likely as a wrong world
RETRY_AFTER_SECONDS = 1  # at least; the loops' step
MAX_RETRY_AFTER_SECONDS = 10


class Priority(StrEnum):
    """What is shed last comes first. Refunds, captures and status requests finish what has been begun: never shed."""

    PROTECTED = "protected"
    AUTHORIZATION = "authorization"
    BATCH = "batch"


def plan_admission(share: float, priorities: Mapping[str, float], merchants: Mapping[str, float]) -> Admission:
    """Divide ``share`` of the demand. ``priorities`` and ``merchants`` are requests per second.

    Merchants get max-min fair shares of what is left for authorizations: whoever asks for less than the level gets all
    of it, whoever asks for more gets the level.
    """
    if share >= 1:
        return EVERYTHING
    protected, authorization, batch = (priorities.get(priority, 0.0) for priority in Priority)
    left = max(share * (protected + authorization + batch) - protected, MIN_ADMITTED * authorization)
    if left >= authorization:
        return Admission(1.0, min(1.0, (left - authorization) / batch) if batch else 1.0, {})
    level = fair_level(left, list(merchants.values()))
    greedy = sorted(
        (name for name, rate in merchants.items() if rate > level), key=lambda name: (-merchants[name], name)
    )
    listed = {name: round(level / merchants[name], 6) for name in greedy[:MAX_MERCHANTS]}
    unlisted = level / merchants[greedy[MAX_MERCHANTS]] if len(greedy) > MAX_MERCHANTS else 1.0
    return Admission(round(unlisted, 6), 0.0, listed)


def fair_level(capacity: float, rates: list[float]) -> float:
    """The level at which ``sum(min(rate, level))`` is the capacity; unbounded demand gets no more than that."""
    left, level = capacity, 0.0
    waiting = sorted(rates)
    for index, rate in enumerate(waiting):
        level = left / (len(waiting) - index)
        if rate >= level:
            return level
        left -= rate
    return max(level, *rates) if rates else capacity


def admit(admission: Admission, priority: Priority, merchant_id: str, draw: float) -> None:
    """Let the request pass or raise ``Throttled``, before any claim and never stored.

    ``draw`` is a fresh random number in [0, 1) for every request: a retry with the same key must have its own chance.
    """
    if priority is Priority.PROTECTED:
        return
    if priority is Priority.BATCH:
        share = admission.batch
    else:
        share = admission.merchants.get(merchant_id, admission.authorization)
    if draw < share:
        return
    raise Throttled(
        "More payments are asked for than the gateways can take now. Repeat the request with the same key.",
        retry_after_seconds=retry_after_seconds(share),
    )


def retry_after_seconds(share: float) -> int:
    """The less is admitted, the longer to wait: so that repeats do not add to the surge."""
    return min(MAX_RETRY_AFTER_SECONDS, max(RETRY_AFTER_SECONDS, round(0.5 / max(share, 0.01))))
