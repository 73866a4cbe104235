"""DynamoDB fails at every request of every operation, in every way in the catalogue.

What is true of a client's answer at once, and after recovery with nobody asking, is compared with the bank's books;
then the client asks again until it knows. PAYONCE_FAULTS=full plays each cell with every bank.

Seen to fail: with the SDK repeating a write after a doubt, or a 500 taken as refused ("store-unavailable", and recovery
charges); with a release that requires no fence ("2 payments"); with a completion that requires none; with every "not
found" taken as final (the late bank has executed 2); with half an answer read as an empty one (404 for a payment that
is stored); with a hot shard that ends a recovery run (test_recovery_run.py).
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.contract.faults.catalogue import FAULTS
from tests.contract.faults.cell import Healthy, dry_run, run_cell
from tests.contract.faults.conftest import CELLS
from tests.contract.faults.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.contract.faults.catalogue import Fault
    from tests.contract.faults.operations import Operation
    from tests.contract.faults.servers import Servers

FULL = os.environ.get("PAYONCE_FAULTS") == "full"
BANKS = ("honouring", "forgetful", "late")
_healthy: dict[tuple[str, str], Healthy] = {}


def healthy(servers: Servers, operation: Operation, bank: str) -> Healthy:
    """Return what the operation does without faults, from one run."""
    if (operation.name, bank) not in _healthy:
        _healthy[operation.name, bank] = dry_run(servers, operation, bank)
    return _healthy[operation.name, bank]


def struck(actions: tuple[str, ...], operation: Operation, fault: Fault) -> list[int]:
    """Return the numbers of the requests that the fault strikes.

    The slice takes one query of a run, since they are alike, and one request where operation or fault is like another.
    """
    numbers = [number for number, action in enumerate(actions, start=1) if fault.fits(action)]
    if FULL or not numbers:
        return numbers
    chosen = zlib.crc32(f"{operation.name}{fault.name}".encode())
    if fault.alike or operation.alike:
        return [numbers[chosen % len(numbers)]]
    queries = [number for number in numbers if actions[number - 1] == "query"]
    kept = queries[chosen % len(queries)] if queries else 0
    return [number for number in numbers if number not in queries or number == kept]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "_"))
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name.replace(" ", "_"))
def test_every_answer_is_true(servers: Servers, operation: Operation, fault: Fault) -> None:
    broken = []
    # The slice takes one bank for each pair, the full matrix all of them.
    for bank in BANKS if FULL else [BANKS[zlib.crc32(f"{operation.name}{fault.name}".encode()) % len(BANKS)]]:
        well = healthy(servers, operation, bank)
        for number in struck(well.actions, operation, fault):
            result = run_cell(servers, operation, fault, number, bank, well)
            CELLS[operation.name, fault.name][result.answer] += 1
            broken += [
                f"request {number} ({well.actions[number - 1]}), bank {bank}: {promise}" for promise in result.broken
            ]
    assert not broken, "\n" + "\n".join(broken)
