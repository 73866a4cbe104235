"""Write units of every case by AWS's published rules, with all that follows asynchronously, beside the stock stack.

``python -m benchmarks.write_units`` runs the functions' own handlers on DynamoDB Local and prints a row for each case,
then what each unit is for. ``--dollars`` prints what a million payments cost. ``--write`` writes the tables into
docs/capacity.md.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.units.cases import Case, Cases
from benchmarks.units.dollars import GOAL_RATIO, PARTS, Prices, bills
from benchmarks.units.page import markers, write
from benchmarks.units.stage import running_stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.units.tally import Tally

    type Rows = list[tuple[str, ...]]

COMMAND = "python -m benchmarks.write_units --write"
CASES, UNITS = markers("cases", COMMAND), markers("what each unit is for", COMMAND)
DOLLARS = markers("dollars", "python -m benchmarks.write_units --dollars --write")
CASES_HEAD = ("case", "goal", "write units", "read units", "", "stock: write", "read")
UNITS_HEAD = ("case", "who", "table or index", "write units", "read units")
DOLLARS_HEAD = ("stack", "payments/s", "records a batch", *PARTS, "in all", "/ stock")
console = Console(width=150)


def main() -> int:
    """Print the tables; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="write_units", description=__doc__)
    parser.add_argument("--dollars", action="store_true", help="what a million payments cost, at several rates")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/capacity.md")
    options = parser.parse_args()
    if options.dollars:
        return dollars(writes=options.write)
    with running_stage() as stage:
        cases = list(Cases(stage).all())
    rows, all_parts = summary(cases), [row for case in cases for row in parts(case.name, case.ours)]
    if options.write:
        write(CASES, CASES_HEAD, rows)
        shown = [case for case in cases if case.goal is not None]
        write(UNITS, UNITS_HEAD, [row for case in shown for row in parts(case.name, case.ours)])
    _print(CASES_HEAD, rows)
    _print(UNITS_HEAD, all_parts)
    return 0 if all(is_met(case) for case in cases) else 1


def dollars(*, writes: bool) -> int:
    """Print what a million payments cost; return 1 when payonce without webhooks is over the goal."""
    prices = Prices.read()
    with running_stage(prices.waits) as stage:
        made = bills(Cases(stage), prices)
    found = {(bill.label, bill.rate): bill.total for bill in made}
    rows, missed = [], False
    for bill in made:
        ratio = bill.total / found["stock", bill.rate]
        missed |= bill.label == "payonce" and ratio > GOAL_RATIO
        amounts = (f"{bill.parts[part]:.2f}" for part in PARTS)
        rows.append((bill.label, f"{bill.rate:,}", str(bill.batch), *amounts, f"{bill.total:.2f}", f"{ratio:.2f}"))
    if writes:
        write(DOLLARS, DOLLARS_HEAD, rows)
    _print(DOLLARS_HEAD, rows)
    console.print(f"{prices.document['region']}, prices of {prices.document['read_on']}")
    console.print(f"goal: payonce without webhooks <= {GOAL_RATIO} times stock's: {'MISSED' if missed else 'met'}")
    return 1 if missed else 0


def summary(cases: list[Case]) -> Rows:
    """Return one row for each case: goal, write and read units, and the stock stack's."""
    rows: Rows = []
    for case in cases:
        stock = ("-", "-") if case.stock is None else (_text(case.stock.write_units), _text(case.stock.read_units))
        goal = "" if case.goal is None else f"<= {_text(case.goal)}"
        verdict = "" if case.goal is None else "met" if is_met(case) else "MISSED"
        rows.append((case.name, goal, _text(case.ours.write_units), _text(case.ours.read_units), verdict, *stock))
    return rows


def is_met(case: Case) -> bool:
    """Return whether the case is within its goals; without goals it is."""
    writes = case.goal is None or case.ours.write_units <= case.goal
    return writes and (case.goal_reads is None or case.ours.read_units <= case.goal_reads)


def parts(name: str, units: Tally) -> Rows:
    """Return what each unit is for: who wrote or read, and which table or index."""
    return [
        (name, who, place, _text(units.write.get((who, place), 0)), _text(units.read.get((who, place), 0)))
        for who, place in sorted({**units.write, **units.read})
    ]


def _text(units: float) -> str:
    return f"{units:.1f}".removesuffix(".0")


def _print(head: Sequence[str], rows: Rows) -> None:
    table = TextTable(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
