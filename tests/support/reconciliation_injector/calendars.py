"""The weeks a world lives in: each has a day on which naive time arithmetic goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.support.reconciliation_injector.model import DAY_MS

WINDOW_DAYS = 45
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """``start`` is its first day; ``delicate`` are instants just before and after a change of clocks or of calendar."""

    start: date
    delicate: tuple[datetime, ...]

    @property
    def start_ms(self) -> int:
        """Midnight UTC of the first day."""
        return ms_of(datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC))

    @property
    def as_of_ms(self) -> int:
        """The end of the window."""
        return self.start_ms + WINDOW_DAYS * DAY_MS


WINDOWS = (
    # 29 February 2028, and the change in New York on 12 March at 07:00 UTC
    Window(
        date(2028, 2, 5),
        (
            datetime(2028, 2, 28, 23, 59, 59, tzinfo=UTC),
            datetime(2028, 2, 29, 12, 0, 0, tzinfo=UTC),
            datetime(2028, 3, 12, 6, 59, 59, tzinfo=UTC),
            datetime(2028, 3, 12, 7, 0, 0, tzinfo=UTC),
        ),
    ),
    # Europe changes on 29 March at 01:00 UTC
    Window(
        date(2026, 2, 25),
        (datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, 0, tzinfo=UTC)),
    ),
    # and on 25 October; the local hour from 02:00 to 03:00 happens twice
    Window(
        date(2026, 10, 1),
        (datetime(2026, 10, 25, 0, 30, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, 0, tzinfo=UTC)),
    ),
    # new year: statements are numbered from 1 again
    Window(
        date(2026, 12, 1),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, 0, 0, 0, tzinfo=UTC)),
    ),
)


def ms_of(moment: datetime) -> int:
    """Return epoch milliseconds, exactly."""
    return (moment - EPOCH) // timedelta(milliseconds=1)


def day_of(at_ms: int) -> date:
    """Return the day in UTC."""
    return (EPOCH + timedelta(milliseconds=at_ms)).date()


def business_day(day: date) -> date:
    """Return the day, or the Monday after a weekend: banks book nothing in between."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)
