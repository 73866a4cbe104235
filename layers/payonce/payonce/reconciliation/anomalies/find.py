"""Finds all anomalies of a run, in the tables that its rules read."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from payonce.reconciliation.anomalies.bursts import find_bursts, histories
from payonce.reconciliation.anomalies.double_charge import find_double_charges
from payonce.reconciliation.anomalies.findings import MAX_FINDINGS_PER_KIND, Anomalies, Finding, FindingKind
from payonce.reconciliation.anomalies.outliers import find_outliers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    type Query = Callable[[str], Iterable[Sequence[Any]]]

_BURSTS = frozenset({FindingKind.PAYER_BURST, FindingKind.MERCHANT_BURST})


def find_anomalies(query: Query, *, judged_from_ms: int) -> Anomalies:
    """Return the anomalies among charges at or after ``judged_from_ms``, measured against those before.

    ``query`` executes a statement in DuckDB's dialect immediately and returns an iterable of its rows. The result does
    not depend on the order of the tables' rows nor on duplicates among them.
    """
    history = histories(query, judged_from_ms=judged_from_ms)
    charges = {merchant_id: before for merchant_id, (before, _) in history.items()}
    breaks, calibrations = find_double_charges(query, judged_from_ms=judged_from_ms, history=charges)
    counts: Counter[FindingKind] = Counter()
    kept: dict[FindingKind, list[Finding]] = {kind: [] for kind in FindingKind}
    for findings in (
        find_bursts(query, judged_from_ms=judged_from_ms, history=history),
        find_outliers(query, judged_from_ms=judged_from_ms),
    ):
        for one in findings:
            counts[one.kind] += 1
            kept[one.kind].append(one)
            if len(kept[one.kind]) == 2 * MAX_FINDINGS_PER_KIND:
                kept[one.kind] = _most_striking(kept[one.kind])
    return Anomalies(
        judged_from_ms=judged_from_ms,
        double_charges=breaks,
        calibrations=calibrations,
        findings=tuple(one for kind in FindingKind for one in _most_striking(kept[kind])),
        counts=MappingProxyType(dict(counts)),
    )


def _striking(one: Finding) -> tuple[int, tuple[str, ...], int]:
    """Return a sort key, the most striking first: bursts by probability, outliers by distance."""
    return one.score if one.kind in _BURSTS else -one.score, one.subject, one.at_ms


def _most_striking(kept: list[Finding]) -> list[Finding]:
    return sorted(kept, key=_striking)[:MAX_FINDINGS_PER_KIND]
