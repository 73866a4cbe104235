"""The way in: a seed becomes a case."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.support.reconciliation_injector.bank_faults import LINE_FAULTS, STATEMENT_FAULTS, Bank
from tests.support.reconciliation_injector.faults import PAYMENT_FAULTS
from tests.support.reconciliation_injector.model import Case, Planted
from tests.support.reconciliation_injector.settlement import add_other_lines, pay_out, write_statements
from tests.support.reconciliation_injector.world import World

if TYPE_CHECKING:
    from payonce.reconciliation.readers.rows import GatewayRow

STATEMENT_FAULTS_AT_MOST = 8  # six accounts with 45 statements each have no more room


def compose(seed: int, per_class: int, *, statement_faults: bool = True) -> Case:
    """Return the case of this seed; with ``per_class`` 0 it is clean. Equal arguments give equal cases."""
    world = World(seed, per_class)
    planted: list[Planted] = [plant(world) for plant in PAYMENT_FAULTS.values() for _ in range(per_class)]
    pay_out(world)
    add_other_lines(world)
    bank = Bank(world)
    planted += [plant_line(bank) for plant_line in LINE_FAULTS.values() for _ in range(per_class)]
    write_statements(world)
    if statement_faults:
        few = min(per_class, STATEMENT_FAULTS_AT_MOST)
        planted += [plant_late(bank) for plant_late in STATEMENT_FAULTS.values() for _ in range(few)]
    reported: dict[str, list[GatewayRow]] = defaultdict(list)
    for payment in world.payments:
        reported[payment.gateway] += payment.reported
    for payout in world.payouts:
        reported[payout.gateway].append(payout.row)
    ledger = [row for payment in world.payments for row in payment.ledger]
    for rows in (ledger, *reported.values()):
        world.maker.rng.shuffle(rows)
    return Case(
        seed=seed,
        settings=world.settings,
        ledger=ledger,
        reported=dict(reported),
        statements=[*world.statements, *world.resent],
        planted=planted,
    )
