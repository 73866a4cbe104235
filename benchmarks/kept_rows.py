"""What a run reads, parses and asks for, with and without kept rows: ``python benchmarks/kept_rows.py``.

The journal is in memory, so that its queries cost nothing here but their number; on DynamoDB each is a round trip.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from payonce.domain.durations import DAY_MS
from payonce.domain.ledger import JournalEntry, Movement, MovementKind, charge
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.outbox import DAY_SHARDS, day_partition
from payonce.payments.journal import correction_writes
from payonce.ports import Insert
from payonce.reconciliation.model import RunSettings
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.runs.file_inbox import Inbox
from payonce.reconciliation.runs.files import files_since
from payonce.reconciliation.runs.kept_rows import KEPT, ROWS, KeptRows
from payonce.reconciliation.runs.ledger_rows import booked_rows
from payonce.stores.memory import MemoryDatabase
from payonce.stores.memory_files import MemoryFiles

DAYS, FILES_A_DAY, ROWS_A_FILE = 40, 3, 2_000
START_MS = 1_799_884_800_000  # the beginning of a day
HEADER = "kind,transaction_id,reference,amount,fee,net,currency,created_at,available_at,payout_id"


class Clock:
    """The time of the benchmark."""

    ms = START_MS

    def now_ms(self) -> int:
        """See ``Clock``."""
        return self.ms

    def sleep(self, _seconds: float) -> None:
        """See ``Clock``."""


class Journal(MemoryDatabase):
    """A database whose journal has the same movements every day, and which counts how often it is asked."""

    queries = 0

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[str, list[dict[str, Any]]] = {}

    def query(self, table: Any, **options: Any) -> Any:
        """See ``Database``."""
        if options.get("index") != "events-by-day":
            return super().query(table, **options)
        self.queries += 1
        return type(super().query(table, partition=("pk", "none"), limit=1))(self._movements(options), None)

    def _movements(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        partition = options["partition"][1]
        if partition not in self._made:
            self._made[partition] = self._make(partition)
        return self._made[partition]

    def _make(self, partition: str) -> list[dict[str, Any]]:
        for day in range(DAYS + 12):
            at_ms = START_MS + (day - 12) * DAY_MS
            for shard in range(DAY_SHARDS):
                if day_partition(at_ms, shard) == partition:
                    return [_movement(at_ms, n) for n in range(shard, FILES_A_DAY * ROWS_A_FILE, DAY_SHARDS)]
        return []


def _movement(at_ms: int, number: int) -> dict[str, Any]:
    reference = f"{at_ms}-{number}"
    entry = JournalEntry(
        merchant_id="mer_1",
        payment_id=f"pay_{reference}",
        version=1,
        currency="EUR",
        description="payment.captured",
        booked_at_ms=at_ms + number * 10_000,
        postings=charge("bank", 1_000),
        break_id=f"brk_{reference}",
        movement=Movement(
            kind=MovementKind.CHARGE,
            gateway="bank",
            gateway_reference=reference,
            gateway_payment_id=f"ch_{reference}",
            payer=f"pm_{number}",
        ),
    )
    # As an item, a correction's entry is its movement alone: no event has to be made up around it.
    insert = correction_writes(entry)[0]
    assert isinstance(insert, Insert)
    return dict(insert.item)


def report(at_ms: int, part: int) -> bytes:
    """Return a gateway's report of a third of a day."""
    lines = [HEADER]
    for number in range(part * ROWS_A_FILE, (part + 1) * ROWS_A_FILE):
        at = datetime.fromtimestamp((at_ms + number * 10_000) / 1_000, UTC).isoformat()
        lines.append(f"charge,t-{at_ms}-{number},{at_ms}-{number},10.00,0.10,9.90,EUR,{at},,")
    total = ROWS_A_FILE * 10
    lines.append(f"total,{ROWS_A_FILE},,{total}.00,{total // 100}.00,{total - total // 100}.00,EUR,,,")
    return ("\n".join(lines) + "\n").encode()


def main() -> None:
    """Print a line for each way."""
    files, journal, clock = MemoryFiles(), Journal(), Clock()
    rows = KeptRows(files=files, database=journal, workspace=DuckDbWorkspace)
    inbox = Inbox(files=files, rows=rows, database=journal, clock=clock, gateways=("bank",))
    for day in range(DAYS):
        for part in range(FILES_A_DAY):
            name = f"incoming/gateway/bank/{day}-{part}.csv"
            files.stored[name] = report(START_MS + day * DAY_MS, part)
            clock.ms = START_MS + (day + 1) * DAY_MS + part
            inbox.accept(name)
    clock.ms += 3_600_000
    settings = RunSettings(as_of_ms=clock.ms)
    from_ms = START_MS + (DAYS - 35) * DAY_MS

    def as_it_came(workspace: DuckDbWorkspace, _folder: Path) -> tuple[int, int]:
        workspace.add_ledger(booked_rows(journal, from_ms=from_ms, until_ms=clock.ms))
        known = list(files_since(journal, 0))
        for file in known:
            data = files.read(KEPT + file.file_id, max_bytes=10**9)
            workspace.add_file(read_file(data or b""), gateway=file.gateway)
        return len(known), len(known)

    def kept(workspace: DuckDbWorkspace, folder: Path) -> tuple[int, int]:
        fetch, count = files.fetch, [0]

        def counted(name: str, to: Path) -> bool:
            count[0] += (there := fetch(name, to))
            return there

        files.fetch = counted  # type: ignore[method-assign]
        rows.load_files(workspace, files_since(journal, 0), now_ms=clock.ms, folder=folder)
        rows.load_ledger(workspace, read_from_ms=from_ms, from_ms=from_ms, until_ms=clock.ms, folder=folder)
        files.fetch = fetch  # type: ignore[method-assign]
        return count[0], 0

    for _ in booked_rows(journal, from_ms=from_ms - 12 * DAY_MS, until_ms=clock.ms):
        pass  # the journal is made before it is read
    digests = set()
    for name, load in (("before", as_it_came), ("first run", kept), ("then", kept)):
        journal.queries, started = 0, time.process_time()
        with tempfile.TemporaryDirectory() as folder, DuckDbWorkspace() as workspace:
            objects, parsed = load(workspace, Path(folder))
            loaded = time.process_time() - started
            digests.add(workspace.run(settings).digest)
        total = time.process_time() - started
        print(f"| {name} | {objects} | {parsed} | {journal.queries} | {loaded:.1f} s to load, {total:.1f} s in all |")
    print(f"digests: {len(digests)}; kept {sum(len(d) for n, d in files.stored.items() if n.startswith(ROWS)):,} bytes")


if __name__ == "__main__":
    main()
