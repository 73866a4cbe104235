"""A recovery run that is struck at one of its queries still serves the shards that answer.

One throttled query once ended the whole run; with a shard that stays hot, the shards behind it were never served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.ports import Table
from tests.contract.faults.catalogue import BY_NAME
from tests.contract.faults.operations import new_payment
from tests.contract.faults.stage import LEASE_JUST_OVER_MS, staged
from tests.support.dynamodb_fates import HotPartition

if TYPE_CHECKING:
    from tests.contract.faults.servers import Servers
    from tests.contract.faults.stage import Stage

CLAIMS = 24


def open_shards(stage: Stage) -> list[str]:
    """Return the shard of each claim that is not concluded."""
    return sorted(item["open_shard"] for item in stage.stored(Table.IDEMPOTENCY) if item["status"] != "COMPLETED")


@pytest.mark.parametrize("fault", ["throttled", "500", "reset", "cut"])
@pytest.mark.parametrize("which", [0, CLAIMS // 2, -1])
def test_a_hot_shard_costs_its_own_claims_alone(servers: Servers, fault: str, which: int) -> None:
    with staged(servers, "forgetful") as stage:
        for number in range(CLAIMS):
            stage.die("create_payment", new_payment(), when="before", key=f"key-of-client-{number:02d}")
        stage.pass_time(LEASE_JUST_OVER_MS)
        before = open_shards(stage)
        hot = before[which]
        assert len(set(before)) > CLAIMS // 3
        servers.proxy.arm(HotPartition("query", hot, BY_NAME[fault].fates[0]))
        report = stage.recover()
        servers.proxy.disarm()
        assert open_shards(stage) == [shard for shard in before if shard == hot], report
        stage.recover(database=servers.direct)
        assert open_shards(stage) == []
        assert len(stage.bank.succeeded()) == CLAIMS
