"""Adds up what was charged: by who made the request and where it was written or read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.units.meter import Metered

    type Part = tuple[str, str]  # who, and the table or index


@dataclass
class Tally:
    """Write and read units by part; what else was called, how often functions ran and for how many GB-milliseconds."""

    write: defaultdict[Part, float] = field(default_factory=lambda: defaultdict(float))
    read: defaultdict[Part, float] = field(default_factory=lambda: defaultdict(float))
    calls: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    invocations: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    gb_ms: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @property
    def write_units(self) -> float:
        """Return the write units in all."""
        return sum(self.write.values())

    @property
    def read_units(self) -> float:
        """Return the read units in all."""
        return sum(self.read.values())

    def less(self, other: Tally, times: float = 1.0) -> Tally:
        """Return this without ``times`` the other."""
        return self._combined(other, -times)

    def divided(self, by: float) -> Tally:
        """Return this for one of ``by`` equal shares."""
        return Tally()._combined(self, 1 / by)

    def _combined(self, other: Tally, factor: float) -> Tally:
        made = Tally()
        for name in ("write", "read", "calls", "invocations", "gb_ms"):
            mine, theirs, into = getattr(self, name), getattr(other, name), getattr(made, name)
            for part in {**mine, **theirs}:
                amount = mine.get(part, 0) + factor * theirs.get(part, 0)
                if abs(amount) > 1e-9:
                    into[part] = amount
        return made


def tally(requests: Iterable[Metered]) -> Tally:
    """Return the units of ``requests``."""
    made = Tally()
    for request in requests:
        for charge in request.charges:
            part = (request.phase, charge.place)
            if charge.write:
                made.write[part] += charge.write
            if charge.read:
                made.read[part] += charge.read
    return made
