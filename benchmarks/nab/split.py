"""Which series constants may be fitted on, and which are only scored.

Within each group of real series the files alternate in the order of their names: first fitted on, second held out, and
so on. The artificial groups are fitted on. The rule looks at nothing but names.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.nab.scorer import Series


def _group(series: Series) -> str:
    return series.name.rpartition("/")[0]


def halves(corpus: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """Return (fitted on, held out)."""
    fitted: list[Series] = []
    held: list[Series] = []
    for group, members in groupby(sorted(corpus, key=lambda series: series.name), key=_group):
        for i, series in enumerate(members):
            (fitted if group.startswith("artificial") or i % 2 == 0 else held).append(series)
    return fitted, held
