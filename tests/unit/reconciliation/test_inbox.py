"""Files on their way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import FileRejected, NotFound
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.runs.file_inbox import Inbox
from payonce.reconciliation.runs.files import files_since
from payonce.reconciliation.runs.kept_rows import KEPT, ROWS, KeptRows
from payonce.reconciliation.runs.run_policy import RunPolicy
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_files import MemoryFiles
from tests.support.world import ManualClock
from tests.unit.reconciliation.readers import samples

if TYPE_CHECKING:
    from pathlib import Path

REPORT = b"""kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id
charge,t1,pay_1,100.00,1.75,98.25,EUR,2026-03-01T10:30:00+01:00,2026-03-03T00:00:00Z,p1
total,1,,100.00,1.75,98.25,EUR,,,
"""
STATEMENT = b"""record,account,currency,booking_date,value_date,amount,reference,end_to_end_id,counterparty,description
opening,NL26BANK0001,EUR,,,10.00,2026-060,,,
line,NL26BANK0001,EUR,2026-03-01,2026-03-02,5.50,BANK1,pay_1,Shop,Order 7
closing,NL26BANK0001,EUR,,,15.50,,,,
"""


class World:
    def __init__(self, policy: RunPolicy | None = None) -> None:
        self.files = MemoryFiles()
        self.database = MemoryDatabase()
        self.clock = ManualClock()
        in_force = policy or RunPolicy()
        self.rows = KeptRows(
            files=self.files, database=self.database, workspace=DuckDbWorkspace, policy=lambda: in_force
        )
        self.inbox = Inbox(
            files=self.files,
            rows=self.rows,
            database=self.database,
            clock=self.clock,
            gateways=("bank_a", "bank_b"),
            policy=lambda: in_force,
        )

    def put(self, name: str, data: bytes) -> Any:
        self.files.stored[name] = data
        return self.inbox.accept(name)


def test_a_file_is_kept_as_it_came_and_comes_back_as_rows() -> None:
    world = World()
    report = world.put("incoming/gateway/bank_a/2026-03-01.csv", REPORT)
    world.clock.ms += 1
    statement = world.put("incoming/bank/march/first.csv", STATEMENT)
    assert (report.new, report.file.gateway, statement.file.gateway) == (True, "bank_a", None)
    assert world.files.stored[KEPT + report.file.file_id] == REPORT
    assert list(world.inbox.accepted_since(0)) == [report.file, statement.file]


def test_times_without_a_zone_are_of_the_one_in_the_policy(tmp_path: Path) -> None:
    """Mollie's file states none (https://docs.mollie.com/docs/settlement-report). Fails when the stack takes a report
    that only the command reads, or makes its rows again without the zone.
    """
    report = samples.MOLLIE.encode()
    with pytest.raises(FileRejected, match="line 2, Date: the file does not say the zone"):
        World().put("incoming/gateway/bank_a/a.csv", report)
    world = World(RunPolicy(time_zone="Europe/Amsterdam"))
    arrival = world.put("incoming/gateway/bank_a/a.csv", report)
    kept = {name: data for name, data in world.files.stored.items() if name.startswith(ROWS)}
    for name in kept:
        del world.files.stored[name]
    with DuckDbWorkspace() as workspace:
        world.rows.load_files(workspace, [arrival.file], now_ms=world.clock.ms, folder=tmp_path)
    assert {name: data for name, data in world.files.stored.items() if name.startswith(ROWS)} == kept


def test_the_same_bytes_again_are_a_no_op_under_any_name() -> None:
    """Fails when a repeated file is loaded a second time."""
    world = World()
    world.put("incoming/gateway/bank_a/a.csv", REPORT)
    again = world.put("incoming/gateway/bank_a/b.csv", REPORT)
    assert not again.new
    assert len(list(world.inbox.accepted_since(0))) == 1


def test_the_same_bytes_of_another_gateway_are_refused_and_not_taken_for_known() -> None:
    """Fails when a report that lay in the wrong folder, and is put into the right one, is silently never compared."""
    world = World()
    world.put("incoming/gateway/bank_a/a.csv", REPORT)
    stored = dict(world.files.stored)
    with pytest.raises(FileRejected, match=r"same file as incoming/gateway/bank_a/a\.csv, .* as bank_a"):
        world.put("incoming/gateway/bank_b/a.csv", REPORT)
    assert world.files.stored.keys() - stored.keys() == {"incoming/gateway/bank_b/a.csv"}


def test_bytes_that_another_gateway_brings_at_the_same_moment_are_refused() -> None:
    """Fails when only what was remembered before the file was read is looked at.

    ::

        bank_b: not known ........................... remember ─▶ there
        bank_a:           accept ─▶ remembered
    """
    world = World()
    world.files.stored["incoming/gateway/bank_a/a.csv"] = REPORT
    written = world.files.write

    def the_other_first(name: str, data: bytes) -> None:
        world.files.write = written  # type: ignore[method-assign]
        world.inbox.accept("incoming/gateway/bank_a/a.csv")
        written(name, data)

    world.files.write = the_other_first  # type: ignore[method-assign]
    with pytest.raises(FileRejected, match="accepted as bank_a"):
        world.put("incoming/gateway/bank_b/a.csv", REPORT)


def test_a_refused_file_leaves_nothing() -> None:
    """Fails when a file is kept or remembered before all of it was read."""
    world = World()
    with pytest.raises(FileRejected, match="line 2"):
        world.put("incoming/gateway/bank_a/a.csv", REPORT.replace(b"98.25,EUR,2026", b"98.24,EUR,2026"))
    assert list(world.files.stored) == ["incoming/gateway/bank_a/a.csv"]
    assert list(files_since(world.database, 0)) == []


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("incoming/gateway/bank_c/a.csv", REPORT, "known: bank_a, bank_b"),
        ("incoming/gateway/a.csv", REPORT, "belongs under"),
        ("incoming/bank/", STATEMENT, "belongs under"),
        ("files/abc", REPORT, "belongs under"),
        ("incoming/bank/a.csv", REPORT, "a gateway's report, which belongs into the other folder"),
        ("incoming/gateway/bank_a/a.csv", STATEMENT, "a bank's statement, which belongs into the other folder"),
    ],
)
def test_a_file_in_the_wrong_place_is_refused_with_the_right_one(name: str, data: bytes, says: str) -> None:
    with pytest.raises(FileRejected, match=says):
        World().put(name, data)


def test_a_crash_between_keeping_and_remembering_is_made_good_by_the_next_try() -> None:
    world = World()
    world.files.stored["incoming/gateway/bank_a/a.csv"] = REPORT
    written = world.database.write

    def broken(_writes: object) -> None:
        raise RuntimeError("killed")

    world.database.write = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        world.inbox.accept("incoming/gateway/bank_a/a.csv")
    world.database.write = written  # type: ignore[method-assign]
    assert list(world.inbox.accepted_since(0)) == []
    assert world.inbox.accept("incoming/gateway/bank_a/a.csv").new


def test_what_is_gone_is_said() -> None:
    with pytest.raises(NotFound, match="no file incoming/bank/a"):
        World().inbox.accept("incoming/bank/a")
