"""The contents that the HTML and the JSON report share: settings, files, breaks, proof."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from payonce.reconciliation.matching.comparison import compared
from payonce.reconciliation.matching.summary import (
    age_hours,
    by_class,
    conservation,
    is_overdue,
    urgent_first,
    verdict,
)
from payonce.reconciliation.readers.values import plain
from payonce.reconciliation.report.decided import decided
from payonce.reconciliation.runs.manifest import settings_document
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS, TO_DO

if TYPE_CHECKING:
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.matching.summary import ClassSummary, Conserved
    from payonce.reconciliation.model import Break, RunSettings
    from payonce.reconciliation.runs.intake import Intake

JSON_VERSION = 5
UNPROVED = "Unproved: these files may lack lines. Their lines are matched, but what rests on them settles nothing."
# What our ledger does not have and an accountant asks for: taken, held back, or moved by the gateway itself.
SHOWN_KINDS = frozenset({"fee", "reserve", "transfer", "conversion", "adjustment"})


@dataclass(frozen=True, slots=True)
class Contents:
    """A finished run. ``manifest_hash`` is the hash of its manifest in the chain, ``None`` without a chain."""

    settings: RunSettings
    intake: Intake
    result: RunResult
    manifest_hash: str | None = None

    @property
    def breaks(self) -> list[Break]:
        """Return the breaks, the most urgent first."""
        return sorted(self.result.breaks, key=urgent_first)

    @property
    def notices(self) -> list[str]:
        """What has to be known before anything else: of the run, and of each file what was read in its own way."""
        of_files = [f"{one.name}: {notice}" for one in self.intake.files for notice in one.notices]
        return [*self.result.notices, *self.intake.notices, *self.result.remarks, *of_files]

    @property
    def classes(self) -> tuple[ClassSummary, ...]:
        """Return counts and amounts by class and currency."""
        return by_class(self.result.breaks, self.settings.as_of_ms)

    @property
    def proof(self) -> tuple[Conserved, ...]:
        """Return the proof of conservation: that every row read was matched, excluded or reported as a break."""
        return conservation(self.result.tallies, self.intake.read)


def refusals(contents: Contents) -> list[str]:
    """Return what is said before anything else: the files that the run went on without, each with its reason."""
    return [f"Left out: {plain(one.name)}: {plain(one.reason)}" for one in contents.intake.refused]


def unproved(contents: Contents) -> list[str]:
    """Return the files that do not prove themselves, a line for each reason."""
    return [f"{plain(one.name)}: {plain(why)}" for one in contents.intake.files for why in one.unproved]


def as_json(contents: Contents) -> dict[str, Any]:
    """Return the whole run as JSON: every break, amounts in minor units, times in epoch milliseconds."""
    return {
        "version": JSON_VERSION,
        "refused": [asdict(one) for one in contents.intake.refused],
        "verdict": verdict(contents.result, contents.proof),
        "notices": contents.notices,
        "settings": settings_document(contents.settings),
        "decided_by_hand": [asdict(one) for one in decided(contents.settings, contents.result)],
        "differences": [asdict(one) for one in contents.result.differences],
        "difference_totals": [asdict(one) for one in contents.result.difference_totals],
        "files": [asdict(facts) for facts in contents.intake.files],
        "digest": contents.result.digest,
        "manifest_hash": contents.manifest_hash,
        "conservation": [
            {
                "source": one.source,
                "currency": one.currency,
                "read_rows": one.read_rows,
                "read_minor": one.read_minor,
                "rows": dict(one.rows),
                "amount_minor": dict(one.amount_minor),
                "holds": one.holds,
            }
            for one in contents.proof
        ],
        "open_totals": [asdict(one) for one in contents.result.open_totals],
        "open_items": [asdict(one) for one in contents.result.open_items],
        "balance": [asdict(one) for one in contents.result.balance],
        "accounts": [
            {**asdict(one), "moved_minor": one.moved_minor, "unexplained_minor": one.unexplained_minor}
            for one in contents.result.accounts
        ],
        "anomalies": contents.result.anomalies.to_document() if contents.result.anomalies else None,
        "breaks": [_break(found, contents.settings) for found in contents.breaks],
    }


def _break(found: Break, settings: RunSettings) -> dict[str, Any]:
    rule = CLASSES[found.break_class]
    as_of_ms = settings.as_of_ms
    comparison = compared(found, settings)
    return {
        "break_id": found.break_id,
        "break_class": found.break_class,
        "severity": rule.severity,
        "meaning": rule.meaning,
        "to_do": TO_DO[found.break_class],
        "subject": list(found.subject),
        "amount_minor": found.amount_minor,
        "currency": found.currency,
        "expected_minor": comparison.expected_minor,
        "expected_currency": comparison.expected_currency,
        "actual_minor": comparison.actual_minor,
        "actual_currency": comparison.actual_currency,
        "difference_minor": comparison.difference_minor,
        "occurred_at_ms": found.occurred_at_ms,
        "age_hours": age_hours(found, as_of_ms),
        "sla_hours": SLA_HOURS[rule.severity],
        "overdue": is_overdue(found, as_of_ms),
        "merchant_id": found.merchant_id,
        "payment_id": found.payment_id,
        "gateway": found.gateway,
        "surplus_gateway_payment_id": found.surplus_gateway_payment_id,
        "why": " ".join(filter(None, (found.why, comparison.note))) or None,
        "evidence": [
            {"source": one.source, "row_key": one.row_key, "fields": dict(one.fields)} for one in found.evidence
        ],
    }
