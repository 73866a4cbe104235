"""The control totals of a camt message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_SEQUENCE_DIGITS
from payonce.reconciliation.readers.values import minor_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.reconciliation.readers.camt_xml import Node
    from payonce.reconciliation.readers.rows import StatementLine


def is_opening(kind: str) -> bool:
    """Whether a balance type opens a statement or a page of it."""
    return kind in ("OPBD", "PRCD", "ITBD")


def is_closing(kind: str) -> bool:
    """Whether a balance type closes a statement or a page of it."""
    return kind in ("CLBD", "ITBD")


def sequence_of(node: Node) -> int:
    """Return a statement's number. Raises ``FileRejected``."""
    text = node.text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_SEQUENCE_DIGITS):
        raise FileRejected(f"{shown(text)} is not a statement's number", line=node.line, field=node.name)
    return int(text)


def summary_off(summary: Node, lines: list[StatementLine]) -> Iterator[str]:
    """Yield where the statement's totals of entries, credits and debits are not those of its booked entries.

    Raises ``FileRejected`` for a total that is no number.
    """
    credits_ = [line.amount_minor for line in lines if line.amount_minor > 0]
    debits = [-line.amount_minor for line in lines if line.amount_minor < 0]
    # An amount of zero is credit or debit by its indicator alone; it counts in the total of all entries.
    zeros = len(lines) - len(credits_) - len(debits)
    currency = lines[0].currency if lines else "XXX"
    total = sum(credits_) - sum(debits)
    for name, count, amounts, slack in (
        ("TtlNtries", len(lines), sum(credits_) + sum(debits), 0),
        ("TtlCdtNtries", len(credits_), sum(credits_), zeros),
        ("TtlDbtNtries", len(debits), sum(debits), zeros),
    ):
        yield from _count_off(summary, name, count, slack)
        yield from _sum_off(summary, f"{name}/Sum", currency, amounts)
    net_name = "TtlNtries/TtlNetNtry/Amt" if summary.find("TtlNtries/TtlNetNtry") else "TtlNtries/TtlNetNtryAmt"
    yield from _sum_off(summary, net_name, currency, abs(total))


def _count_off(summary: Node, name: str, counted: int, slack: int) -> Iterator[str]:
    field = f"TxsSummry/{name}/NbOfNtries"
    stated = summary.value(f"{name}/NbOfNtries")
    node = summary.find(name)
    if stated is None or node is None:
        return
    if not (stated.isascii() and stated.isdigit() and len(stated) <= 15):
        raise FileRejected(f"{shown(stated)} is not a number of entries", line=node.line, field=field)
    if not counted <= int(stated) <= counted + slack:
        yield f"{field} says {stated}, there are {counted} booked"


def _sum_off(summary: Node, path: str, currency: str, counted: int) -> Iterator[str]:
    node = summary.find(path)
    if node is None:
        return
    field = f"TxsSummry/{path}"
    if currency == "XXX":
        stated_zero = not node.text.strip().strip("0.")
        if not stated_zero:
            yield f"{field} states a sum, but nothing is booked"
        return
    stated = minor_of(node.text, currency, line=node.line, field=field)
    if stated != counted:
        yield f"{field} says {stated}, the booked entries make {counted} in minor units"
