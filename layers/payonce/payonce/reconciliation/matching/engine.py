"""What runs the rules, as Protocols: an engine over its tables, and a workspace that is filled first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from payonce.reconciliation.anomalies.findings import Anomalies
    from payonce.reconciliation.matching.run_result import RunResult
    from payonce.reconciliation.model import LedgerRow, RunSettings
    from payonce.reconciliation.readers.bulk.facts import BulkFacts
    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.bulk.plan import BulkPlan
    from payonce.reconciliation.readers.rows import ReconciliationFile


class ReconciliationEngine(Protocol):
    """What runs the rules over its tables. Every engine gives the same result for the same rows."""

    def run(self, settings: RunSettings, progress: Callable[[str, int, int], None] | None = None) -> RunResult:
        """Run every family's rules and return what they found.

        ``progress`` is called with the step's name, the steps done and their total. Raises ``ConservationViolated`` if
        a row was lost or counted twice, ``StoreUnavailable`` if the engine can't work.
        """
        ...


class Workspace(ReconciliationEngine, Protocol):
    """An engine that is filled row by row and file by file."""

    def add_ledger(self, rows: Iterable[LedgerRow]) -> None:
        """Add our own rows. The same row again is the same row."""
        ...

    def add_file(self, file: ReconciliationFile, *, gateway: str | None = None) -> None:
        """Add a file's rows; the same file again is a no-op. A gateway's report needs the gateway's name."""
        ...

    def add_in_bulk(self, look: FirstLook, plan: BulkPlan, *, gateway: str | None = None) -> BulkFacts | None:
        """Add a CSV file's rows in one pass; ``None``, and nothing is added, where a reader has to read it."""
        ...

    def add_parquet(self, table: str, paths: Sequence[str]) -> None:
        """Add files that ``write_table`` wrote. Raises ``FileRejected`` if they are none."""
        ...

    def add_answered_ledger(self, paths: Sequence[str]) -> None:
        """Add those ledger rows of such files that a gateway's row of their kind names, now that those are there."""
        ...

    def first_reported_ms(self) -> int | None:
        """Return the time of the earliest charge or refund that a gateway's row tells of, ``None`` without any."""
        ...

    def write_table(self, table: str, path: str) -> None:
        """Write a table's rows into a file."""
        ...

    def reported(self, references: Collection[str]) -> set[str]:
        """Return which of the references some gateway's row carries."""
        ...

    def refunded_minor(self, charges: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
        """Return what the gateways' rows give back of (gateway, gateway_payment_id), where they do."""
        ...

    def unknown_references(self) -> list[tuple[str, str]]:
        """Return (gateway, reference) of gateway rows that the ledger lacks, sorted, at most a constant number."""
        ...

    def joined_statements(self) -> set[str]:
        """Return the keys of statements that the run saw go on from another one. Asked after ``run``."""
        ...

    def resting_on_unproved(self) -> set[str]:
        """Return the row keys of bank lines that only unproved statements tell, and of payouts with one.

        Asked after ``run``. That such a row has no break proves nothing: the line may be wrong, or lack its reversal.
        """
        ...

    def anomalies(self, settings: RunSettings) -> Anomalies:
        """Return what is unusual among the rows, whatever the rules say of them. Raises ``StoreUnavailable``."""
        ...
