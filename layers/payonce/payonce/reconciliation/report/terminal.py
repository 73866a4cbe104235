"""The summary of a run for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.extras import needs
from payonce.reconciliation.matching.summary import verdict
from payonce.reconciliation.model import Outcome
from payonce.reconciliation.readers.values import grouped, plain
from payonce.reconciliation.report.contents import SHOWN_KINDS, UNPROVED, refusals, unproved
from payonce.reconciliation.report.decided import NUMBERS, tables_of
from payonce.reconciliation.report.unusual import found_text, more_merchants, window_lines
from payonce.reconciliation.taxonomy import Severity

with needs("reconcile"):
    from rich.table import Table
    from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from payonce.reconciliation.matching.summary import Conserved
    from payonce.reconciliation.report.contents import Contents

MAX_DECIDED = 50  # lines of what people decided; a terminal is no place for thousands
SEVERITY_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "yellow",
    Severity.MEDIUM: "cyan",
    Severity.LOW: "dim",
}


def show(contents: Contents, console: Console) -> None:
    """Write what was left out, what has to be known first, classes, movements, open items, proof and verdict."""
    for line in refusals(contents):
        console.print(Text(line, style="bold red"))
    for notice in contents.notices:
        console.print(Text(plain(notice), style="bold yellow"))
    if contents.classes:
        classes = Table("class", "severity", title="Breaks", title_justify="left", box=None, pad_edge=False)
        for heading in ("breaks", "at stake", "overdue"):
            classes.add_column(heading, justify="right")
        for one in contents.classes:
            amount = f"{grouped(one.amount_minor, one.currency)} {one.currency}"
            severity = Text(one.severity.value, style=SEVERITY_STYLES[one.severity])
            classes.add_row(one.break_class.value, severity, f"{one.count:,}", amount, f"{one.overdue:,}")
        console.print(classes)
        console.print()
    proof = Table("source", "", title="Conservation", title_justify="left", box=None, pad_edge=False)
    for heading in ("read", *(outcome.value for outcome in Outcome), "repeated"):
        proof.add_column(heading, justify="right")
    proof.add_column("holds")
    for conserved in contents.proof:
        proof.add_row(*_cells(conserved))
    console.print(proof)
    console.print()
    _show_fees(contents, console)
    _show_open(contents, console)
    _show_decided(contents, console)
    _show_windows(contents, console)
    _show_unproved(contents, console)
    console.print(Text(plain(verdict(contents.result, contents.proof))))
    if remark := found_text(contents.result):
        console.print(Text(remark))
    console.print(Text(f"digest {contents.result.digest}"))
    if contents.manifest_hash:
        console.print(Text(f"manifest {contents.manifest_hash}"))


def _show_unproved(contents: Contents, console: Console) -> None:
    if lines := unproved(contents):
        console.print(Text(UNPROVED, style="yellow"))
        for line in lines:
            console.print(Text(f"  {line}"))
        console.print()


def _show_fees(contents: Contents, console: Console) -> None:
    """Write what the gateways took, by the word that they have for it; what they hold back, too."""
    lines = [one for one in contents.result.balance if one.fee_minor or one.kind in SHOWN_KINDS]
    if not lines:
        return
    fees = Table("gateway", "movement", "", title="Fees and holds", title_justify="left", box=None, pad_edge=False)
    for heading in ("rows", "moved", "fees in it"):
        fees.add_column(heading, justify="right")
    for one in lines:
        amounts = (grouped(one.amount_minor, one.currency), grouped(one.fee_minor, one.currency))
        fees.add_row(Text(plain(one.gateway)), Text(plain(one.category)), one.currency, f"{one.rows:,}", *amounts)
    console.print(fees)
    console.print()


def _show_open(contents: Contents, console: Console) -> None:
    """Write how much is neither matched nor a break, and why; the report and the exports list each row."""
    if not contents.result.open_totals:
        return
    items = Table("source", "reason", "", title="Open items", title_justify="left", box=None, pad_edge=False)
    for heading in ("rows", "sum"):
        items.add_column(heading, justify="right")
    for one in contents.result.open_totals:
        items.add_row(
            one.source.value, one.reason, one.currency, f"{one.rows:,}", grouped(one.amount_minor, one.currency)
        )
    console.print(items)
    console.print()


def _show_decided(contents: Contents, console: Console) -> None:
    """Write what people decided, and what matched rows differ by all the same."""
    for title, headings, lines in tables_of(contents.settings, contents.result):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for heading in headings:
            table.add_column(heading, justify="right" if heading in NUMBERS else "left")
        for line in lines[:MAX_DECIDED]:
            table.add_row(*map(Text, line))
        console.print(table)
        if len(lines) > MAX_DECIDED:
            console.print(Text(f"and {len(lines) - MAX_DECIDED:,} more, in the JSON"))
        console.print()


def _show_windows(contents: Contents, console: Console) -> None:
    """Print the merchants' double-charge windows and their false-positive rates."""
    if not (lines := window_lines(contents.result)):
        return
    title = "Windows of double charges, false alarms in 10,000"
    windows = Table("merchant", "window", "basis", title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("earlier charges", "measured", "at most"):
        windows.add_column(heading, justify="right")
    for line in lines:
        windows.add_row(Text(plain(line.merchant_id)), *line[1:])
    console.print(windows)
    if more := more_merchants(contents.result):
        console.print(Text(more))
    console.print()


def _cells(one: Conserved) -> list[str]:
    def cell(rows: int, amount_minor: int) -> str:
        return f"{rows:,}\n{grouped(amount_minor, one.currency)}"

    parts = (cell(one.rows[outcome], one.amount_minor[outcome]) for outcome in Outcome)
    holds = "yes" if one.holds else "NO"
    return [one.source.value, one.currency, cell(one.read_rows, one.read_minor), *parts, f"{one.repeated:,}", holds]
