"""What an uploaded file says as a file: its lines, what is wrong, and its statements.

Allowed: what ``files`` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.console.exports import Amount, Sheet, saved
from payonce.reconciliation.runs.upload_desk import reading_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.console.exports import Cell
    from payonce.console.page import Download, PageRequest, Services


def lines_list(services: Services, request: PageRequest) -> Download:
    """Return what each line is read as, of the lines that the page has. Raises ``NotFound``."""
    reading = _reading(services, request)
    columns = (
        ("line", 8), ("date", 24), ("read as", 16), ("word", 16), ("amount", 16), ("fee", 12), ("currency", 8),
        ("reference", 36), ("text", 60),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [_line(one) for one in reading["lines"]]
    if reading["line_count"] > len(rows):
        rows.append((f"These are the first {len(rows)} of {reading['line_count']} lines.",))
    return saved(request, Sheet("Lines", columns, rows))


def wrong_list(services: Services, request: PageRequest) -> Download:
    """Return what is wrong with the file, and what to do about each. Raises ``NotFound``."""
    columns = (("line", 8), ("field", 20), ("problem", 80), ("to do", 80), ("the line", 80))
    rows = [
        (
            one["line"] or "the whole file",
            one["field"] or "",
            one["problem"],
            one["to_do"],
            next((text for number, text in one["excerpt"] if number == one["line"]), ""),
        )
        for one in _reading(services, request)["wrong"]
    ]
    return saved(request, Sheet("Wrong lines", columns, rows))


def statements_list(services: Services, request: PageRequest) -> Download:
    """Return the file's statements with their balances, and whether each proves itself. Raises ``NotFound``."""
    columns = (("account", 36), ("lines", 8), ("opening", 16), ("closing", 16), ("currency", 8), ("not proved", 60))
    rows = [
        (
            one["account"], one["lines"], _amount(one["opening_minor"], one["currency"]),
            _amount(one["closing_minor"], one["currency"]), one["currency"], one["unproved"] or "",
        )
        for one in _reading(services, request)["statements"]
    ]  # fmt: skip
    return saved(request, Sheet("Statements", columns, rows))


def _reading(services: Services, request: PageRequest) -> dict[str, Any]:
    return reading_of(services.files, request.path_parameters["file_id"])


def _line(one: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        one["line"], one["at"], one["kind"], one["word"] or "",
        _amount(one["amount_minor"], one["currency"]), _amount(one["fee_minor"], one["currency"]), one["currency"],
        one["reference"] or "", one["text"] or "",
    )  # fmt: skip


def _amount(minor: int | None, currency: str) -> Amount | None:
    return None if minor is None else Amount(minor, currency)
