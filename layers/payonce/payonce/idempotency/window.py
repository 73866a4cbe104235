"""The limits of the idempotency contract, checked at start-up."""

from __future__ import annotations

from dataclasses import dataclass

from payonce.domain.durations import DAY_SECONDS, HOUR_SECONDS
from payonce.domain.errors import MisconfiguredError

MIN_WINDOW_SECONDS = 24 * HOUR_SECONDS
MAX_WINDOW_SECONDS = 72 * HOUR_SECONDS
DEFAULT_GUARD_SECONDS = 30 * DAY_SECONDS
DEFAULT_AUDIT_RETENTION_SECONDS = 400 * DAY_SECONDS  # a year and the time to close its books
MIN_AUDIT_RETENTION_SECONDS = 90 * DAY_SECONDS  # longer than any key is kept (window plus guard)
# Clocks of two machines may differ. A lease outlives its owner's hard deadline by this much, so that nobody takes over
# from an owner that may still run.
LEASE_MARGIN_MS = 5_000
MAX_RESPONSE_BYTES = 64 * 1024  # a record may hold 400 KB; far below that, nothing can fail after the effect


@dataclass(frozen=True, slots=True)
class IdempotencySettings:
    """``window_seconds``: how long a key is replayed, 24-72 h. ``guard_seconds``: how long it blocks after that.

    Raises ``MisconfiguredError`` outside the allowed range, so that a wrong setting stops the start and not a payment.
    """

    window_seconds: int = MIN_WINDOW_SECONDS
    guard_seconds: int = DEFAULT_GUARD_SECONDS

    def __post_init__(self) -> None:
        if not MIN_WINDOW_SECONDS <= self.window_seconds <= MAX_WINDOW_SECONDS:
            raise MisconfiguredError(
                f"The idempotency window is {self.window_seconds} s; it must be from {MIN_WINDOW_SECONDS} (24 h) "
                f"to {MAX_WINDOW_SECONDS} (72 h)."
            )
        if self.guard_seconds < self.window_seconds:
            raise MisconfiguredError(
                f"The idempotency guard ({self.guard_seconds} s) must not be shorter than the window "
                f"({self.window_seconds} s): a late retry would be a second charge."
            )
