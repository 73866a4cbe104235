"""The audit trail: every transition once, from the stream alone, however often the stream is read."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payonce.domain.errors import MisconfiguredError, PayonceError, StoreUnavailable
from payonce.domain.gateway import OperationKind
from payonce.entrypoints.claim_stream import serve_audit
from payonce.idempotency.audit import AuditEntry, ReleasedBy, Transition, claimed_entry
from payonce.idempotency.audit_export import COLUMNS, write_csv, write_jsonl
from payonce.idempotency.audit_items import PAGE_SIZE, DatabaseAuditTrail, entries_from, month_of
from payonce.idempotency.audit_stream import entry_of
from payonce.idempotency.keys import record_id
from payonce.idempotency.record_items import from_item
from payonce.ports import Table
from payonce.stores.dynamodb_requests import from_stream_image
from payonce.stores.memory import MemoryDatabase
from payonce.wiring.settings import load_settings
from tests.support.stream import StreamingDatabase, stream_record
from tests.support.world import MERCHANT, ManualClock, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Item, Write

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CREATE = record_id(MERCHANT, "create_payment", "key")
RETENTION_SECONDS = 100 * 86_400


def streaming_world() -> tuple[World, StreamingDatabase, DatabaseAuditTrail]:
    clock = ManualClock()
    database = StreamingDatabase(clock)
    return World(clock, database), database, DatabaseAuditTrail(database, RETENTION_SECONDS)


def audit(database: StreamingDatabase, trail: DatabaseAuditTrail) -> list[tuple[str, int]]:
    """Read the whole stream, and return (transition, fence) of the payment's record."""
    assert serve_audit({"Records": database.stream}, trail) == {"batchItemFailures": []}
    return [(entry.transition.value, entry.fence) for entry in trail.history(CREATE)]


def stored_entries(database: MemoryDatabase) -> list[Item]:
    """Return the stored entries, without the directory of scopes."""
    return [item for item in database._tables[Table.AUDIT].values() if "transition" in item]


def entry(number: int = 1, **changes: Any) -> AuditEntry:
    made = AuditEntry(
        record_id=f"mer_1#op#{number:064d}",
        claim_id=f"c{number:05d}",
        fence=1,
        transition=Transition.CLAIMED,
        at_ms=1_800_000_000_000 + number,
        status="INPROGRESS",
    )
    return replace(made, **changes)


def test_a_payment_is_claimed_and_completed() -> None:
    world, database, trail = streaming_world()
    world.create()
    assert audit(database, trail) == [("claimed", 1), ("completed", 1)]
    completed = trail.history(CREATE, newest_first=True, limit=1)[0]
    assert (completed.principal, completed.response_status, completed.scope, completed.operation) == (
        "payonce",
        201,
        MERCHANT,
        "create_payment",
    )


def test_a_payment_is_one_entry_which_tells_of_the_claim_too() -> None:
    """Fails when the claim has an item of its own, or its entry is not what the record said while it was open."""
    world, database, trail = streaming_world()
    world.create()
    first = from_item(from_stream_image(database.stream[0]["dynamodb"]["NewImage"]))
    audit(database, trail)
    assert len(stored_entries(database)) == 1
    assert trail.history(CREATE)[0] == claimed_entry(first)
    assert trail.history(CREATE)[0].lease_expires_at_ms == first.lease_expires_at_ms > 0
    newest = trail.history(CREATE, newest_first=True)
    assert newest == trail.history(CREATE)[::-1]
    assert trail.history(CREATE, newest_first=True, limit=1) == newest[:1]


def test_a_claim_that_nothing_has_followed_is_told_by_its_record_alone() -> None:
    trail = DatabaseAuditTrail(MemoryDatabase(), RETENTION_SECONDS)
    claim = stream_record("m#op#k", None, {**ITEM, "fence": 1}, at_ms=0, number=1)
    assert serve_audit({"Records": [claim]}, trail) == {"batchItemFailures": []}
    assert trail.history("m#op#k") == []


