"""The report as one HTML file, which loads nothing, runs its own script alone, and escapes every text from a file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.extras import needs
from payonce.reconciliation.matching.ageing import BUCKETS
from payonce.reconciliation.matching.comparison import compared
from payonce.reconciliation.matching.contract_fee import rule_text
from payonce.reconciliation.matching.summary import age_hours, is_overdue, verdict
from payonce.reconciliation.model import Outcome
from payonce.reconciliation.readers.values import grouped, plain
from payonce.reconciliation.report.contents import SHOWN_KINDS, UNPROVED, refusals, unproved
from payonce.reconciliation.report.decided import NUMBERS, tables_of
from payonce.reconciliation.report.drawing import words
from payonce.reconciliation.report.plots import plots_of
from payonce.reconciliation.report.sections import account_lines, ageing_lines, open_left_out
from payonce.reconciliation.report.shown import age_text, money, time_text
from payonce.reconciliation.report.table_data import data_blocks
from payonce.reconciliation.report.unusual import TARGET, findings_of, found_text, more_merchants, window_lines
from payonce.reconciliation.taxonomy import CLASSES, SLA_HOURS, TO_DO

with needs("reconcile"):
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

if TYPE_CHECKING:
    from payonce.reconciliation.anomalies.findings import Finding
    from payonce.reconciliation.matching.run_result import OpenTotal
    from payonce.reconciliation.matching.summary import ClassSummary, Conserved
    from payonce.reconciliation.model import BalanceMovement, Break, RunSettings
    from payonce.reconciliation.report.contents import Contents

TEMPLATE = "report.html.jinja"
FOLDER = Path(__file__).parent
MAX_URGENT = 50  # shown where no script runs; the tables have every break
MAX_DECIDED = 1_000  # lines a list of what was decided by hand; the JSON has all


def _moved(one: BalanceMovement) -> tuple[str, ...]:
    amounts = (grouped(one.amount_minor, one.currency), grouped(one.fee_minor, one.currency))
    return plain(one.gateway), plain(one.category), one.currency, f"{one.rows:,}", *amounts


def _open(one: OpenTotal) -> tuple[str, ...]:
    return one.source.value, words(one.reason), one.currency, f"{one.rows:,}", grouped(one.amount_minor, one.currency)


def as_html(contents: Contents) -> str:
    """Return the report with every break. Equal runs give equal texts."""
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    proof = contents.proof
    files = contents.intake.files
    as_of_ms = contents.settings.as_of_ms
    return environment.get_template(TEMPLATE).render(
        # The only markup that is not escaped is our own: style, script, JSON that can't end its element, and what
        # matplotlib made, which escapes the texts it is given.
        style=_own(style),
        style_hash=_hash(style),
        script=_own(script),
        script_hash=_hash(script),
        blocks=[(name, _own(text)) for name, text in data_blocks(contents)],
        as_of=time_text(as_of_ms),
        rows=f"{sum(facts.rows for facts in files):,}",
        refusals=refusals(contents),
        unproved_title=UNPROVED,
        unproved=unproved(contents),
        verdict=plain(verdict(contents.result, proof)),
        notices=[plain(notice) for notice in contents.notices],
        fees=[_moved(one) for one in contents.result.balance if one.fee_minor or one.kind in SHOWN_KINDS],
        open_totals=[_open(one) for one in contents.result.open_totals],
        decided=tables_of(contents.settings, contents.result),
        decided_numbers=NUMBERS,
        max_decided=MAX_DECIDED,
        holds=all(one.holds for one in proof),
        classes=[_class(one) for one in contents.classes],
        plots=[
            {"name": plot.name, "title": plot.title, "says": plain(plot.says), "svg": _own(plot.svg)}
            for plot in plots_of(contents)
        ],
        outcomes=[outcome.value for outcome in Outcome],
        proof=[_conserved(one) for one in proof],
        windows=[[plain(cell) for cell in line] for line in window_lines(contents.result)],
        more_merchants=more_merchants(contents.result),
        target=TARGET,
        found_text=found_text(contents.result),
        findings=[_finding(one) for one in findings_of(contents.result)],
        breaks=[_break(found, contents.settings) for found in contents.breaks[:MAX_URGENT]],
        breaks_total=len(contents.result.breaks),
        buckets=BUCKETS,
        ageing=ageing_lines(contents),
        accounts=account_lines(contents),
        open_left_out=open_left_out(contents),
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
        "name": words(one.break_class.value),
        "severity": one.severity.value,
        "count": f"{one.count:,}",
        "amount": money(one.amount_minor, one.currency),
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


def _break(found: Break, settings: RunSettings) -> dict[str, Any]:
    rule = CLASSES[found.break_class]
    comparison = compared(found, settings)
    amounts = {
        "expected": (comparison.expected_minor, comparison.expected_currency),
        "actual": (comparison.actual_minor, comparison.actual_currency),
        "difference": (comparison.difference_minor, found.currency),
    }
    return {
        "break_id": found.break_id,
        "name": words(found.break_class.value),
        "severity": rule.severity.value,
        "meaning": rule.meaning,
        "to_do": TO_DO[found.break_class],
        "why": plain(" ".join(filter(None, (found.why, comparison.note)))),
        "amount": money(found.amount_minor, found.currency),
        **{name: "not known" if minor is None else money(minor, code) for name, (minor, code) in amounts.items()},
        "subject": [plain(part) for part in found.subject],
        "occurred_at": time_text(found.occurred_at_ms),
        "age": age_text(age_hours(found, settings.as_of_ms)),
        "sla_hours": SLA_HOURS[rule.severity],
        "overdue": is_overdue(found, settings.as_of_ms),
        "surplus": plain(found.surplus_gateway_payment_id or ""),
    }


def _finding(one: Finding) -> dict[str, Any]:
    return {
        "kind": words(one.kind.value),
        "subject": [plain(part) for part in one.subject],
        "at": time_text(one.at_ms),
        "explanation": one.explanation,
        "evidence": [plain(key) for key in one.evidence],
        "more": one.rows - len(one.evidence),
    }


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
        within = money(fee.tolerance_minor, fee.currency)
        shown.append((f"fee of {plain(fee.gateway)} in {fee.currency}", f"{rule_text(fee)}, within {within}"))
    return shown


def _own(markup: str) -> Markup:
    return Markup(markup)  # noqa: S704  # nosec B704


def _hash(text: str) -> str:
    """Return what the page's policy calls a script or style by."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
