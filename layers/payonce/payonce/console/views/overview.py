"""The overview: what was kept of the last hour, of one merchant or of all.

Round trips: the minutes of the scope, the newest ones of the platform for a merchant (they tell when the schedules
looked), the open breaks, the merchant's endpoints, and routing's control item for who may see it: four at most.

Allowed: dynamodb:Query on OverviewTable; dynamodb:Query on EndpointsTable; dynamodb:GetItem on RoutingTable with the
leading key CONTROL.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.console.page import Rendered
from payonce.console.plots.ageing import AgeClass, ageing_plot
from payonce.console.plots.drawing import percent
from payonce.console.plots.lines import sparkline
from payonce.console.views.routing_now import RoutingNow, routing_now
from payonce.domain.durations import DAY_MS
from payonce.domain.payment import Change
from payonce.overview import doubts as kept_doubts
from payonce.overview import failing as kept_failing
from payonce.overview.breaks import open_by_day
from payonce.overview.from_events import DECLINED_PREFIX, MADE
from payonce.overview.minutes import MinuteCounts, minute_of
from payonce.overview.request_counts import CONFLICT_PREFIX, REPLAYED
from payonce.overview.scopes import EVERYBODY
from payonce.webhooks.endpoints import load_endpoints_and_gates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from markupsafe import Markup

    from payonce.console.page import PageRequest, Services
    from payonce.console.plots.drawing import Plot
    from payonce.overview.minutes import Minutes
    from payonce.ports import Item

SHOWN_MINUTES = 60
RATE_MINUTES = 15  # of the approval rate: at one payment a minute fewer would say nothing
LOOKED_MINUTES = 5  # an older gauge of a schedule that runs each minute is not shown as of now
MOST_CODES = 8
APPROVED = (Change.AUTHORIZED, Change.CHARGED)
ENDED = (*APPROVED, Change.DECLINED, Change.FAILED)
DOUBT_CLASSES = (
    ("under 5 min", "good"),
    ("5 to 15 min", "good"),
    ("15 to 60 min", "warn"),
    ("1 to 6 h", "warn"),
    ("6 to 24 h", "bad"),
    ("over a day", "bad"),
)
BREAK_CLASSES = (
    (0, "today", "good"),
    (2, "1 to 2 days", "good"),
    (7, "3 to 7 days", "warn"),
    (30, "8 to 30 days", "warn"),
)
OLDEST_BREAKS = ("over 30 days", "bad")
CONFLICTS: Mapping[str, str] = {
    "KeyReused": "key reused with another request",
    "KeyInProgress": "first request still in progress",
    "KeyExpired": "key expired",
}


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a schedule saw: ``value`` is ``None`` while it has not looked. ``complete``: there is certainly no more."""

    value: int | None = None
    as_of_ms: int | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the page shows. Rates are shares (0..1), ``None`` without payments. Counts without a word are of an hour."""

    last_minute: int
    this_minute: int
    made: int
    approval: float | None
    approval_before: float | None
    declined: tuple[tuple[str, int], ...]
    doubts: Gauge
    oldest_doubt_at_ms: int | None
    replayed: int
    conflicts: tuple[tuple[str, int], ...]
    failing: Gauge
    breaks: int
    oldest_break_day_ms: int | None
    sparks: Mapping[str, Markup]
    doubt_ages: Plot
    break_ages: Plot
    routing: RoutingNow | None
    now_ms: int


def overview(services: Services, request: PageRequest) -> Rendered:
    """Return the overview of the chosen merchant, or of the platform. Raises ``StoreUnavailable``."""
    database, scope = services.database, request.merchant_id or EVERYBODY
    now = minute_of(request.now_ms)
    counts = MinuteCounts(database)
    own = counts.read(scope, now - SHOWN_MINUTES, now)
    looked = own if scope == EVERYBODY else counts.read(EVERYBODY, now - LOOKED_MINUTES, now)
    breaks = open_by_day(database, scope)
    doubts, doubt_item = _gauge(own, looked, kept_doubts.GAUGE, now, lambda item: sum(item["ages"]))
    if scope == EVERYBODY:
        failing, _ = _gauge(own, looked, kept_failing.GAUGE, now, lambda item: int(item["failing"]))
    else:
        gates = load_endpoints_and_gates(database, scope)
        failing = Gauge(sum(gate.health.failing for _, gate in gates), request.now_ms)
    sees_routing = request.operator.merchant_id is None
    total: Counter[str] = sum(own.counts.values(), start=Counter())
    return Rendered(
        "overview.html",
        {
            "seen": Overview(
                last_minute=own.counts[now - 1][MADE],
                this_minute=own.counts[now][MADE],
                made=total[MADE],
                approval=_approval(own, now - RATE_MINUTES, now),
                approval_before=_approval(own, now - SHOWN_MINUTES, now - RATE_MINUTES - 1),
                declined=_declined(total),
                doubts=doubts,
                oldest_doubt_at_ms=doubt_item.get("oldest_at_ms") or None,
                replayed=total[REPLAYED],
                conflicts=tuple(
                    (said, total[CONFLICT_PREFIX + name])
                    for name, said in CONFLICTS.items()
                    if total[CONFLICT_PREFIX + name]
                ),
                failing=failing,
                breaks=sum(breaks.values()),
                oldest_break_day_ms=min(breaks) * DAY_MS if breaks else None,
                sparks=_sparks(own, now),
                doubt_ages=_doubt_ages(doubt_item),
                break_ages=_break_ages(breaks, request.now_ms // DAY_MS),
                routing=routing_now(services, request.now_ms) if sees_routing else None,
                now_ms=request.now_ms,
            )
        },
    )


def _approval(minutes: Minutes, first: int, last: int) -> float | None:
    approved = ended = 0
    for minute in range(first, last + 1):
        counts = minutes.counts.get(minute, Counter[str]())
        approved += sum(counts.get(change, 0) for change in APPROVED)
        ended += sum(counts.get(change, 0) for change in ENDED)
    return approved / ended if ended else None


def _declined(total: Counter[str]) -> tuple[tuple[str, int], ...]:
    codes = Counter(
        {name.removeprefix(DECLINED_PREFIX): count for name, count in total.items() if name.startswith(DECLINED_PREFIX)}
    )
    return tuple(codes.most_common(MOST_CODES))


def _gauge(own: Minutes, looked: Minutes, name: str, now: int, value: Callable[[Item], int]) -> tuple[Gauge, Item]:
    """Return the newest gauge and its item. A scope without one, in a minute that was looked at, has none: 0."""
    minutes = [minute for minute in looked.gauges[name] if minute >= now - LOOKED_MINUTES]
    if not minutes:
        return Gauge(), {}
    minute = max(minutes)
    at_ms = looked.gauges[name][minute]["at_ms"]
    complete = bool(looked.gauges[name][minute]["complete"])
    item = own.gauges[name].get(minute)
    if item is None:
        return (Gauge(0, at_ms) if complete else Gauge(None, at_ms, complete=False)), {}
    return Gauge(value(item), at_ms, complete), item


def _sparks(minutes: Minutes, now: int) -> dict[str, Markup]:
    """Return the small plots of the last hour without the present minute, which is not over."""
    span = range(now - SHOWN_MINUTES, now)

    def counted(*names: str) -> list[float | None]:
        return [float(sum(minutes.counts.get(minute, Counter[str]())[name] for name in names)) for minute in span]

    doubts = minutes.gauges[kept_doubts.GAUGE]
    conflicts = [CONFLICT_PREFIX + name for name in CONFLICTS]
    rates: Sequence[float | None] = [_approval(minutes, minute - 4, minute) for minute in span]
    return {
        "made": sparkline("spark-made", "Payments a minute", counted(MADE), _whole),
        "approval": sparkline("spark-approval", "Approval rate of five minutes", rates, percent),
        "doubts": sparkline(
            "spark-doubts",
            "Payments in doubt",
            [float(sum(doubts[minute]["ages"])) if minute in doubts else None for minute in span],
            _whole,
        ),
        "replays": sparkline("spark-replays", "Replays and conflicts a minute", counted(REPLAYED, *conflicts), _whole),
    }


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _doubt_ages(item: Item) -> Plot:
    ages = item.get("ages") or [0] * len(DOUBT_CLASSES)
    classes = [AgeClass(label, count, tone) for (label, tone), count in zip(DOUBT_CLASSES, ages, strict=True)]
    return ageing_plot("doubt-ages", "How long payments have been in doubt", "payments in doubt", classes)


def _break_ages(breaks: Mapping[int, int], today: int) -> Plot:
    counts: Counter[str] = Counter()
    for day, count in breaks.items():
        age = today - day
        counts[next((label for most, label, _ in BREAK_CLASSES if age <= most), OLDEST_BREAKS[0])] += count
    labels = [*((label, tone) for _, label, tone in BREAK_CLASSES), OLDEST_BREAKS]
    classes = [AgeClass(label, counts[label], tone) for label, tone in labels]
    return ageing_plot("break-ages", "How long breaks have been open", "open breaks", classes)
