"""Who is served when there is not enough for all: by priority, then fairly among merchants. The rest is told 429."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.errors import Throttled
from payonce.routing.control.document import EVERYTHING, MAX_MERCHANTS, Admission

if TYPE_CHECKING:
    from collections.abc import Mapping

MIN_PROVEN = 0.2  # of what the gateways were seen to serve: if nothing works, what is wrong may be the observation
RETRY_AFTER_SECONDS = 1  # at least; the loops' step
MAX_RETRY_AFTER_SECONDS = 10


class Priority(StrEnum):
    """What is shed last comes first. Refunds, captures and status requests finish what has been begun: never shed."""

    PROTECTED = "protected"
    AUTHORIZATION = "authorization"
    BATCH = "batch"


def plan_admission(share: float, priorities: Mapping[str, float], merchants: Mapping[str, float]) -> Admission:
    """Divide ``share`` of the demand. Both tables are requests per second; the merchants' are without protected ones.

    Merchants get max-min fair shares of what the protected leave: whoever asks for less than the level gets all of it,
    batch included, whoever asks for more gets the level, authorizations first.
    """
    protected, authorization, batch = (priorities.get(priority, 0.0) for priority in Priority)
    left = max(0.0, share * (protected + authorization + batch) - protected)
    if share >= 1 or left >= authorization + batch:
        return EVERYTHING
    first = authorization / (authorization + batch)
    level = fair_level(left, list(merchants.values()))
    greedy = sorted((-rate, name) for name, rate in merchants.items() if rate > level)
    listed = {name: _by_priority(level / -rate, first) for rate, name in greedy[:MAX_MERCHANTS]}
    if len(greedy) <= MAX_MERCHANTS:
        return Admission(1.0, 1.0, listed)
    return Admission(*_by_priority(level / -greedy[MAX_MERCHANTS][0], first), listed)


def _by_priority(share: float, first: float) -> tuple[float, float]:
    """Of a merchant's demand, ``first`` of it authorizations: the shares of those and of batch requests."""
    authorization = min(1.0, share / first) if first > 0 else 1.0
    batch = max(0.0, share - first) / (1 - first) if first < 1 else 0.0
    return round(authorization, 6), round(min(1.0, batch), 6)


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
    shares = admission.merchants.get(merchant_id, (admission.authorization, admission.batch))
    share = shares[priority is Priority.BATCH]
    if draw < share:
        return
    raise Throttled(
        "More payments are asked for than the gateways can take now. Repeat the request with the same key.",
        retry_after_seconds=retry_after_seconds(share),
    )


def retry_after_seconds(share: float) -> int:
    """The less is admitted, the longer to wait: so that repeats do not add to the surge."""
    return min(MAX_RETRY_AFTER_SECONDS, max(RETRY_AFTER_SECONDS, round(0.1 / max(share, 0.01))))
