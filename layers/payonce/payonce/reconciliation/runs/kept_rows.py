"""Caches rows as Parquet tables, so that no run parses a file or queries the journal twice.

::

    rows/<version>/files/<gateway|bank>/<SHA-256>.<table>.parquet   one per file, written when it is accepted
    rows/<version>/weeks/<SHA-256 of the files' ids>.<table>.parquet  all files of a past week in one
    rows/<version>/ledger/<day>.parquet                             the journal's movements of a past day

The cache is derived data: a missing table is made again, and an existing one never changes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS
from payonce.domain.errors import NotFound
from payonce.reconciliation.readers.limits import MAX_FILE_BYTES
from payonce.reconciliation.readers.read import read_file
from payonce.reconciliation.runs.ledger_rows import booked_rows
from payonce.reconciliation.runs.run_policy import RunPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from payonce.ports import Database, FileStore
    from payonce.reconciliation.matching.engine import Workspace
    from payonce.reconciliation.readers.rows import ReconciliationFile
    from payonce.reconciliation.runs.files import KnownFile

KEPT = "files/"
# Of what readers and the journal's reader make of their input. Raise it when they make something else of it: what was
# kept before is then not looked at.
ROWS_VERSION = 5
ROWS = f"rows/{ROWS_VERSION}/"
WEEK_MS = 7 * DAY_MS
# How long after its end a week or day counts as complete. A file is registered moments after it is accepted, and the
# journal's index follows within seconds, so a day is plenty.
SETTLED_MS = DAY_MS
GATEWAY_TABLES, BANK_TABLES = ("gateway_row",), ("bank_line", "bank_statement")


def week_start_ms(at_ms: int) -> int:
    """Return the start of the week that contains ``at_ms``; weeks are counted from 1970-01-01."""
    return at_ms - at_ms % WEEK_MS


def day_start_ms(at_ms: int) -> int:
    """Return the start of the day (UTC) that contains ``at_ms``."""
    return at_ms - at_ms % DAY_MS


class KeptRows:
    """Keeps rows, and brings them into a workspace. ``workspace`` opens an empty one.

    ``policy`` returns the policy in force: a table is read again by its mappings.
    """

    def __init__(
        self,
        *,
        files: FileStore,
        database: Database,
        workspace: Callable[[], AbstractContextManager[Workspace]],
        policy: Callable[[], RunPolicy] = RunPolicy,
    ) -> None:
        self._files = files
        self._database = database
        self._workspace = workspace
        self._policy = policy

    def keep(self, file: ReconciliationFile, gateway: str | None) -> None:
        """Store the rows of a parsed file. Idempotent. Raises ``StoreUnavailable``."""
        with tempfile.TemporaryDirectory(prefix="payonce-") as folder, self._workspace() as workspace:
            workspace.add_file(file, gateway=gateway)
            for table in _tables(gateway):
                path = Path(folder) / table
                workspace.write_table(table, str(path))
                self._files.store(_file_name(file.file_id, gateway, table), path)

    def load_files(self, workspace: Workspace, known: Iterable[KnownFile], *, now_ms: int, folder: Path) -> None:
        """Add the rows of all files to the workspace, which reads them from ``folder`` as long as it is in use.

        ``known`` are all files from the start of a week up to ``now_ms``. Raises ``NotFound`` if both a file and its
        rows are gone, and ``StoreUnavailable``.
        """
        weeks: defaultdict[tuple[int, str], list[KnownFile]] = defaultdict(list)
        for file in known:
            for table in _tables(file.gateway):
                weeks[week_start_ms(file.received_at_ms), table].append(file)
        for (start_ms, table), files in sorted(weeks.items()):
            over = start_ms + WEEK_MS + SETTLED_MS <= now_ms
            paths = [self._week(table, files, folder)] if over and len(files) > 1 else self._each(table, files, folder)
            workspace.add_parquet(table, [str(path) for path in paths])

    def load_ledger(
        self, workspace: Workspace, *, read_from_ms: int, from_ms: int, until_ms: int, folder: Path
    ) -> None:
        """Add the journal's movements of the days in [``from_ms``, ``until_ms``).

        Of the days in [``read_from_ms``, ``from_ms``) only movements are added that a gateway's row names, so load the
        files first: a reported earlier movement is compared, and one that is not reported is no break.
        """
        answered: list[str] = []
        whole: list[str] = []
        day_ms = day_start_ms(read_from_ms)
        while day_ms < until_ms:
            paths = answered if day_ms + DAY_MS <= from_ms else whole
            if day_ms + DAY_MS + SETTLED_MS <= until_ms:
                path = self._day(day_ms, folder)
                if path.stat().st_size:
                    paths.append(str(path))
            else:
                end_ms = min(day_ms + DAY_MS, until_ms)
                workspace.add_ledger(booked_rows(self._database, from_ms=day_ms, until_ms=end_ms))
            day_ms += DAY_MS
        if whole:
            workspace.add_parquet("ledger", whole)
        if answered:
            workspace.add_answered_ledger(answered)

    def _day(self, day_ms: int, folder: Path) -> Path:
        """Return a local file with the day's movements, empty if there were none."""
        name = f"{ROWS}ledger/{day_ms // DAY_MS}.parquet"
        path = folder / f"ledger-{day_ms // DAY_MS}"
        if not self._files.fetch(name, path):
            rows = booked_rows(self._database, from_ms=day_ms, until_ms=day_ms + DAY_MS)
            first = next(rows, None)
            if first is None:
                path.touch()
            else:
                with self._workspace() as workspace:
                    workspace.add_ledger(chain([first], rows))
                    workspace.write_table("ledger", str(path))
            self._files.store(name, path)
        return path

    def _week(self, table: str, files: Sequence[KnownFile], folder: Path) -> Path:
        ids = sorted((file.gateway or "", file.file_id) for file in files)
        digest = hashlib.sha256("".join(f"{gateway}|{file_id}\n" for gateway, file_id in ids).encode()).hexdigest()
        path = folder / f"{digest}.{table}"
        name = f"{ROWS}weeks/{digest}.{table}.parquet"
        if not self._files.fetch(name, path):
            parts = self._each(table, files, folder)
            with self._workspace() as workspace:
                workspace.add_parquet(table, [str(part) for part in parts])
                workspace.write_table(table, str(path))
            self._files.store(name, path)
        return path

    def _each(self, table: str, files: Sequence[KnownFile], folder: Path) -> list[Path]:
        return [self._file(table, file, folder) for file in files]

    def _file(self, table: str, file: KnownFile, folder: Path) -> Path:
        path = folder / f"{file.file_id}.{table}"
        name = _file_name(file.file_id, file.gateway, table)
        if self._files.fetch(name, path):
            return path
        data = self._files.read(KEPT + file.file_id, max_bytes=MAX_FILE_BYTES)
        if data is None:
            raise NotFound(f"The file {KEPT}{file.file_id} ({file.name}) is gone. Put it there again.")
        policy = self._policy()
        self.keep(read_file(data, mappings=policy.mappings, zone=policy.zone), file.gateway)
        if not self._files.fetch(name, path):
            raise NotFound(f"The rows {name} are gone again. Look at what deletes files of the bucket.")
        return path


def _tables(gateway: str | None) -> tuple[str, ...]:
    return BANK_TABLES if gateway is None else GATEWAY_TABLES


def _file_name(file_id: str, gateway: str | None, table: str) -> str:
    return f"{ROWS}files/{gateway or 'bank'}/{file_id}.{table}.parquet"
