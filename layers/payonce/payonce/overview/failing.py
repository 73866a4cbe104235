"""How many webhook endpoints fail, by merchant: what the scheduler sees each minute, as a gauge."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from payonce.overview.minutes import set_gauges
from payonce.overview.scopes import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database

GAUGE = "failing"
MOST_MERCHANTS = 200  # with the most failing endpoints; each is one write a minute while it has any


def keep_failing(database: Database, by_merchant: Mapping[str, int], now_ms: int, complete: bool) -> None:
    """Set the gauge of this minute. ``complete``: all endpoints were looked at.

    A merchant that has none has no gauge: the platform's says that the minute was looked at. Raises
    ``StoreUnavailable`` and ``OutcomeUnknown``.
    """
    counts = Counter(by_merchant)
    shown: dict[str, dict[str, object]] = {who: {"failing": count} for who, count in counts.most_common(MOST_MERCHANTS)}
    everybody = {
        "failing": counts.total(),
        "at_ms": now_ms,
        "complete": complete and len(counts) <= MOST_MERCHANTS,
    }
    set_gauges(database, now_ms, GAUGE, {**shown, EVERYBODY: everybody})
