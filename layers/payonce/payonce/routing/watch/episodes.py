"""One alarm an episode: quiet until the series has recovered, and again after a day if it has not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from payonce.domain.durations import HOUR_MS

RECOVERED_SAMPLES = 4  # usual ones in a row, an hour: a pattern of the latencies holds the last incident for as long
CAP_HOURS = 24  # an episode alarms again after a day: whoever is on duty then has not seen the first alarm
ADOPT_HOURS = 72  # an episode is the new usual after three days: a weekend is shorter, and nobody may have been there


@dataclass(slots=True)
class Episode:
    """The state of one series' alarms. All times are epoch milliseconds of the stream; ``None`` is no episode."""

    began_ms: int | None = None
    alarmed_ms: int = 0
    last_ms: int = 0  # the newest sample's time
    usual: int = 0  # samples in a row

    def update(self, at_ms: int, *, unusual: bool) -> bool:
        """Count one sample and return whether it alarms.

        A gap is not counted: it is neither unusual nor usual. One as long as the cap ends an episode, because what was
        not seen has not lasted.
        """
        if at_ms - self.last_ms >= CAP_HOURS * HOUR_MS:
            self.began_ms = None
        self.last_ms = at_ms
        if self.began_ms is None:
            if unusual:
                self.began_ms, self.alarmed_ms, self.usual = at_ms, at_ms, 0
            return unusual
        self.usual = 0 if unusual else self.usual + 1
        if self.usual == RECOVERED_SAMPLES:
            self.began_ms = None
        if unusual and at_ms - self.alarmed_ms >= CAP_HOURS * HOUR_MS:
            self.alarmed_ms = at_ms
            return True
        return False

    def adopted(self, at_ms: int) -> bool:
        """Return whether the episode has lasted so long that its samples are the new usual, and a share learns them."""
        return self.began_ms is not None and at_ms - self.began_ms >= ADOPT_HOURS * HOUR_MS

    def to_json(self) -> list[int | None]:
        """Return the stored form."""
        return [self.began_ms, self.alarmed_ms, self.last_ms, self.usual]

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Return the episode of a stored form. Raises ``ValueError`` for anything else."""
        began_ms, alarmed_ms, last_ms, usual = stored
        if not all(type(number) is int and number >= 0 for number in (began_ms or 0, alarmed_ms, last_ms, usual)):
            raise ValueError("a stored episode has whole numbers")
        return cls(began_ms, alarmed_ms, last_ms, usual)
