"""The machine's clock."""

from __future__ import annotations

import time


class SystemClock:
    """The ``Clock`` of a running program."""

    def now_ms(self) -> int:
        """See ``Clock``."""
        return time.time_ns() // 1_000_000
