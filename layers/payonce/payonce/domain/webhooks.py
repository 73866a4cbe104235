"""Rules of webhook delivery: when to retry, when to pause a receiver, when to give up. Pure functions.

::

              ┌──────────── redelivery, replay ─────────────┐
              ▼                                             │
    ──▶ PENDING ─ 2xx ─▶ DELIVERED ─────────────────────────┤
         │  ▲ │                                             │
         │  │ └─ no attempt left ─▶ FAILED ─────────────────┤
         │  └─ enabled again ─┐                             │
         ├─ endpoint disabled ┴▶ HELD                       │
         └─ endpoint deleted ──▶ CANCELED (for good)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from payonce.domain.delivery import Answer
from payonce.domain.endpoint import DisabledReason
from payonce.domain.ids import ID_LENGTH, ID_RANDOM_BYTES, ID_TIME_BITS, encode_base32

if TYPE_CHECKING:
    from payonce.domain.delivery import Exchanged

SECOND, MINUTE, HOUR = 1, 60, 3_600
# Pauses before the second, third, ... attempt: short at first for a restart, then hours for an outage. They sum to
# 65 h, so that even with maximal jitter the last attempt is made within three days, which a consumer's deduplication
# window has to cover.
RETRY_PAUSES_SECONDS = (
    5 * SECOND,
    30 * SECOND,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
    10 * HOUR,
    12 * HOUR,
    14 * HOUR,
    14 * HOUR,
)
MAX_ATTEMPTS = len(RETRY_PAUSES_SECONDS) + 1
RETRY_HORIZON_SECONDS = 3 * 24 * HOUR
# Share of a pause that is randomly added or subtracted, so that deliveries that failed together retry apart.
JITTER_SHARE = 0.1
# Upper limit of Retry-After: a receiver may ask for a pause, but not for events never to come.
MAX_RETRY_AFTER_SECONDS = 24 * HOUR

BREAKER_FAILURES = 5  # consecutive failures of any deliveries that open the breaker; a receiver's deploy causes fewer
FIRST_COOLDOWN_MS = 60_000
MAX_COOLDOWN_MS = 3_600_000
DISABLE_AFTER_FAILING_MS = 3 * 24 * HOUR * 1000  # without any success: as long as one delivery is retried
DISABLE_AFTER_FAILURES = MAX_ATTEMPTS
# Deliveries of one lane under way by messages of their own. More wait in the lane's list, so that a receiver that hangs
# holds this many senders and no more.
MOST_DIRECT = 2
# Lanes of one endpoint: each is worked through by one execution of the 50 that there are, and holds about 500
# deliveries a second (the limit of a partition of its index, at two writes each).
MOST_LANES = 4


class DeliveryStatus(StrEnum):
    """The states of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    HELD = "held"
    CANCELED = "canceled"


def delivery_id(event_id: str, endpoint_id: str, event_created_at_ms: int) -> str:
    """Return the id of the delivery of this event to this endpoint. It is a function of its arguments alone.

    It has the layout of a ULID and sorts by the event's time.
    """
    digest = hashlib.sha256(f"payonce/delivery/v1\n{event_id}\n{endpoint_id}".encode()).digest()
    tail = int.from_bytes(digest[:ID_RANDOM_BYTES], "big")
    value = (event_created_at_ms & ((1 << ID_TIME_BITS) - 1)) << (8 * ID_RANDOM_BYTES) | tail
    return f"whd_{encode_base32(value, ID_LENGTH)}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The receiver has accepted the event."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The attempt failed. The next one is due at ``at_ms``."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The attempt failed and was the last one."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The receiver answered 410: its endpoint gets nothing more."""


type Verdict = Accepted | TryAgain | GiveUp | Gone


def judge(exchanged: Exchanged, *, attempts: int, now_ms: int, jitter: float) -> Verdict:
    """Return the verdict on an exchange that was attempt number ``attempts`` of its round.

    ``jitter`` is uniform in [0, 1). ``Retry-After`` is honoured for every failure. It can only postpone an attempt, and
    does not reduce the number of attempts.
    """
    retry_after_seconds = None
    if isinstance(exchanged, Answer):
        if 200 <= exchanged.status < 300:
            return Accepted()
        if exchanged.status == 410:
            return Gone()
        retry_after_seconds = exchanged.retry_after_seconds
    if attempts >= MAX_ATTEMPTS:
        return GiveUp()
    pause_seconds = RETRY_PAUSES_SECONDS[attempts - 1] * (1 + JITTER_SHARE * (2 * jitter - 1))
    if retry_after_seconds is not None:
        pause_seconds = max(pause_seconds, min(retry_after_seconds, MAX_RETRY_AFTER_SECONDS))
    return TryAgain(now_ms + int(pause_seconds * 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A receiver's health: consecutive failures, since when, and the time of the last one (0: none)."""

    consecutive_failures: int = 0
    failing_since_ms: int = 0
    last_failure_at_ms: int = 0

    def cooldown_over_at_ms(self) -> int:
        """Return until when the breaker is open; 0 when it is closed.

        It is computed from the failures alone, so that no breaker state can get stuck. Afterwards one probe at a time
        is let through (see ``failing``), and each probe that fails doubles the pause.
        """
        beyond = self.consecutive_failures - BREAKER_FAILURES
        if beyond < 0:
            return 0
        return self.last_failure_at_ms + min(FIRST_COOLDOWN_MS << min(beyond, 16), MAX_COOLDOWN_MS)

    @property
    def failing(self) -> bool:
        """Whether the receiver fails: then one delivery at a time is sent."""
        return self.consecutive_failures > 0

    def is_open(self, now_ms: int) -> bool:
        """Return whether the breaker is open now, so that nothing is sent."""
        return self.cooldown_over_at_ms() > now_ms

    def accepted(self) -> Health:
        """Return the health after a success."""
        return Health()

    def failed(self, *, began_ms: int, now_ms: int) -> Health:
        """Return the health after an attempt that began at ``began_ms`` and has failed now.

        Attempts that were under way together fail together, and count once: otherwise a receiver that is restarted
        would be paused for the longer, the quicker it is usually served.
        """
        if began_ms < self.last_failure_at_ms:
            return self
        return Health(
            consecutive_failures=self.consecutive_failures + 1,
            failing_since_ms=self.failing_since_ms or now_ms,
            last_failure_at_ms=now_ms,
        )

    def disable_reason(self, now_ms: int) -> DisabledReason | None:
        """Return the reason to disable the endpoint after one more failure now, or ``None``."""
        failing_ms = now_ms - self.failing_since_ms if self.failing_since_ms else 0
        if self.consecutive_failures + 1 >= DISABLE_AFTER_FAILURES and failing_ms >= DISABLE_AFTER_FAILING_MS:
            return DisabledReason.FAILING
        return None
