"""Write units of every case by AWS's published rules, with all that follows asynchronously, beside the stock stack.

``python -m benchmarks.write_units`` runs the functions' own handlers on DynamoDB Local and prints a row for each case,
then what each unit is for. ``--dollars`` prints what a million payments cost.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as TextTable

from benchmarks.units.cases import Case, Cases
from benchmarks.units.dollars import GOAL_RATIO, PARTS, Prices, bills
from benchmarks.units.stage import running_stage

if TYPE_CHECKING:
    from benchmarks.units.tally import Tally

console = Console(width=150)


def main() -> int:
    """Print the tables; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="write_units", description=__doc__)
    parser.add_argument("--dollars", action="store_true", help="what a million payments cost, at several rates")
    if parser.parse_args().dollars:
        return dollars()
    with running_stage() as stage:
        cases = list(Cases(stage).all())
    console.print(summary(cases))
    for case in cases:
        console.print(parts(case.name, case.ours))
        if case.stock is not None:
            console.print(parts(f"stock: {case.name}", case.stock))
    return 0 if all(is_met(case) for case in cases) else 1


def dollars() -> int:
    """Print what a million payments cost; return 1 when payonce without webhooks is over the goal."""
    prices = Prices.read()
    with running_stage(prices.waits) as stage:
        made = bills(Cases(stage), prices)
    found = {(bill.label, bill.rate): bill.total for bill in made}
    title = f"dollars a million payments, {prices.document['region']}, prices of {prices.document['read_on']}"
    table = TextTable("stack", "payments/s", "records a batch", *PARTS, "in all", "/ stock", title=title)
    missed = False
    for bill in made:
        ratio = bill.total / found["stock", bill.rate]
        missed |= bill.label == "payonce" and ratio > GOAL_RATIO
        parts_ = (f"{bill.parts[part]:.2f}" for part in PARTS)
        table.add_row(bill.label, f"{bill.rate:,}", str(bill.batch), *parts_, f"{bill.total:.2f}", f"{ratio:.2f}")
    console.print(table)
    console.print(f"goal: payonce without webhooks <= {GOAL_RATIO} times stock's: {'MISSED' if missed else 'met'}")
    return 1 if missed else 0


def summary(cases: list[Case]) -> TextTable:
    """Return one row for each case: goal, write and read units, and the stock stack's."""
    table = TextTable("case", "goal", "write units", "read units", "", "stock: write", "read")
    for case in cases:
        stock = ("-", "-") if case.stock is None else (_text(case.stock.write_units), _text(case.stock.read_units))
        goal = "" if case.goal is None else f"<= {_text(case.goal)}"
        verdict = "" if case.goal is None else "met" if is_met(case) else "MISSED"
        table.add_row(case.name, goal, _text(case.ours.write_units), _text(case.ours.read_units), verdict, *stock)
    return table


def is_met(case: Case) -> bool:
    """Return whether the case is within its goals; without goals it is."""
    writes = case.goal is None or case.ours.write_units <= case.goal
    return writes and (case.goal_reads is None or case.ours.read_units <= case.goal_reads)


def parts(name: str, units: Tally) -> TextTable:
    """Return what each unit is for: who wrote or read, and which table or index."""
    table = TextTable("who", "table or index", "write", "read", title=name, title_justify="left")
    for who, place in sorted({**units.write, **units.read}):
        table.add_row(who, place, _text(units.write.get((who, place), 0)), _text(units.read.get((who, place), 0)))
    return table


def _text(units: float) -> str:
    return f"{units:.1f}".removesuffix(".0")


if __name__ == "__main__":
    sys.exit(main())