@pytest.mark.parametrize("gone", [True, False])
def test_a_claim_is_told_of_once_though_its_record_was_changed_by_hand(gone: bool) -> None:
    """Fails when a change within the claim's first state takes its entry along, or when its end leaves it out."""
    trail = DatabaseAuditTrail(MemoryDatabase(), RETENTION_SECONDS)
    first = {**ITEM, "fence": 1, "created_at_ms": 7}
    by_hand = {**first, "lease_expires_at_ms": 9}
    end = None if gone else {**first, "status": "COMPLETED"}
    records = [
        stream_record("m#op#k", first, by_hand, at_ms=0, number=1),
        stream_record("m#op#k", by_hand, end, at_ms=0, number=2),
    ]
    serve_audit({"Records": records}, trail)
    told = [entry.transition.value for entry in trail.history("m#op#k")]
    assert sorted(told) == sorted(["unforeseen", "claimed", "released" if gone else "completed"])


def test_an_operators_release_of_a_claim_that_never_went_on_tells_of_the_claim() -> None:
    """Fails when the operator's entry, which the stream does not replace, leaves out what it ended."""
    world, database, trail = streaming_world()
    world.create()
    first = from_item(from_stream_image(database.stream[0]["dynamodb"]["NewImage"]))
    world, database, trail = streaming_world()
    record = world.store.claim(first)
    world.store.release(record, by=ReleasedBy(operator="ada", reason="ticket 7", at_ms=world.clock.ms))
    assert audit(database, trail) == [("claimed", 1), ("released", 1)]
    assert [e.principal for e in trail.history(CREATE)] == ["payonce", "operator:ada"]


def test_doubt_takeover_and_expiry_are_told_apart() -> None:
    """Fails when a takeover is not told from a claim, or a TTL deletion from a release."""
    world, database, trail = streaming_world()
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    world.create()
    world.clock.ms += HOUR_MS // 2
    world.gateway.lookup_fails = False
    world.recover()
    database.expire(CREATE)
    assert audit(database, trail) == [
        ("claimed", 1),
        ("parked", 1),
        ("taken_over", 2),
        ("completed", 2),
        ("expired", 2),
    ]
    assert trail.history(CREATE)[-1].principal == "dynamodb.amazonaws.com"


def test_a_release_of_the_engine_is_no_expiry() -> None:
    world, database, trail = streaming_world()
    world.gateway.script = ["never"]
    with pytest.raises(Exception, match="Nothing was executed"):
        world.create()
    world.create()
    history = audit(database, trail)
    assert sorted(history) == sorted([("claimed", 1), ("released", 1), ("claimed", 1), ("completed", 1)])
    assert history[1] == ("released", 1)


def test_a_stream_that_is_read_again_adds_nothing() -> None:
    """Fails when an entry's key holds a clock, a random number, or how often it was read."""
    world, database, trail = streaming_world()
    world.create()
    audit(database, trail)
    before = json.dumps(database._tables[Table.AUDIT].__repr__())
    world.clock.ms += DAY_MS
    audit(database, trail)
    serve_audit({"Records": list(reversed(database.stream))}, trail)
    assert json.dumps(database._tables[Table.AUDIT].__repr__()) == before


def test_the_operators_entry_stands_when_the_stream_reports_the_same_release() -> None:
    """Fails when the release is without its entry, or the stream's entry has another key and doubles it."""
    world, database, trail = streaming_world()
    world.gateway.script = ["lost"]
    world.create()
    record = world.store.get(CREATE)
    assert record is not None
    by = ReleasedBy(operator="ada", reason="ticket 7", finding="nothing there", at_ms=world.clock.ms + 7)
    world.store.release(record, by=by)
    assert [e.principal for e in trail.history(CREATE)] == ["operator:ada"]  # before the stream was read
    assert audit(database, trail) == [("claimed", 1), ("parked", 1), ("released", 1)]
    released = trail.history(CREATE)[-1]
    assert (released.principal, released.reason, released.finding) == ("operator:ada", "ticket 7", "nothing there")


