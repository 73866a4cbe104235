"""Why a key has one home region: a claim in each of two regions is two charges (docs/multi-region.md).

Each region has a replica of the tables. A conditional write is evaluated on the region's own version of the item, and
the later write wins when replicas meet, as on a DynamoDB global table with eventual consistency:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from payonce.domain.gateway import OperationKind
from payonce.domain.ids import UlidSource
from payonce.payments.payment_work import Services
from payonce.ports import Table
from payonce.stores.memory import MemoryDatabase
from tests.support.world import FORGETFUL, HONOURING, MERCHANT, ManualClock, ScriptedGateway, World

if TYPE_CHECKING:
    from payonce.domain.gateway import GatewayCapabilities
    from payonce.idempotency.records import StoredResponse


@dataclass
class Regions:
    """Two regions that share nothing but the gateway and the replication of their tables."""

    capabilities: GatewayCapabilities
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.gateway = ScriptedGateway(self.clock, capabilities=self.capabilities)
        self.worlds = {name: self._world(start) for start, name in ((1, "frankfurt"), (1_000_000, "dublin"))}

    def _world(self, start: int) -> World:
        world = World(clock=self.clock, gateway=self.gateway)
        # Ids are random: two regions never draw the same one.
        counter = itertools.count(start)
        ids = UlidSource(self.clock.now_ms, lambda size: next(counter).to_bytes(size, "big"))
        world.services = Services(database=world.database, clock=self.clock, ids=ids)
        return world

    def create_in(self, name: str) -> StoredResponse:
        """Send the one request, with the one key, to a region."""
        return self.worlds[name].create("the-key").response

    def replicate(self, source: str, target: str) -> None:
        """Let the writes of one region arrive in the other one, where they are the later ones."""
        stored, replica = self.worlds[source].database, self.worlds[target].database
        assert isinstance(stored, MemoryDatabase)
        assert isinstance(replica, MemoryDatabase)
        for table in Table:
            replica._tables[table].update(stored._tables[table])

    def charges(self) -> int:
        """Return how often the payer was charged."""
        return len(self.gateway.succeeded(OperationKind.PAYMENT))


def home_of(merchant_id: str) -> str:
    """Return a merchant's home region: the same one wherever the request arrives."""
    return ("frankfurt", "dublin")[hashlib.sha256(merchant_id.encode()).digest()[0] % 2]


@pytest.mark.parametrize("capabilities", [FORGETFUL, HONOURING], ids=["forgetful", "honouring"])
def test_a_retry_in_another_region_charges_twice_while_replication_lags(capabilities: GatewayCapabilities) -> None:
    """It is the same after the first region is lost. No gateway helps: each region draws an id, and sends a reference,
    of its own.
    """
    regions = Regions(capabilities)
    answers = [regions.create_in(name) for name in ("frankfurt", "dublin")]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body != answers[1].body
    assert regions.charges() == 2


def test_when_the_replicas_meet_one_of_the_two_charges_has_no_record() -> None:
    """One answer was acknowledged and is forgotten: its key replays the other. Only reconciliation finds the charge."""
    regions = Regions(FORGETFUL)
    kept, lost = (regions.create_in(name) for name in ("frankfurt", "dublin"))
    regions.replicate("frankfurt", "dublin")
    assert regions.create_in("dublin").body == kept.body != lost.body
    assert regions.charges() == 2


def test_after_replication_a_retry_elsewhere_is_a_replay() -> None:
    """Which is why it looks safe in a trial: the lag is a second or less, as a rule."""
    regions = Regions(FORGETFUL)
    first = regions.create_in("frankfurt")
    regions.replicate("frankfurt", "dublin")
    assert regions.create_in("dublin").body == first.body
    assert regions.charges() == 1


def test_a_home_region_for_each_merchant_charges_once_wherever_requests_arrive() -> None:
    regions = Regions(FORGETFUL)
    answers = [regions.create_in(home_of(MERCHANT)) for _arrived_in in ("frankfurt", "dublin")]
    assert answers[0].body == answers[1].body
    assert regions.charges() == 1
