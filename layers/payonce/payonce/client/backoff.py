"""When a request is repeated: exponential backoff with full jitter, and never before ``Retry-After``.

Full jitter draws each wait from zero to an exponential cap, so that clients that failed together do not come back
together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# A server that names decades must not stop a caller without a deadline for ever; time.sleep even overflows
# (https://github.com/urllib3/urllib3/pull/3743).
MAX_RETRY_AFTER_SECONDS = 3600.0
MAX_DOUBLINGS = 30
_DELAY_SECONDS = re.compile(r"[0-9]{1,18}", re.ASCII)  # str.isdigit() takes "²", which int() refuses


@dataclass(frozen=True, slots=True)
class Backoff:
    """The cap of the first wait and of every wait, in seconds."""

    base_seconds: float = 0.5
    max_seconds: float = 20.0

    def wait_seconds(self, failures: int, retry_after_seconds: float | None, random: Callable[[], float]) -> float:
        """Return how long to wait after so many ``failures`` (from 1).

        The jitter comes on top of ``Retry-After``: clients that were sent away together must not return together.
        """
        cap = min(self.max_seconds, self.base_seconds * 2.0 ** min(failures - 1, MAX_DOUBLINGS))
        return (retry_after_seconds or 0.0) + random() * cap


def retry_after_seconds(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds of ``Retry-After``, 0 to 3600, or ``None`` where there is none that can be read.

    Both forms of RFC 9110, 10.2.3 are read. An HTTP-date is compared with the answer's own ``Date`` where it has one,
    since the two clocks may differ, and with ``now`` (seconds since the epoch) otherwise. ``headers`` have lower-case
    names.
    """
    text = headers.get("retry-after", "").strip(" \t")
    if _DELAY_SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    at = _http_date(text)
    if at is None:
        return None
    server_now = _http_date(headers.get("date", ""))
    return min(max(0.0, at - (now if server_now is None else server_now)), MAX_RETRY_AFTER_SECONDS)


def _http_date(text: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    # The obsolete asctime form names no zone; an HTTP-date is always UTC.
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
