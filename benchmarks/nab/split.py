"""Which series were looked at and fitted on, and which are only scored. The rules look at nothing but names.

Within each group of real series the files alternate in the order of their names: first fitted on, second held out, and
so on; the artificial groups are fitted on. Of what that holds out, in the order of the names, every second series stays
held out for good. The others were looked at when a first design had failed on them (docs/adr/0017-anomaly-detector.md),
so they count as fitted on.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.nab.scorer import Series


def group_of(series: Series) -> str:
    """Return the folder of a series."""
    return series.name.rpartition("/")[0]


def halves(corpus: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """Return (the first design's development series, what it held out)."""
    first: list[Series] = []
    second: list[Series] = []
    for group, members in groupby(sorted(corpus, key=lambda series: series.name), key=group_of):
        for i, series in enumerate(members):
            (first if group.startswith("artificial") or i % 2 == 0 else second).append(series)
    return first, second


def development_and_held_out(corpus: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """Return (looked at and fitted on, held out for good)."""
    first, second = halves(corpus)
    return first + second[::2], second[1::2]
