"""Set-ups that the bank holds, raced for on DynamoDB Local, with charges of what they save and its revocation.

``PAYONCE_RACES`` is the number of seeds, as of the waiting races. What goes wrong elsewhere: two set-ups of one card
(https://github.com/Adyen/adyen-magento2/issues/1287), a revoked mandate that is charged
(https://github.com/pronamic/wp-pronamic-pay/issues/188).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from payonce.ports import Table
from tests.contract.test_concurrency import RealWorldClock
from tests.support.aws import create_tables, dynamo_database, dynamodb_client
from tests.support.races import ACTORS, Shaken
from tests.support.setup_races import SetupRace
from tests.support.traces import check_trace, keep_trace
from tests.support.world import World

SEEDS = int(os.environ.get("PAYONCE_RACES", "40"))
FIRST = int(os.environ.get("PAYONCE_RACES_FIRST", "0"))
ENDS = {"succeeded", "declined", "canceled", "expired"}


def test_whoever_is_first_there_is_one_method_and_a_true_status(dynamodb_local: str) -> None:
    """Prints how the races ended. A failure names its seed."""
    client = dynamodb_client(dynamodb_local)
    names = create_tables(client, "setup-races-")
    keep_trace(client, names[Table.IDEMPOTENCY])
    shaken = Shaken(dynamo_database(client, names))
    world = World(clock=RealWorldClock(), database=shaken)  # type: ignore[arg-type]
    ends: Counter[str] = Counter()
    failed: dict[int, str] = {}
    with ThreadPoolExecutor(ACTORS + 4) as pool:
        for seed in range(FIRST, FIRST + SEEDS):
            shaken.race = race = SetupRace(world, seed)
            try:
                ends[race.run(pool)] += 1
            except Exception as error:
                failed[seed] = f"{type(error).__name__}: {error}"
    lines = [f"{count:6d}  {words}" for words, count in ends.most_common()]
    sys.stdout.write("\n".join(["", f"{SEEDS} races about set-ups", *lines, ""]))
    assert failed == {}
    check_trace(client, names[Table.IDEMPOTENCY], at_least=3 * SEEDS)
    reached = {words.partition(",")[0] for words in ends}
    assert reached == ENDS if SEEDS >= 1000 else len(reached) >= 3
