"""The report of a run: the fields of its log line, from which the metrics are derived."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_MS
from payonce.reconciliation.anomalies.calibration import Basis
from payonce.reconciliation.anomalies.findings import NOTHING_UNUSUAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.cases.recording import RunCounts
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.runs.files import KnownFile
    from payonce.reconciliation.runs.stored_policy import PolicyInForce


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """The result of a run. ``digest`` is that of the rules' results, ``manifest_hash`` the new head of the chain.

    ``unusual`` counts bursts and outliers by kind, ``findings`` those of the last day, so that each raises the alarm
    once. ``uncalibrated_merchants`` have too little history for a window of their own. For ``policy_id`` and
    ``policy_refused`` see ``PolicyInForce``. ``matches`` counts the matches by hand by what became of them,
    ``differences`` the matched rows whose amounts differ by what is tolerated or accepted.
    """

    run_id: str
    as_of_ms: int
    seconds: int
    files: int
    rows: int
    breaks: int
    double_charges: int
    unusual: Mapping[str, int]
    findings: int
    merchants: int
    uncalibrated_merchants: int
    digest: str
    manifest_hash: str
    policy_id: str
    policy_refused: str | None
    matches: Mapping[str, int]
    differences: int
    counts: RunCounts

    def to_log(self) -> dict[str, Any]:
        """Return the fields of the log line, from which the metrics are derived."""
        document = asdict(self)
        return {**document, **document.pop("counts")}


@dataclass(slots=True)
class Period:
    """The period of a run, its files, and the data of their rows that is needed once the engine is closed."""

    from_ms: int
    files_from_ms: int
    known: list[KnownFile] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    joined: set[str] = field(default_factory=set)
    unproved: set[str] = field(default_factory=set)
    matched: set[str | None] = field(default_factory=set)
    refunded_minor: Mapping[tuple[str, str], int] = field(default_factory=dict)


def report_of(
    result: RunResult,
    period: Period,
    policy: PolicyInForce,
    *,
    run_id: str,
    as_of_ms: int,
    seconds: int,
    manifest_hash: str,
    counts: RunCounts,
) -> RunReport:
    """Return the report of a finished run."""
    anomalies = result.anomalies or NOTHING_UNUSUAL
    return RunReport(
        run_id=run_id,
        as_of_ms=as_of_ms,
        seconds=seconds,
        files=len(period.known),
        rows=sum(result.rows.values()),
        breaks=len(result.breaks),
        double_charges=len(anomalies.double_charges),
        unusual={kind.value: count for kind, count in sorted(anomalies.counts.items())},
        findings=sum(one.at_ms >= as_of_ms - DAY_MS for one in anomalies.findings),
        merchants=len(anomalies.calibrations),
        uncalibrated_merchants=sum(one.basis is not Basis.HISTORY for one in anomalies.calibrations),
        digest=result.digest,
        manifest_hash=manifest_hash,
        policy_id=policy.policy_id,
        policy_refused=policy.refused,
        matches=dict(Counter(one.state.value for one in result.matches)),
        differences=sum(one.rows for one in result.difference_totals),
        counts=counts,
    )
