"""Open keys, oldest first, only the merchant's; and what became of one key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from payonce.console.views import keys as keys_view
from payonce.console.views.key_rows import key_row
from payonce.console.views.keys import PAGE_ROWS, keys_page, keys_sheet
from payonce.domain.errors import BodyMalformed
from payonce.domain.payment import Change
from payonce.idempotency.record_items import to_item
from payonce.idempotency.records import IdempotencyRecord, RecordStatus
from payonce.payments.booking import first_writes
from payonce.ports import Insert, Table
from tests.support.console_reads import CountingDatabase
from tests.support.console_views import AuditedTable, payment_id_of, sources_of
from tests.support.payments import stored_payment
from tests.support.world import MERCHANT, World

if TYPE_CHECKING:
    from payonce.console.views.keys import KeysPage

KEY = "key-of-a-shop-0001"
STRANGER = "mer_2"


@pytest.fixture
def world() -> World:
    return World(database=CountingDatabase())


def claim(world: World, number: int, *, merchant_id: str = MERCHANT, age_ms: int = 0, **values: object) -> str:
    """Store an open claim and return its id."""
    now_ms = world.clock.ms
    record = IdempotencyRecord(
        record_id=f"{merchant_id}#create_payment#{number:064x}",
        status=RecordStatus.IN_DOUBT,
        claim_id=payment_id_of(number),
        fence=1,
        fingerprint="f",
        created_at_ms=now_ms - age_ms,
        expires_at_ms=now_ms,
        lease_expires_at_ms=now_ms + 5_000,
        resource=f"/payments/{payment_id_of(number)}",
        lane="bank",
    )
    record = replace(record, **values)
    world.database.write([Insert(Table.IDEMPOTENCY, to_item(record))])
    return record.claim_id


def claims_of(page: KeysPage) -> list[str]:
    return [row.view["claim_id"] for row in page.rows]


def test_open_keys_are_listed_oldest_first_and_only_the_merchants(world: World) -> None:
    """Fails when the order is that of what is due next, or when another merchant's claim is shown."""
    young = claim(world, 1, age_ms=1_000, lease_expires_at_ms=world.clock.ms)
    old = claim(world, 2, age_ms=600_000, lease_expires_at_ms=world.clock.ms + 900_000)
    foreign = claim(world, 3, merchant_id=STRANGER, age_ms=700_000)
    page = keys_page(sources_of(world), MERCHANT, {})
    assert claims_of(page) == [old, young]
    assert (page.open_count, page.old_count, page.is_whole, page.next_page) == (2, 1, True, None)
    assert [row.age_ms for row in page.rows] == [600_000, 1_000]
    assert page.rows[0].path == f"/payments/{old}"
    assert claims_of(keys_page(sources_of(world), None, {})) == [foreign, old, young], "everybody's"
    assert claims_of(keys_page(sources_of(world), "mer", {})) == [], "a prefix of a merchant's id is nobody"


def test_a_list_that_is_not_whole_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a bounded list passes for the whole one: somebody would take an outage for over."""
    monkeypatch.setattr(keys_view, "CLAIMS_A_SHARD", 1)
    for number in range(80):
        claim(world, number, age_ms=number)
    page = keys_page(sources_of(world), MERCHANT, {})
    assert not page.is_whole
    assert page.open_count == 32


def test_the_pages_share_the_claims_between_them(world: World) -> None:
    for number in range(PAGE_ROWS + 3):
        claim(world, number, age_ms=number)
    first, second = (keys_page(sources_of(world), MERCHANT, {"page": str(page)}) for page in (1, 2))
    assert (len(first.rows), first.next_page, len(second.rows), second.next_page) == (PAGE_ROWS, 2, 3, None)
    assert not {*claims_of(first)} & {*claims_of(second)}
    assert len(list(keys_sheet(sources_of(world), MERCHANT).rows)) == PAGE_ROWS + 3
    for wrong in ("0", "x", "-1", "99999"):
        with pytest.raises(BodyMalformed):
            keys_page(sources_of(world), MERCHANT, {"page": wrong})


def test_a_key_tells_its_states_and_its_trail(world: World) -> None:
    """Fails when a key's record or its audit trail is not shown, or a stranger's is."""
    trail = AuditedTable(world)
    world.create(KEY)
    trail.note()
    looked_up = keys_page(sources_of(world), MERCHANT, {"key": KEY}).looked_up
    assert looked_up is not None
    assert [row.view["state"] for row in looked_up.rows] == ["completed"]
    assert [moment.title for moment in looked_up.moments] == [
        "Claimed: create_payment",
        "Concluded, and its answer stored: create_payment",
    ]
    foreign = keys_page(sources_of(world), STRANGER, {"key": KEY}).looked_up
    assert foreign is not None
    assert (foreign.rows, foreign.moments) == ((), ())
    with pytest.raises(BodyMalformed, match="16 to 255"):
        keys_page(sources_of(world), MERCHANT, {"key": "short"})
    with pytest.raises(BodyMalformed, match="choose a merchant"):
        keys_page(sources_of(world), None, {"key": KEY})


@pytest.mark.parametrize(
    ("status", "lease_ms", "said"),
    [
        (RecordStatus.IN_PROGRESS, 1, "at work"),
        (RecordStatus.IN_PROGRESS, -1, "Its owner is gone"),
        (RecordStatus.IN_DOUBT, 1, "asks the gateway again by itself"),
        (RecordStatus.IN_DOUBT, -1, "within a minute"),
        (RecordStatus.IN_DOUBT, -180_000, "it is behind, or failing"),
        (RecordStatus.COMPLETED, 0, "never released"),
    ],
)
def test_each_state_says_what_happens_next(world: World, status: RecordStatus, lease_ms: int, said: str) -> None:
    claim_id = claim(world, 1, status=status, lease_expires_at_ms=world.clock.ms + lease_ms)
    (record,) = world.store.get_many([f"{MERCHANT}#create_payment#{1:064x}"])
    row = key_row(replace(record, claim_id=claim_id), now_ms=world.clock.ms)
    assert said in row.next_step
    assert row.is_open == (status is not RecordStatus.COMPLETED)


def test_open_keys_read_as_much_beside_10_000_payments_as_beside_1_000() -> None:
    """Fails when the page reads more where more is stored."""
    read = []
    for payments in (1_000, 10_000):
        world = World(database=(database := CountingDatabase()))
        for number in range(40):
            claim(world, number, age_ms=number)
        for number in range(payments):
            payment = stored_payment(MERCHANT, payment_id_of(number), captured=True)
            world.database.write(first_writes(payment, Change.CHARGED, None))
        database.tally.clear()
        keys_page(sources_of(world), MERCHANT, {})
        read.append((database.tally.round_trips, database.tally.units))
    assert read == [(33, 56.0), (33, 56.0)]