def test_the_request_path_writes_nothing_for_the_trail() -> None:
    """Fails when somebody writes an entry where a payer waits for it."""

    class Counting(StreamingDatabase):
        tables: list[Table]

        def write(self, writes: Sequence[Write]) -> None:
            self.tables += [write.table for write in writes]
            super().write(writes)

    clock = ManualClock()
    database = Counting(clock)
    database.tables = []
    world = World(clock, database)
    world.gateway.script = ["booked_lost"]
    world.gateway.lookup_fails = True
    world.create()
    clock.ms += HOUR_MS // 2
    world.gateway.lookup_fails = False
    world.recover()
    world.create()
    assert database.tables
    assert Table.AUDIT not in database.tables


def test_no_entry_holds_a_body_a_plan_or_the_key() -> None:
    """Fails when an image is copied into an entry."""
    world, database, trail = streaming_world()
    world.create("a-key-that-is-nobodys-business")
    serve_audit({"Records": database.stream}, trail)
    text = repr(database._tables[Table.AUDIT])
    assert database._tables[Table.AUDIT]
    assert not any(secret in text for secret in ("a-key-that", "pm_visa", "amount_minor", "gateway_reference"))


ITEM: dict[str, Any] = {"id": "m#op#k", "claim_id": "c", "fence": 2, "status": "INPROGRESS"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({**ITEM, "status": "COMPLETED"}, None),  # deleted by a hand
        ({**ITEM, "status": "COMPLETED"}, {**ITEM, "status": "INPROGRESS"}),  # reopened
        ({**ITEM, "status": "COMPLETED"}, {**ITEM, "fence": 3}),
        (ITEM, {**ITEM, "claim_id": "d"}),
        (ITEM, {**ITEM, "claim_id": "d", "status": "COMPLETED"}),
        (ITEM, {**ITEM, "fence": 1}),
        (ITEM, {**ITEM, "fence": 4}),
        (ITEM, {**ITEM, "lease_expires_at_ms": 9}),
        ({**ITEM, "status": "IN_DOUBT"}, {**ITEM, "status": "COMPLETED"}),  # nobody completes without taking over
        (None, ITEM),  # a claim begins with its first owner
        (None, {**ITEM, "fence": 1, "status": "COMPLETED"}),
        (ITEM, {"id": "m#op#k"}),
        (ITEM, {}),
    ],
)
def test_what_the_engine_never_does_is_unforeseen(before: Item | None, after: Item | None) -> None:
    """Fails when a change by hand passes for a transition, or is left out."""
    first = entry_of("m#op#k", before, after, at_ms=5, sequence="1")
    again = entry_of("m#op#k", before, after, at_ms=5, sequence="2")
    assert (first.transition, first.principal) == (Transition.UNFORESEEN, "unknown")
    assert first.entry_id != again.entry_id
    trail = DatabaseAuditTrail(MemoryDatabase(), RETENTION_SECONDS)
    assert [trail.add(first), trail.add(again), trail.add(first)] == [True, True, False]  # each is kept, once


