"""Lengths of time in milliseconds and seconds, for constants that are counted in either."""

from __future__ import annotations

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
HOUR_SECONDS = 3_600
DAY_SECONDS = 24 * HOUR_SECONDS
