"""The pace at which one lane's claims are asked about. Pure.

A lane is what the outcome of claims has to be asked from, such as a gateway. Lanes know nothing of each other, so one
that is silent, or slow, delays its own claims alone.

::

                    an answer ──▶ ANSWERS   pace: from an eighth of the bound, times 1.5 a second, up to the bound;
    SILENT ─────────┘                │      less after unanswered requests, then by small steps
      ▲  one claim at a time,        │
      │  2 s to 15 s apart           │
      └──── five unanswered in a row ┘
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

# A claim's turn asks once, and sends at most once. How many requests the turns take now is learned, with this weight.
MOST_REQUESTS, LEAST_REQUESTS = 2.0, 1.0
NEW_WEIGHT = 0.3
START_SHARE = 0.125  # of the bound: three quarters of a second of its load, until the first answers are there
GROWTH = 1.5  # a second, while no request fails: the bound is reached in 6 s
STEP_SHARE = 0.02  # of the bound, a second, after requests have failed: the lane is close to what it takes
REDUCTION = 0.7
TOLERATED_SHARE = 0.1  # of the requests, weighted as the cost; a gateway that works leaves some unanswered, too
SILENT_AFTER = 5  # requests in a row: a gateway that answers half of them does so once in 32 tries
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 2_000, 15_000  # between probes: 240 an hour, and an outage's end is seen in 15 s
# A gateway that is full is silent for seconds. Only a longer silence is an outage, in which nobody could ask.
OUTAGE_MS = 60_000
BURST_SECONDS = 1.1  # of the pace, that a tick which comes late may make up for
AHEAD_SECONDS = 5  # of the pace, in the queue and under way: enough to wait for a container, little to wait behind

KEPT = (
    "pace",
    "cost",
    "tokens",
    "at_ms",
    "answers",
    "is_steady",
    "unanswered_share",
    "silent_since_ms",
    "answering_since_ms",
    "unanswered_in_row",
    "probe_at_ms",
    "probe_pause_ms",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What askers have done for a lane: turns of claims, requests at the lane, those unanswered, claims concluded."""

    claims: int = 0
    requests: int = 0
    unanswered: int = 0
    concluded: int = 0

    def since(self, earlier: Asked) -> Asked:
        """Return what came after ``earlier``. Of counters that have begun anew all is new."""
        new = {field.name: getattr(self, field.name) - getattr(earlier, field.name) for field in fields(self)}
        return self if min(new.values()) < 0 else Asked(**new)


