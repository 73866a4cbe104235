"""Files on their way into a run: each read whole, known by its content, counted for the proof and for the plots."""

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
    from payonce.reconciliation.readers.csv_table import LineStream
    from payonce.reconciliation.readers.rows import GatewayRow, ReconciliationFile, Statement

BASIS_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file of the run. ``name`` is for people; ``file_id`` is what it is known by.

    ``notices`` say what of it was read in a way that somebody should know of.
    """

    name: str
    file_id: str
    format: str
    gateway: str | None
    rows: int
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class Intake:
    """What the files of a run hold, counted as they pass.

    ``read``: rows and signed sum per (source, currency). ``fees``: charges per whole basis points of fee;
    ``delays``: per whole hours from a charge to its availability; both per gateway. ``latest_ms``: the latest time of
    any row, 0 before the first. ``notices``: what has to be known of the run as a whole.
    """

    files: list[FileFacts] = field(default_factory=list)
    read: dict[tuple[Source, str], tuple[int, int]] = field(default_factory=dict)
    fees: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    delays: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    ledger_gateways: set[str] = field(default_factory=set)
    notices: list[str] = field(default_factory=list)
    latest_ms: int = 0

    def ledger(self, rows: Iterable[LedgerRow]) -> Iterator[LedgerRow]:
        """Yield the rows on, counted."""
        for row in rows:
            self._count(Source.LEDGER, row.currency, row.amount_minor)
            self.latest_ms = max(self.latest_ms, row.booked_at_ms)
            self.ledger_gateways.add(row.gateway)
            yield row

    def add_ledger_file(self, name: str, file_id: str) -> None:
        """Note the ledger, whose rows passed."""
        rows = sum(count for (source, _), (count, _) in self.read.items() if source is Source.LEDGER)
        self.files.append(FileFacts(name, file_id, "ledger_csv", None, rows))

    def earlier(self, file: ReconciliationFile, gateway: str | None) -> FileFacts | None:
        """Return the file with the same bytes that came before. Raises ``BodyMalformed`` when another gateway's."""
        for facts in self.files:
            if facts.file_id == file.file_id:
                if facts.gateway != gateway:
                    raise BodyMalformed(f"it is the same file as {facts.name}, which was given as {facts.gateway}'s")
                return facts
        return None

    def add(self, name: str, file: ReconciliationFile, gateway: str | None) -> None:
        """Count a file. ``gateway`` is the ledger's name of the gateway whose report it is."""
        for row in file.gateway_rows:
            self._count(Source.GATEWAY, row.currency, row.amount_minor)
            self.latest_ms = max(self.latest_ms, row.created_at_ms)
            if row.kind is RowKind.CHARGE and row.amount_minor > 0:
                self._measure(gateway or "", row)
        for statement in file.statements:
            self._count_statement(statement)
        rows = len(file.gateway_rows) + sum(len(statement.lines) for statement in file.statements)
        self.files.append(FileFacts(name, file.file_id, file.format.value, gateway, rows, file.notices))

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
    """Bytes on their way to a reader: hashed for the file's id, and reported to ``passed`` as they go."""

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
        """The SHA-256 of what passed."""
        return self._hash.hexdigest()
