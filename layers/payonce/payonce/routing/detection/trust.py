"""Trust."""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAWS = 64
INDIFFERENT = 0.006
SHARED = 0.5
LATE = 0.333
HANGING = 1.0
POOLED = 100.0
LATE_POOLED = 30.0
PRIOR_GOOD = 1.0
PRIOR_BAD = 1.0
ROOM_SECONDS = 20.0
RAISE = 1.15
RAISE_FROM = 0.03
KNOWN = 0.0
RISING = 100.0
SNAP = 0.35
FULL = 0.9
LATE_FULL = 0.5
LATE_INDIFFERENT = 0.01
LATE_SHARED = 0.5  # level from which
_NORMAL = [NormalDist().inv_cdf((k + 0.5) / DRAWS) for k in range(DRAWS)]


def _drawn(index: int) -> list[float]:
    z = list(_NORMAL)
    Random(index).shuffle(z)
    return z


_Z = [_drawn(i) for i in range(16)]


def shares(counts: Mapping[str, tuple[float, float]], neutral: Mapping[str, float], indifferent: float, shared: float) -> dict[str, float]:
    """Return shares by sampling; counts are good and bad."""
    names = [name for name in neutral if neutral[name] > 0]
    draws = []
    for z, name in zip(_Z, names, strict=False):
        good, bad = counts.get(name, (0.0, 0.0))
        a, b = PRIOR_GOOD + good, PRIOR_BAD + bad
        c, d = 1 - 1 / (9 * b), 1 / (3 * math.sqrt(b))
        draws.append([(g := b * max(0.0, c + d * x) ** 3) / (a + g) for x in z])
    total = dict.fromkeys(names, 0.0)
    weights = [neutral[name] for name in names]
    for one in zip(*draws, strict=True):
        most = min(one) * (1 + shared) + indifferent
        near = [w if q <= most else 0.0 for q, w in zip(one, weights, strict=True)]
        whole = sum(near)
        for name, w in zip(names, near, strict=True):
            total[name] += w / whole
    return {name: value / DRAWS for name, value in total.items()}
