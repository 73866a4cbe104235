"""Admission control under overload: by priority, then max-min fair among merchants. The rest is answered 429."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.errors import Throttled
from payonce.routing.control.document import EVERYTHING, MAX_MERCHANTS, Admission

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER_SECONDS = 1  # the minimum: the predictor decides anew every second
MAX_RETRY_AFTER_SECONDS = 10


class Priority(StrEnum):
    """Priority classes, the last to be shed first.

    PROTECTED (refunds, captures, status requests) is never shed, because it finishes work already begun.
    """

    PROTECTED = "protected"
    AUTHORIZATION = "authorization"
    BATCH = "batch"


def plan_admission(share: float, priorities: Mapping[str, float], merchants: Mapping[str, float]) -> Admission:
    """Return the admission that takes ``share`` (0..1) of the demand.

    ``priorities`` and ``merchants`` give requests per second; the merchants' exclude protected requests. Merchants get
    max-min fair shares of what protected requests leave: a merchant that asks for less than the fair level gets all of
    it, batch requests included; one that asks for more gets the level, authorizations first.
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
    """Split a merchant's ``share`` into those of authorizations, which are ``first`` of its demand, and of batch."""
    authorization = min(1.0, share / first) if first > 0 else 1.0
    batch = max(0.0, share - first) / (1 - first) if first < 1 else 0.0
    return round(authorization, 6), round(min(1.0, batch), 6)


def fair_level(capacity: float, rates: list[float]) -> float:
    """Return the max-min fair level: ``sum(min(rate, level))`` is ``capacity``, or the sum of ``rates`` if smaller."""
    left, level = capacity, 0.0
    waiting = sorted(rates)
    for index, rate in enumerate(waiting):
        level = left / (len(waiting) - index)
        if rate >= level:
            return level
        left -= rate
    return max(level, *rates) if rates else capacity


def admit(admission: Admission, priority: Priority, merchant_id: str, draw: float) -> None:
    """Return if the request is admitted, else raise ``Throttled``. To be called before the claim; nothing is stored.

    ``draw`` is a new random number in [0, 1) for every request, so that a retry with the same key has its own chance.
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
    """Return the ``Retry-After``: longer the smaller the admitted share, so that retries do not add to the surge."""
    return min(MAX_RETRY_AFTER_SECONDS, max(RETRY_AFTER_SECONDS, round(0.1 / max(share, 0.01))))
