"""The output of ``breaks list`` and ``breaks show``, as text and as documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.cli.output import as_json
from payonce.cli.support import shown
from payonce.reconciliation.cases.case import is_overdue
from payonce.reconciliation.cases.case_items import Visibility
from payonce.reconciliation.readers.values import neutralised
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from payonce.reconciliation.cases.case import Case


def document_of(case: Case, now_ms: int) -> dict[str, Any]:
    """Return the document of a case, as `breaks list` and `breaks show` have it."""
    rule = CLASSES[case.break_class]
    return {
        **as_json(case),
        "meaning": rule.meaning,
        "severity": rule.severity.value,
        "open_minor": case.open_minor,
        "overdue": is_overdue(case, now_ms),
    }


def line_of(case: Case, now_ms: int) -> str:
    """Return the line of a case in the list."""
    late = "overdue" if is_overdue(case, now_ms) else f"due {shown(case.due_at_ms)}"
    severity = CLASSES[case.break_class].severity.value
    return (
        f"{case.break_id}  {severity:<8}  {case.break_class.value:<22}  {_money(case, case.open_minor):>16}  {late}  "
        f"{case.assignee or '-'}"
    )


def amount_of(case: Case) -> str:
    """Return the amount at stake in minor units and the part still open, or "-" for a break without an amount."""
    if not case.corrected_minor:
        return _money(case, case.amount_minor)
    return f"{_money(case, case.amount_minor)}, {case.corrected_minor} given back, {case.open_minor} open"


def _money(case: Case, amount_minor: int) -> str:
    return f"{amount_minor} {case.currency}" if case.currency else "-"


def show_lines(
    case: Case, why: str, history: Sequence[Mapping[str, Any]], comments: Sequence[Mapping[str, Any]], now_ms: int
) -> Iterator[str]:
    """Yield the lines that show a case."""
    rule = CLASSES[case.break_class]
    yield from (
        f"break      {case.break_id}",
        f"class      {case.break_class.value}: {rule.meaning}",
        f"severity   {rule.severity.value}{', overdue' if is_overdue(case, now_ms) else ''}",
        f"status     {case.status.value}",
        f"amount     {amount_of(case)} (minor units)",
        f"about      {', '.join(case.subject)}",
        f"merchant   {case.merchant_id or '-'}",
        f"payment    {case.payment_id or '-'}",
        f"why        {why}",
        f"assignee   {_plain(case.assignee or '-')}; the merchant's: {_plain(case.merchant_assignee or '-')}",
        f"occurred   {shown(case.occurred_at_ms)}",
        f"opened     {shown(case.opened_at_ms)}, to be looked at by {shown(case.due_at_ms)}",
        f"last seen  {shown(case.last_seen_at_ms)} by {case.last_seen_run_id}",
        "evidence",
    )
    for row in case.evidence:
        yield f"  {row.source.value:<10} {_fields(row.fields)}"
    yield "history"
    for each in history:
        yield f"  {shown(each['at_ms'])}  {each['change']:<10} {each['by']} {_plain(each['note'] or '')}"
    yield "comments"
    for each in comments:
        yield f"  {shown(each['at_ms'])}  {_comment_line(each)}"


def _comment_line(comment: Mapping[str, str]) -> str:
    read_by = " (the merchant reads it)" if comment["visibility"] == Visibility.MERCHANT.value else ""
    return f"{comment['by']}{read_by}: {_plain(comment['text'])}"


def _fields(fields: Mapping[str, str | int | None]) -> str:
    return " ".join(f"{name}={_plain(value)}" for name, value in fields.items() if value is not None)


def _plain(value: str | int) -> str:
    # A report's text is untrusted: it must neither control the terminal nor become a formula in a spreadsheet.
    if isinstance(value, int):
        return str(value)
    return neutralised(value if value.isprintable() else ascii(value))
