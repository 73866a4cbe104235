"""DynamoDB fails at every request of every operation, in every way in the catalogue.

What is true of a client's answer at once, and after recovery with nobody asking, is compared with the bank's books;
then the client asks again until it knows. PAYONCE_FAULTS=full plays each cell with every bank.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

import pytest

from tests.contract.faults.catalogue import FAULTS
from tests.contract.faults.cell import dry_run, run_cell
from tests.contract.faults.conftest import CELLS
from tests.contract.faults.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.contract.faults.catalogue import Fault
    from tests.contract.faults.operations import Operation
    from tests.contract.faults.stage import Servers

FULL = os.environ.get("PAYONCE_FAULTS") == "full"
BANKS = ("honouring", "forgetful", "late")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "_"))
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name.replace(" ", "_"))
def test_every_answer_is_true(servers: Servers, operation: Operation, fault: Fault) -> None:
    broken = []
    for number, action in enumerate(actions_of(servers, operation), start=1):
        if not fault.fits(action):
            continue
        for bank in BANKS if FULL else [BANKS[zlib.crc32(f"{operation.name}{fault.name}{number}".encode()) % 3]]:
            result = run_cell(servers, operation, fault, number, bank)
            CELLS[operation.name, fault.name][result.answer] += 1
            broken += [f"request {number} ({action}), bank {bank}: {promise}" for promise in result.broken]
    assert not broken, "\n" + "\n".join(broken)


_ACTIONS: dict[str, list[str]] = {}


def actions_of(servers: Servers, operation: Operation) -> list[str]:
    """Return the actions of the operation's requests, from one run without faults."""
    if operation.name not in _ACTIONS:
        _ACTIONS[operation.name] = dry_run(servers, operation)
    return _ACTIONS[operation.name]
