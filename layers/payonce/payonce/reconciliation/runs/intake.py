"""Counts the rows of a run's files as they are read, for the proof of conservation and for the plots."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.durations import DAY_MS, HOUR_MS
from payonce.domain.errors import BodyMalformed
from payonce.reconciliation.model import Source
from payonce.reconciliation.readers.rows import RowKind
from payonce.reconciliation.readers.values import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from payonce.reconciliation.model import LedgerRow
    from payonce.reconciliation.readers.bulk.facts import BulkFacts
    from payonce.reconciliation.readers.csv_table import LineStream
    from payonce.reconciliation.readers.rows import GatewayRow, ReconciliationFile, Statement

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of the run. ``name`` is for people; ``file_id`` is what it is known by.

    ``unproved`` says why statements of it do not prove themselves.
    ``notices`` say what of it was read in a way that somebody should know of.
    """

    name: str
    file_id: str
    format: str
    gateway: str | None
    rows: int
    unproved: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that was left out of the run, and why."""

    name: str
    reason: str


@dataclass(slots=True)
class Intake:
    """The counts over a run's files.

    ``read``: rows and signed sum per (source, currency). ``fees``: charges per whole basis points of fee;
    ``delays``: per whole hours from a charge to its availability; both per gateway. ``latest_ms``: the latest time of
    any row, 0 before the first. ``refused``: files that the run went on without. ``notices``: what has to be known of
    the run as a whole.
    """

    files: list[FileFacts] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    read: dict[tuple[Source, str], tuple[int, int]] = field(default_factory=dict)
    fees: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    delays: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    ledger_gateways: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)
    latest_ms: int = 0

    def ledger(self, rows: Iterable[LedgerRow]) -> Iterator[LedgerRow]:
        """Yield the rows unchanged, and count them."""
        for row in rows:
            self._count(Source.LEDGER, row.currency, row.amount_minor)
            self.latest_ms = max(self.latest_ms, row.booked_at_ms)
            self.ledger_gateways.add(row.gateway)
            yield row

    def add_ledger_file(self, name: str, file_id: str) -> None:
        """Add the ledger's file, whose rows have been counted by ``ledger``."""
        rows = sum(count for (source, _), (count, _) in self.read.items() if source is Source.LEDGER)
        self.files.append(FileFacts(name, file_id, "ledger_csv", None, rows))

    def add_ledger_in_bulk(self, name: str, file_id: str, facts: BulkFacts) -> None:
        """Count a ledger's file that was read in bulk."""
        self._add_sums(Source.LEDGER, facts)
        self.ledger_gateways.update(facts.gateways)
        self.add_ledger_file(name, file_id)

    def add_in_bulk(self, file: FileFacts, facts: BulkFacts) -> None:
        """Count a gateway's file that was read in bulk."""
        self._add_sums(Source.GATEWAY, facts)
        for counts, more in ((self.fees, facts.fees), (self.delays, facts.delays)):
            if more:
                counts[file.gateway or ""].update(more)
        self.files.append(file)

    def _add_sums(self, source: Source, facts: BulkFacts) -> None:
        for currency, (rows, amount_minor) in facts.sums.items():
            before = self.read.get((source, currency), (0, 0))
            self.read[source, currency] = before[0] + rows, before[1] + amount_minor
        self.latest_ms = max(self.latest_ms, facts.latest_ms)

    def earlier(self, file_id: str, gateway: str | None) -> FileFacts | None:
        """Return the earlier file of the same bytes, or ``None``. Raises ``BodyMalformed`` if another gateway's."""
        for facts in self.files:
            if facts.file_id == file_id:
                if facts.gateway != gateway:
                    raise BodyMalformed(f"it is the same file as {facts.name}, which was given as {facts.gateway}'s")
                return facts
        return None

    def add(self, name: str, file: ReconciliationFile, gateway: str | None) -> None:
        """Count a file. ``gateway`` is the ledger's name of the gateway that issued the report."""
        for row in file.gateway_rows:
            self._count(Source.GATEWAY, row.currency, row.amount_minor)
            self.latest_ms = max(self.latest_ms, row.created_at_ms)
            if row.kind is RowKind.CHARGE and row.amount_minor > 0:
                self._measure(gateway or "", row)
        for statement in file.statements:
            self._count_statement(statement)
        rows = len(file.gateway_rows) + sum(len(statement.lines) for statement in file.statements)
        facts = FileFacts(name, file.file_id, file.format.value, gateway, rows, file.unproved, file.notices)
        self.files.append(facts)

    def _measure(self, gateway: str, row: GatewayRow) -> None:
        self.fees[gateway][row.fee_minor * BASIS_POINTS // row.amount_minor] += 1
        if row.available_at_ms is not None:
            self.delays[gateway][(row.available_at_ms - row.created_at_ms) // HOUR_MS] += 1

    def _count_statement(self, statement: Statement) -> None:
        for line in statement.lines:
            self._count(Source.BANK, line.currency, line.amount_minor)
            self.latest_ms = max(self.latest_ms, (line.booking_date - EPOCH.date()).days * DAY_MS)

    def _count(self, source: Source, currency: str, amount_minor: int) -> None:
        rows, total_minor = self.read.get((source, currency), (0, 0))
        self.read[source, currency] = rows + 1, total_minor + amount_minor


class CountedStream:
    """A stream of lines that hashes the bytes for the file's id, and reports their number to ``passed``."""

    def __init__(self, stream: LineStream, passed: Callable[[int], None]) -> None:
        self._stream = stream
        self._passed = passed
        self._hash = hashlib.sha256()

    def readline(self, size: int, /) -> bytes:
        """See ``LineStream``."""
        line = self._stream.readline(size)
        self._hash.update(line)
        self._passed(len(line))
        return line

    @property
    def file_id(self) -> str:
        """Return the SHA-256 of the bytes read so far."""
        return self._hash.hexdigest()