def test_a_record_that_can_not_be_read_is_an_entry_and_stops_nobody() -> None:
    """Fails when one poisonous record holds up its shard until the stream forgets the others."""
    trail = DatabaseAuditTrail(MemoryDatabase(), RETENTION_SECONDS)
    poison = stream_record("m#op#k", None, None, at_ms=0, number=1)
    poison["dynamodb"]["NewImage"] = {"fence": {"N": "1.5"}, "x": {"B": "???"}}
    keyless = {"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "2"}}
    good = stream_record(
        "m#op#k2", {**ITEM, "fence": 1}, {**ITEM, "fence": 1, "status": "COMPLETED"}, at_ms=0, number=3
    )
    assert serve_audit({"Records": [poison, keyless, good]}, trail) == {"batchItemFailures": []}
    assert [e.transition for e in trail.history("m#op#k")] == [Transition.UNFORESEEN]
    assert [e.transition for e in trail.history("unreadable")] == [Transition.UNFORESEEN]
    assert [e.transition for e in trail.history("m#op#k2")] == [Transition.CLAIMED, Transition.COMPLETED]


def test_the_stream_goes_on_from_the_first_record_that_was_not_written() -> None:
    """Fails when a failure is swallowed, or names a later record: an entry would be missing for ever."""

    class Failing(MemoryDatabase):
        broken = True

        def write(self, writes: Sequence[Write]) -> None:
            if self.broken and "k2" in repr(writes):
                raise StoreUnavailable("busy")
            super().write(writes)

    database = Failing()
    trail = DatabaseAuditTrail(database, RETENTION_SECONDS)
    completed = {**ITEM, "status": "COMPLETED"}
    records = [stream_record(f"m#op#k{n}", ITEM, completed, at_ms=0, number=n) for n in (1, 2, 3)]
    assert serve_audit({"Records": records}, trail) == {"batchItemFailures": [{"itemIdentifier": "2"}]}
    database.broken = False
    assert serve_audit({"Records": records[1:]}, trail) == {"batchItemFailures": []}
    assert len(stored_entries(database)) == 3


STEPS = st.lists(
    st.sampled_from(["create", "retry", "lost", "decline", "recover", "later", "never", "refund", "expire"]),
    max_size=12,
)


@given(steps=STEPS, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_whatever_happens_and_however_the_stream_is_read_each_change_is_one_entry(
    steps: list[str], cuts: list[int]
) -> None:
    """Reads the stream whole, and again from arbitrary positions. Fails when two different changes share an entry's
    key, when one change has two, or when the engine does something that the trail calls unforeseen.
    """
    world, database, trail = streaming_world()
    for number, step in enumerate(steps):
        if step == "later":
            world.clock.ms += HOUR_MS // 2
        elif step == "recover":
            world.recover()
        elif step == "expire":
            for (one,) in [key for key, item in database._tables[Table.IDEMPOTENCY].items() if "purge_at" in item]:
                database.expire(one)
        else:
            world.gateway.script = [] if step in ("create", "retry", "refund") else [step]
            world.gateway.lookup_fails = step == "lost"
            with contextlib.suppress(PayonceError):
                location = world.create("key" if step == "retry" else f"key-{number}").response.headers["location"]
                if step == "refund":
                    world.follow_up(OperationKind.REFUND, location.split("/")[-1], f"refund-{number}", 100)
    serve_audit({"Records": database.stream}, trail)
    for cut in cuts:
        serve_audit({"Records": database.stream[cut:]}, trail)
    entries = [entry for item in stored_entries(database) for entry in entries_from(item)]
    untouched = [item for item in database._tables[Table.IDEMPOTENCY].values() if claimed_entry(from_item(item))]
    assert len(entries) == len(database.stream) - len(untouched)
    assert len({e.entry_id for e in entries}) == len(entries)
    assert all(e.transition is not Transition.UNFORESEEN for e in entries)
    everything = list(trail.entries(from_ms=0, until_ms=2_000_000_000_000, scope=MERCHANT))
    assert sorted(e.entry_id for e in everything) == sorted(e.entry_id for e in entries)


def test_entries_are_read_by_time_across_months_and_shards_and_pages() -> None:
    """Fails when a month, a shard or a page is left out, the end is included, or the order is the shards' own."""
    trail = DatabaseAuditTrail(MemoryDatabase(), RETENTION_SECONDS)
    made = [entry(n, at_ms=1_800_000_000_000 + n * 900_000) for n in range(PAGE_SIZE * 8 + 500)]
    for one in made:
        assert trail.add(one)
    other = entry(1, record_id="mer_2#op#x", at_ms=made[5].at_ms)
    trail.add(other)
    first, end = made[3].at_ms, made[-3].at_ms
    assert list(trail.entries(from_ms=first, until_ms=end, scope="mer_1")) == made[3:-3]
    of_all = list(trail.entries(from_ms=first, until_ms=end))
    assert [e for e in of_all if e.scope == "mer_1"] == made[3:-3]
    assert [e for e in of_all if e.scope == "mer_2"] == [other]
    assert [(month_of(e.at_ms), e.scope) for e in of_all] == sorted((month_of(e.at_ms), e.scope) for e in of_all)
    assert list(trail.entries(from_ms=end, until_ms=end)) == []


def test_reading_is_lazy() -> None:
    """Fails when an export reads all before it writes the first: its memory would grow with the trail."""

    class Pages(MemoryDatabase):
        queries = 0

        def query(self, *args: Any, **options: Any) -> Any:
            self.queries += 1
            return super().query(*args, **options)

    database = Pages()
    trail = DatabaseAuditTrail(database, RETENTION_SECONDS)
    for number in range(PAGE_SIZE * 3):
        trail.add(entry(number, record_id="mer_1#op#same"))
    entries = iter(trail.entries(from_ms=1_800_000_000_000, until_ms=1_800_000_001_000, scope="mer_1"))
    next(entries)
    assert database.queries == 8  # one page of each shard
    assert len(list(entries)) == PAGE_SIZE * 3 - 1
    assert database.queries > 8


def test_a_merchants_name_that_begins_another_is_another() -> None:
    """Fails when a scope is looked up by prefix."""
    trail = DatabaseAuditTrail(MemoryDatabase(), RETENTION_SECONDS)
    trail.add(entry(1, record_id="mer_10#op#x"))
    trail.add(entry(1, record_id="mer_1#other#op#x"))
    assert list(trail.entries(from_ms=0, until_ms=2_000_000_000_000, scope="mer_1")) == []


CELLS = st.text(max_size=20) | st.sampled_from(["=1+1", "+x", "-x", "@x", "\t=x", "\r=x", "\n=x", "  =x", "\uff1dx"])


@given(reason=CELLS, finding=CELLS)
def test_no_cell_of_the_csv_is_a_formula_and_the_text_comes_back(reason: str, finding: str) -> None:
    """Fails when a cell that a spreadsheet would run is written as it stands."""
    out = io.StringIO(newline="")
    assert write_csv([entry(reason=reason, finding=finding)], out, lambda *_: None) == 1
    header, row = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert tuple(header) == COLUMNS
    cells = dict(zip(header, row, strict=True))
    for name, text in (("reason", reason), ("finding", finding)):
        assert cells[name] in (text, "'" + text)
    assert not any(cell.lstrip(" ")[:1] in {*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"} - {""} for cell in row)


def test_json_lines_hold_the_entry_whole() -> None:
    out = io.StringIO()
    seen: list[int] = []
    made = [entry(1, reason="line\nbreak"), entry(2)]
    assert write_jsonl(made, out, lambda count, _: seen.append(count)) == 2
    lines = out.getvalue().splitlines()
    assert [AuditEntry.from_data(json.loads(line)) for line in lines] == made
    assert json.loads(lines[0])["entry_id"] == made[0].entry_id
    assert seen == [1, 2]


def test_the_retention_has_a_floor() -> None:
    assert load_settings({}).audit_retention_seconds == 400 * 86_400
    assert load_settings({"PAYONCE_AUDIT_RETENTION_DAYS": "90"}).audit_retention_seconds == 90 * 86_400
    with pytest.raises(MisconfiguredError, match="at least 90"):
        load_settings({"PAYONCE_AUDIT_RETENTION_DAYS": "89"})


def test_an_entry_is_forgotten_when_its_retention_ends() -> None:
    """Fails when the TTL attribute is not in seconds from when it happened."""
    database = MemoryDatabase()
    DatabaseAuditTrail(database, RETENTION_SECONDS).add(entry(at_ms=1_800_000_000_999))
    (item,) = stored_entries(database)
    assert item["purge_at"] == 1_800_000_000 + RETENTION_SECONDS
