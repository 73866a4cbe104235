"""The journal as a ledger CSV: what the reader gives back is what was booked, and a file is whole or not there."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from payonce.cli import ledger as ledger_command
from payonce.cli import main as cli
from payonce.domain.errors import BodyMalformed, StoreUnavailable
from payonce.domain.gateway import CaptureMethod, OperationKind
from payonce.packing import pack
from payonce.payments.journal import told_of
from payonce.ports import Adjust, Table
from payonce.reconciliation.readers.ledger_csv import read_ledger_csv
from payonce.reconciliation.runs.ledger_export import PROGRESS_EVERY, export_ledger
from payonce.reconciliation.runs.ledger_rows import booked_rows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.support.corrections import corrections_in, deadline, duplicate_capture, payment_id_of
from tests.support.stored import entries_in
from tests.support.world import MERCHANT, ManualClock, World
from tests.unit.reconciliation.test_runs import Desk

if TYPE_CHECKING:
    from pathlib import Path

    from payonce.reconciliation.model import LedgerRow

HOUR_MS = 3_600_000
START_MS = ManualClock().ms


def busy_world() -> World:
    """A world with charges over three days, a capture in part, refunds, a correction and a decline."""
    world = World()
    for number in range(12):
        world.create(f"key-{number}", amount_minor=1000 + number)
        world.clock.ms += 7 * HOUR_MS
    held = payment_id_of(world.create("held", capture=CaptureMethod.MANUAL))
    world.follow_up(OperationKind.CAPTURE, held, "capture-key", 400)
    world.follow_up(OperationKind.REFUND, held, "refund-key", 150)
    corrections_in(world).advance(duplicate_capture(world), deadline(world))
    world.gateway.script = ["decline"]
    world.create("declined")
    world.clock.ms += HOUR_MS
    return world


def by_id(rows: Any) -> list[LedgerRow]:
    return sorted(rows, key=lambda row: str(row.entry_id))


def exported(world: World, path: Path, **options: Any) -> list[LedgerRow]:
    count = export_ledger(world.database, path, **{"from_ms": START_MS, "until_ms": world.clock.now_ms(), **options})
    with path.open("rb") as file:
        rows = list(read_ledger_csv(file))
    assert len(rows) == count
    return rows


def test_what_was_booked_is_what_is_read_back(tmp_path: Path) -> None:
    """Fails when a column is lost, changed or swapped on the way."""
    world = busy_world()
    rows = exported(world, tmp_path / "ledger.csv")
    booked = by_id(booked_rows(world.database, from_ms=START_MS, until_ms=world.clock.now_ms()))
    assert by_id(rows) == booked
    assert len(booked) == 12 + 2 + 3  # charges, capture and refund, and the payment with its correction
    assert all(row.idempotency_record_id and row.gateway_payment_id for row in rows)
    assert sum(row.payer is None for row in rows) == 2  # what the correction books is nobody's purchase
    assert {row.kind.value for row in rows} == {"charge", "refund"}


def test_the_file_is_by_time_and_the_same_again(tmp_path: Path) -> None:
    """Fails when shards are written one after the other."""
    world = busy_world()
    rows = exported(world, tmp_path / "a.csv")
    assert all(one.booked_at_ms <= other.booked_at_ms for one, other in itertools.pairwise(rows))
    exported(world, tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_period_includes_its_beginning_and_not_its_end(tmp_path: Path) -> None:
    world = busy_world()
    times = [row.booked_at_ms for row in exported(world, tmp_path / "all.csv")]
    part = exported(world, tmp_path / "part.csv", from_ms=times[2], until_ms=times[5])
    assert [row.booked_at_ms for row in part] == times[2:5]


def test_one_merchant_or_gateway_alone(tmp_path: Path) -> None:
    world = busy_world()
    everything = exported(world, tmp_path / "all.csv")
    assert exported(world, tmp_path / "mine.csv", merchant_id=MERCHANT, gateway="bank") == everything
    assert exported(world, tmp_path / "theirs.csv", merchant_id="mer_2") == []
    assert exported(world, tmp_path / "other.csv", gateway="other") == []


@pytest.mark.parametrize("text", ["=1+1", " @SUM(A1)", "ch\x00", "\uff1dcmd"])
def test_what_a_spreadsheet_would_run_is_refused(tmp_path: Path, text: str) -> None:
    """Fails when a gateway's text is written as it is, or a half-written file stays."""
    world = World()
    world.create()
    (item,) = world.database._tables[Table.OUTBOX].values()  # type: ignore[attr-defined]
    (entry,) = entries_in([item])
    assert entry.movement is not None
    changed = replace(entry, movement=replace(entry.movement, gateway_payment_id=text))
    key = {"pk": item["pk"], "sk": item["sk"]}
    packed = pack(json.dumps({"type": entry.description, "entry": told_of(changed)}).encode() + b"\n{}")
    world.database.write([Adjust(table=Table.OUTBOX, key=key, set={"packed": packed})])
    with pytest.raises(BodyMalformed, match="gateway_payment_id"):
        export_ledger(world.database, tmp_path / "l.csv", from_ms=START_MS, until_ms=START_MS + 1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when an export that breaks off leaves a file that looks like one, or another's file is overwritten."""
    world = busy_world()
    query = world.database.query
    calls = itertools.count()

    def fails_midway(*arguments: Any, **options: Any) -> Any:
        if next(calls) > 10:
            raise StoreUnavailable("The database does not answer.")
        return query(*arguments, **options)

    monkeypatch.setattr(world.database, "query", fails_midway)
    path = tmp_path / "ledger.csv"
    with pytest.raises(StoreUnavailable):
        exported(world, path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    exported(world, path)
    before = path.read_bytes()
    with pytest.raises(BodyMalformed, match="exists"):
        exported(world, path)
    assert path.read_bytes() == before
    with pytest.raises(BodyMalformed, match="can't be written"):
        exported(world, tmp_path / "no folder" / "ledger.csv")


def test_a_file_that_comes_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    world = busy_world()
    path = tmp_path / "ledger.csv"

    def comes(_rows: int, _at_ms: int) -> None:
        path.write_text("mine")

    for _ in range(PROGRESS_EVERY):
        world.create(f"more-{_}")
    with pytest.raises(BodyMalformed, match="exists"):
        exported(world, path, until_ms=world.clock.now_ms() + 1, progress=comes)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_writes_what_reconcile_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Export, then reconcile with the bank's report: nothing is missing on either side."""
    desk = Desk()
    references = [desk.pay(f"key-{number}") for number in range(3)]
    desk.report(*(("charge", reference, 10) for reference in references))
    report = tmp_path / "report.csv"
    report.write_bytes(desk.files.stored["incoming/gateway/bank/1.csv"])
    desk.world.clock.ms += 48 * HOUR_MS
    application = Application(load_settings({}), clock=desk.world.clock, database=desk.database)
    monkeypatch.setattr(ledger_command, "application_of", lambda *_: application)
    ledger = tmp_path / "ledger.csv"
    day = datetime.fromtimestamp(START_MS / 1000, UTC).date().isoformat()
    period = ("--from", day, "--to", datetime.fromtimestamp(START_MS / 1000 + 3600, UTC).isoformat())
    assert cli.main(["ledger", "export", *period, "--output", str(ledger)]) == 0
    error = capsys.readouterr().err
    assert "3 entries, from" in error
    assert "100%" in error
    assert cli.main(["reconcile", str(report), "--ledger", str(ledger), "--gateway", "bank"]) == 0
    assert "no breaks" in capsys.readouterr().out.lower()

    assert cli.main(["ledger", "export", *period, "--output", str(ledger)]) == 2
    assert "exists" in capsys.readouterr().err
    for since, until, said in ((period[3], period[1], "later than"), (period[1], "2400-01-01", "must be over")):
        arguments = ["ledger", "export", "--from", since, "--to", until, "--output", str(tmp_path / "x.csv")]
        assert cli.main(arguments) == 2
        assert said in capsys.readouterr().err
