"""The report as one HTML file, which loads nothing, runs no script, and escapes every text from a file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from payonce.reconciliation.matching.summary import age_hours, is_overdue, verdict
from payonce.reconciliation.model import Outcome
from payonce.reconciliation.readers.values import EPOCH, grouped, plain
from payonce.reconciliation.report.contents import SHOWN_KINDS, UNPROVED, refusals, unproved
from payonce.reconciliation.report.decided import NUMBERS, tables_of
from payonce.reconciliation.report.plots import plots_of
from payonce.reconciliation.report.unusual import TARGET, findings_of, found_text, more_merchants, window_lines
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS

if TYPE_CHECKING:
    from payonce.reconciliation.anomalies.findings import Finding
    from payonce.reconciliation.matching.run_result import OpenTotal
    from payonce.reconciliation.matching.summary import ClassSummary, Conserved
    from payonce.reconciliation.model import BalanceMovement, Break, Evidence, RunSettings
    from payonce.reconciliation.report.contents import Contents

TEMPLATE = "report.html.jinja"
MAX_BREAKS = 1_000  # with their evidence a browser lays out this many in a second; the JSON has all breaks


def _moved(one: BalanceMovement) -> tuple[str, ...]:
    amounts = (grouped(one.amount_minor, one.currency), grouped(one.fee_minor, one.currency))
    return plain(one.gateway), plain(one.category), one.currency, f"{one.rows:,}", *amounts


def _open(one: OpenTotal) -> tuple[str, ...]:
    return one.source.value, one.reason, one.currency, f"{one.rows:,}", grouped(one.amount_minor, one.currency)


def as_html(contents: Contents, *, max_breaks: int = MAX_BREAKS) -> str:
    """Return the report, with at most ``max_breaks`` breaks. Equal runs give equal texts."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    proof = contents.proof
    files = contents.intake.files
    as_of_ms = contents.settings.as_of_ms
    return environment.get_template(
        TEMPLATE
    ).render(
        as_of=_time(as_of_ms),
        rows=f"{sum(facts.rows for facts in files):,}",
        refusals=refusals(contents),
        unproved_title=UNPROVED,
        unproved=unproved(contents),
        verdict=verdict(contents.result, proof),
        notices=[plain(notice) for notice in contents.notices],
        fees=[_moved(one) for one in contents.result.balance if one.fee_minor or one.kind in SHOWN_KINDS],
        open_totals=[_open(one) for one in contents.result.open_totals],
        decided=tables_of(contents.settings, contents.result),
        decided_numbers=NUMBERS,
        max_breaks=max_breaks,
        holds=all(one.holds for one in proof),
        classes=[_class(one) for one in contents.classes],
        # The only unescaped markup: matplotlib made it, and escapes the texts it is given.
        plots=[
            {"name": plot.name, "title": plot.title, "says": plain(plot.says), "svg": Markup(plot.svg)}  # noqa: S704  # nosec B704
            for plot in plots_of(contents)
        ],
        outcomes=[outcome.value for outcome in Outcome],
        proof=[_conserved(one) for one in proof],
        windows=[[plain(cell) for cell in line] for line in window_lines(contents.result)],
        more_merchants=more_merchants(contents.result),
        target=TARGET,
        found_text=found_text(contents.result),
        findings=[_finding(one) for one in findings_of(contents.result)],
        breaks=[_break(found, as_of_ms) for found in contents.breaks[:max_breaks]],
        breaks_total=len(contents.result.breaks),
        files=[
            {
                "name": plain(facts.name),
                "format": facts.format,
                "gateway": plain(facts.gateway or ""),
                "rows": f"{facts.rows:,}",
                "file_id": facts.file_id,
            }
            for facts in files
        ],
        settings=_settings(contents.settings),
        digest=contents.result.digest,
        manifest_hash=contents.manifest_hash,
    )


def _class(one: ClassSummary) -> dict[str, Any]:
    return {
        "name": one.break_class.value.replace("_", " "),
        "severity": one.severity.value,
        "count": f"{one.count:,}",
        "amount": f"{grouped(one.amount_minor, one.currency)} {one.currency}",
        "overdue": f"{one.overdue:,}",
        "meaning": CLASSES[one.break_class].meaning,
    }


def _conserved(one: Conserved) -> dict[str, Any]:
    return {
        "source": one.source.value,
        "currency": one.currency,
        "read_rows": f"{one.read_rows:,}",
        "read_amount": grouped(one.read_minor, one.currency),
        "parts": [
            {"rows": f"{one.rows[outcome]:,}", "amount": grouped(one.amount_minor[outcome], one.currency)}
            for outcome in Outcome
        ],
        "repeated": f"{one.repeated:,}",
        "holds": one.holds,
    }


def _break(found: Break, as_of_ms: int) -> dict[str, Any]:
    rule = CLASSES[found.break_class]
    return {
        "break_id": found.break_id,
        "name": found.break_class.value.replace("_", " "),
        "severity": rule.severity.value,
        "meaning": rule.meaning,
        "why": plain(found.why) if found.why else "",
        "amount": f"{grouped(found.amount_minor, found.currency)} {found.currency}",
        "subject": [plain(part) for part in found.subject],
        "occurred_at": _time(found.occurred_at_ms),
        "age": _hours(age_hours(found, as_of_ms)),
        "sla_hours": SLA_HOURS[rule.severity],
        "overdue": is_overdue(found, as_of_ms),
        "surplus": plain(found.surplus_gateway_payment_id or ""),
        "evidence": [_evidence(row) for row in found.evidence],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "kind": one.kind.value.replace("_", " "),
        "subject": [plain(part) for part in one.subject],
        "at": _time(one.at_ms),
        "explanation": one.explanation,
        "evidence": [plain(key) for key in one.evidence],
        "more": one.rows - len(one.evidence),
    }


def _evidence(row: Evidence) -> dict[str, Any]:
    fields = []
    for name, value in row.fields.items():
        if value is None or value == "":
            continue
        if name.endswith("_at_ms") and isinstance(value, int):
            fields.append((name.removesuffix("_ms"), _time(value)))
        else:
            # A number is ours and may begin with a minus; a text comes from the file.
            fields.append((name, str(value) if isinstance(value, int) else plain(value)))
    return {"source": row.source.value, "row_key": plain(row.row_key), "fields": fields}


def _settings(settings: RunSettings) -> list[tuple[str, str]]:
    shown = [
        ("in transit", f"{settings.in_transit_hours} h"),
        ("settlement", f"within {settings.settlement_sla_hours} h"),
        ("payout", f"at the bank within {settings.payout_sla_days} days"),
        ("double charges", f"of all days, by those before the last {settings.judged_days}"),
        ("bursts and outliers", f"of the last {settings.judged_days} days, by those before"),
        ("dispute", f"lost if undecided for {settings.dispute_days} days"),
        (
            "exchange rate",
            f"within {settings.fx_tolerance_basis_points} basis points of the rate given, stated, or usual near it",
        ),
    ]
    for fee in settings.fees:
        fixed = f"{grouped(fee.fixed_minor, fee.currency)} {fee.currency}"
        rule = f"{fixed} + {fee.basis_points} basis points, within {fee.tolerance_minor} minor units"
        shown.append((f"fee of {plain(fee.gateway)} in {fee.currency}", rule))
    return shown


def _hours(hours: int) -> str:
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def _time(at_ms: int) -> str:
    return f"{EPOCH + timedelta(milliseconds=at_ms):%Y-%m-%d %H:%M:%S} UTC"
