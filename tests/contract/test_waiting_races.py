"""Payments that the bank holds, raced for on DynamoDB Local: payer, cancellations, confirmations, settlements, events.

What goes wrong elsewhere: a return page and a notification that both charge
(https://github.com/woocommerce/woocommerce-gateway-stripe/issues/683), a payment that is canceled and paid
(https://github.com/Adyen/adyen-magento2/issues/3313), a late failure that overrides a success
(https://github.com/woocommerce/woocommerce-gateway-stripe/issues/902), and a payer's return that is handled twice
(https://github.com/pretix/pretix/issues/2165).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from payonce.ports import Table
from tests.contract.test_concurrency import RealWorldClock
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.races import ACTORS, Race, Shaken
from tests.support.traces import check_trace, keep_trace
from tests.support.world import World

SEEDS = int(os.environ.get("PAYONCE_RACES", "40"))
FIRST = int(os.environ.get("PAYONCE_RACES_FIRST", "0"))
FULL = SEEDS >= 1000
# How races end; a slice need not meet them all.
ENDS = {
    "payment.captured by settlement",
    "payment.captured by confirmation",
    "payment.authorized by settlement",
    "payment.authorized by confirmation",
    "payment.declined by settlement",
    "payment.declined by confirmation",
    "payment.expired by settlement",
    "payment.captured by event",
    "payment.declined by event",
    "payment.voided_at_gateway by settlement",
    "void.succeeded by cancellation",
    "payment.captured by settlement, and the payer was faster than a cancellation",
}


def test_whoever_is_first_there_is_one_charge_and_a_true_status(dynamodb_local: str) -> None:
    """Prints how the races ended. A failure names its seed."""
    client = dynamodb_client(dynamodb_local)
    names = create_tables(client, "races-")
    keep_trace(client, names[Table.IDEMPOTENCY])
    shaken = Shaken(dynamo_database(client, names))
    world = World(clock=RealWorldClock(), database=shaken)  # type: ignore[arg-type]
    ends: Counter[str] = Counter()
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(ACTORS) as pool:
        for seed in range(FIRST, FIRST + SEEDS):
            shaken.race = race = Race(world, seed)
            try:
                ends[race.run(pool)] += 1
            except Exception as error:
                failed[seed] = f"{type(error).__name__}: {error}"
    lines = [f"{count:6d}  {words}" for words, count in ends.most_common()]
    sys.stdout.write("\n".join(["", f"{SEEDS} races", *lines, ""]))
    assert failed == {}
    check_trace(client, names[Table.IDEMPOTENCY], at_least=4 * SEEDS)
    if FULL:
        assert ENDS - ends.keys() == set()
    else:
        assert len(ends) >= 5
