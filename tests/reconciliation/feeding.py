"""Cases into the engine: as rows, through real files, in another order, in pieces and twice."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.taxonomy import CLASSES
from tests.support.reconciliation_injector.files import bank_csv, gateway_csv, gateway_file, statement_file
from tests.support.reconciliation_injector.maker import PLAIN

if TYPE_CHECKING:
    from payonce.reconciliation.matching.run_result import RunResult
    from tests.support.reconciliation_injector.model import Case

# What follows from the rows alone. A probable double charge is found by its own measure, not by the rules.
JUDGED = tuple(name for name, rule in CLASSES.items() if rule.deterministic)


def run_plainly(case: Case, *, files: bool = False, bank_files: bool = False) -> RunResult:
    """Run the case: each gateway and the bank in one file; with ``files`` as the bytes of payonce's own CSV."""
    with DuckDbWorkspace() as workspace:
        workspace.add_ledger(case.ledger)
        for gateway, rows in case.reported.items():
            through = files and gateway == PLAIN
            file = read_file(gateway_csv(rows)) if through else gateway_file(rows, f"{case.seed} {gateway}")
            workspace.add_file(file, gateway=gateway)
        as_file = read_file(bank_csv(case.statements)) if bank_files else statement_file(case.statements, "bank")
        workspace.add_file(as_file)
        return workspace.run(case.settings)


def run_disturbed(case: Case, seed: int) -> tuple[RunResult, RunResult]:
    """Run the case shuffled, split into overlapping files that come in another order and twice; and run it again."""
    rng = random.Random(seed)
    with DuckDbWorkspace(threads=1) as workspace:
        ledger = rng.sample(case.ledger, len(case.ledger))
        workspace.add_ledger(ledger[: len(ledger) // 3])
        workspace.add_ledger(ledger[len(ledger) // 4 :])
        gateways = rng.sample(sorted(case.reported), len(case.reported))
        for gateway in gateways:
            rows = rng.sample(case.reported[gateway], len(case.reported[gateway]))
            size = rng.randrange(50, 200)
            for start in range(0, len(rows), size):
                file = gateway_file(rows[max(0, start - 20) : start + size], f"{gateway} {start} {seed}")
                for _ in range(2):
                    workspace.add_file(file, gateway=gateway)
        statements = rng.sample(case.statements, len(case.statements))
        for start in range(0, len(statements), 40):
            workspace.add_file(statement_file(statements[max(0, start - 5) : start + 40], f"bank {start} {seed}"))
        return workspace.run(case.settings), workspace.run(case.settings)