@dataclass(slots=True)
class Lane:
    """The state of a lane, kept from run to run. Rates are requests per second, times epoch milliseconds.

    ``bound``: the most requests per second, as configured. ``limit``: the most claims under way, ``None`` for no limit.
    ``cost``: requests that a claim's turn takes. ``tokens``: requests that may be made as of ``at_ms``.
    ``is_judged``: whether unanswered requests are told apart; a lane that is not is never silent.
    ``silent_since_ms`` is 0 while the lane answers, or has never been heard of. ``answering_since_ms``: when it was
    first heard of, or when its last outage ended; 0 before.
    """

    bound: float
    is_judged: bool = True
    limit: float | None = None
    pace: float = 0.0
    cost: float = MOST_REQUESTS
    answers: bool = False
    is_steady: bool = False
    unanswered_share: float = 0.0
    silent_since_ms: int = 0
    answering_since_ms: int = 0
    unanswered_in_row: int = 0
    probe_at_ms: int = 0
    probe_pause_ms: int = 0
    heard: Asked = Asked()
    under_way: int = 0
    tokens: float = 0.0
    at_ms: int = 0

    def __post_init__(self) -> None:
        if not self.is_judged:
            self.answers = True
        self.pace = min(self.pace, self.bound) or self._start

    @property
    def _start(self) -> float:
        return max(self.bound * START_SHARE, min(MOST_REQUESTS, self.bound))

    @classmethod
    def restored(cls, bound: float, is_judged: bool, stored: Mapping[str, Any]) -> Self:
        """Return the lane with its stored state, the inverse of ``to_json``; what can't be read begins anew."""
        try:
            return cls(bound, is_judged, **{**stored, "heard": Asked(**stored.get("heard", {}))})
        except TypeError:
            return cls(bound, is_judged)

    def to_json(self) -> dict[str, Any]:
        """Return what the next run has to know."""
        return {**{name: getattr(self, name) for name in KEPT}, "heard": asdict(self.heard)}

    def allowance(self, now_ms: int) -> int:
        """Return how many claims may be released now: one probe at its time, or what the pace allows."""
        if not self.answers:
            return int(now_ms >= self.probe_at_ms)
        elapsed_seconds = (now_ms - self.at_ms) / 1000 if self.at_ms else 1.0
        self.at_ms = now_ms
        # What was too little for one more claim is lost. Carried over, it makes seconds in which a slow gateway gets
        # more than it takes: at 3 requests a second a tenth of them was refused, instead of one in 80.
        most = max(self.pace * BURST_SECONDS, MOST_REQUESTS)
        # Not below: counters that are taken for new ones after their state was lost must not stop the lane for long.
        self.tokens = min(max(self.tokens, -most) + self.pace * max(0.0, elapsed_seconds), most)
        ahead = max(1.0, self.pace * AHEAD_SECONDS / self.cost)
        room = (ahead if self.limit is None else min(ahead, self.limit)) - self.under_way
        return max(0, int(min(self.tokens / self.cost, room)))

    def known_since_ms(self, now_ms: int) -> int:
        """Return since when the lane answers, 0 if that is not known or it is in an outage."""
        in_outage = self.silent_since_ms and now_ms - self.silent_since_ms >= OUTAGE_MS
        return 0 if in_outage else self.answering_since_ms

    def release(self, claims: int, now_ms: int) -> None:
        """Note that so many claims were sent to the queue."""
        if not claims:
            return
        self.under_way += claims
        self.tokens -= self.cost * claims
        if not self.answers:
            self.probed(now_ms)

    def probed(self, now_ms: int) -> None:
        """Note that the silent lane is being asked, and wait longer for the next time."""
        self.probe_pause_ms = min(max(2 * self.probe_pause_ms, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
        self.probe_at_ms = now_ms + self.probe_pause_ms

    def hear(self, total: Asked, now_ms: int) -> Asked:
        """Take in the lane's counters, and return what is new in them."""
        new, self.heard = total.since(self.heard), total
        self.under_way = max(0, self.under_way - new.claims)
        self.tokens += self.cost * new.claims - new.requests  # what was reckoned with, and what it took
        if new.claims and new.requests:
            taken = min(max(new.requests / new.claims, LEAST_REQUESTS), MOST_REQUESTS)
            self.cost += NEW_WEIGHT * (taken - self.cost)
        if new.requests and self.is_judged and new.unanswered >= new.requests:
            self._unanswered(new.unanswered, now_ms)
        elif new.requests:
            self._answered(new.unanswered / new.requests, now_ms)
        return new

    def _unanswered(self, requests: int, now_ms: int) -> None:
        self.unanswered_in_row += requests
        if self.unanswered_in_row >= SILENT_AFTER:
            self.silent_since_ms = self.silent_since_ms or now_ms
            if self.answers:
                self.answers, self.probe_at_ms = False, now_ms + FIRST_PAUSE_MS

    def _answered(self, unanswered_share: float, now_ms: int) -> None:
        self.unanswered_in_row = 0
        if not self.answers:
            self.answering_since_ms = self.known_since_ms(now_ms) or now_ms
            self.answers, self.is_steady, self.silent_since_ms = True, False, 0
            self.pace, self.tokens, self.at_ms = self._start, 0.0, 0
            self.probe_pause_ms = 0
            self.under_way = 0  # only probes were, and a report of one may be lost
            self.unanswered_share = 0.0
            return
        self.unanswered_share += NEW_WEIGHT * (unanswered_share - self.unanswered_share)
        if self.unanswered_share > TOLERATED_SHARE:
            self.pace, self.is_steady = max(self.pace * REDUCTION, min(1.0, self.bound)), True
            self.unanswered_share = 0.0
        else:
            faster = self.pace + STEP_SHARE * self.bound if self.is_steady else self.pace * GROWTH
            self.pace = min(faster, self.bound)
