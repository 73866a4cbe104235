"""The lines of the page's tables of accounts and of ageing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from payonce.reconciliation.matching.ageing import ageing
from payonce.reconciliation.matching.open_items import MAX_OPEN_ITEMS
from payonce.reconciliation.model import Source
from payonce.reconciliation.readers.values import grouped, plain
from payonce.reconciliation.report.drawing import day_text, words
from payonce.reconciliation.taxonomy import CLASSES

if TYPE_CHECKING:
    from payonce.reconciliation.matching.ageing import Aged
    from payonce.reconciliation.matching.roll_forward import RollForward
    from payonce.reconciliation.report.contents import Contents

NOT_STATED = "not stated"


def account_lines(contents: Contents) -> list[dict[str, Any]]:
    """Return each gateway's balance and each bank account with its lines from the opening to what is unexplained."""
    return [_account(one) for one in contents.result.accounts]


def ageing_lines(contents: Contents) -> list[dict[str, Any]]:
    """Return the breaks by class, currency and age, and all of each currency together."""
    return [_aged(one) for one in ageing(contents.result.breaks, contents.settings.as_of_ms)]


def open_left_out(contents: Contents) -> str:
    """Return a sentence if there are more open items than are listed, else ""."""
    result = contents.result
    more = sum(total.rows for total in result.open_totals) - len(result.open_items)
    if more <= 0:
        return ""
    return (
        f"The {MAX_OPEN_ITEMS:,} largest of the gateways' and of the bank's are listed here; {more:,} smaller ones are "
        "in the exports alone."
    )


def _account(one: RollForward) -> dict[str, Any]:
    what = "balance" if one.source is Source.GATEWAY else "account"
    lines = [_line(_dated("Opening", one.first_day), one.opening_minor, one.currency, style="sum")]
    lines += [
        _line(words(each.kind), each.amount_minor, one.currency, rows=each.rows)
        for each in one.movements
        if each.is_stated
    ]
    if one.opening_minor is None:
        lines.append(_line("Moved in all", one.moved_minor, one.currency, style="sum"))
    else:
        lines.append(_line("Closing, computed", one.opening_minor + one.moved_minor, one.currency, style="sum"))
    lines.append(_line(_dated("Closing, stated", one.last_day), one.closing_minor, one.currency))
    unexplained = one.unexplained_minor
    lines.append(_line("Unexplained", unexplained, one.currency, style="sum off" if unexplained else "sum"))
    lines += [
        _line(f"not in a statement: {words(each.kind)}", each.amount_minor, one.currency, rows=each.rows)
        for each in one.movements
        if not each.is_stated
    ]
    return {"name": f"{plain(one.account)}, {one.currency} ({what})", "lines": lines}


def _dated(name: str, day: int | None) -> str:
    return name if day is None else f"{name} {day_text(day)}"


def _line(name: str, amount_minor: int | None, currency: str, *, rows: int = 0, style: str = "") -> dict[str, str]:
    amount = NOT_STATED if amount_minor is None else grouped(amount_minor, currency)
    if amount_minor is None and name == "Unexplained":
        amount = "not known"
    return {"name": name, "rows": f"{rows:,}" if rows else "", "amount": amount, "style": style}


def _aged(one: Aged) -> dict[str, Any]:
    cells = [
        (f"{count:,}", grouped(amount, one.currency))
        for count, amount in zip((*one.counts, one.overdue), (*one.amounts_minor, one.overdue_minor), strict=True)
    ]
    return {
        "name": "all classes" if one.break_class is None else words(one.break_class.value),
        "severity": "" if one.break_class is None else CLASSES[one.break_class].severity.value,
        "currency": one.currency,
        "cells": cells,
        "is_total": one.break_class is None,
    }
