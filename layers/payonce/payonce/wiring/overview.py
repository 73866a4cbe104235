"""The wiring of the function that keeps what the overview shows."""

from __future__ import annotations

import os
from functools import cached_property

from payonce.each import InThreads
from payonce.overview.minutes import MinuteCounts
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings

CONCURRENT_WRITES = 8  # a batch of many merchants is a small write for each


class OverviewApplication(Application):
    """The application with the counts per minute."""

    @cached_property
    def minute_counts(self) -> MinuteCounts:
        """Return the counts per minute."""
        return MinuteCounts(self.database, InThreads(CONCURRENT_WRITES))


def bootstrap_overview() -> OverviewApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return OverviewApplication(load_settings(os.environ))
