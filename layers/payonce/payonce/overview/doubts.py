"""How many payments are in doubt, and for how long, by merchant: what the feeder sees each minute, as a gauge."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.overview.minutes import set_gauges
from payonce.overview.scopes import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from payonce.ports import Database

GAUGE = "doubts"
MOST_MERCHANTS = 200  # with the most doubts; each is one write a minute while it has any
# The upper ends of the classes of age, in seconds; the last class has none.
AGES = (300, 900, 3_600, 6 * 3_600, 86_400)


@dataclass(slots=True)
class Doubts:
    """The doubts of one scope: how many in each class of ``AGES``, and since when the oldest is open."""

    ages: Counter[int] = field(default_factory=Counter)
    oldest_at_ms: int = 0

    @property
    def total(self) -> int:
        """Return how many there are."""
        return self.ages.total()

    def add(self, created_at_ms: int, now_ms: int) -> None:
        """Count one."""
        seconds = (now_ms - created_at_ms) // 1000
        self.ages[sum(seconds >= end for end in AGES)] += 1
        self.oldest_at_ms = min(self.oldest_at_ms or created_at_ms, created_at_ms)


def by_scope(claims: Iterable[tuple[str, int]], now_ms: int) -> dict[str, Doubts]:
    """Return the doubts by scope, the platform's first, of claims given as scope and creation time in ms."""
    found: dict[str, Doubts] = {EVERYBODY: Doubts()}
    for scope, created_at_ms in claims:
        for one in (EVERYBODY, scope):
            found.setdefault(one, Doubts()).add(created_at_ms, now_ms)
    return dict(sorted(found.items(), key=lambda pair: -pair[1].total))


def keep_doubts(database: Database, claims: Iterable[tuple[str, int]], now_ms: int, *, complete: bool) -> None:
    """Set the gauge of this minute. ``complete``: all claims were read; otherwise there may be more.

    A merchant that has none has no gauge: the platform's says that the minute was looked at. Raises
    ``StoreUnavailable`` and ``OutcomeUnknown``.
    """
    found = by_scope(claims, now_ms)
    everybody = found.pop(EVERYBODY)
    gauges: dict[str, dict[str, object]] = {
        scope: {"ages": [doubts.ages[number] for number in range(len(AGES) + 1)], "oldest_at_ms": doubts.oldest_at_ms}
        for scope, doubts in {EVERYBODY: everybody, **found}.items()
    }
    gauges[EVERYBODY] |= {"at_ms": now_ms, "complete": complete and len(found) <= MOST_MERCHANTS}
    shown = [*list(found)[:MOST_MERCHANTS], EVERYBODY]  # the platform's last: it says that all are there
    set_gauges(database, now_ms, GAUGE, {scope: gauges[scope] for scope in shown})
