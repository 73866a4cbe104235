"""The wiring of reconciliation, the only one that imports DuckDB."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.corrections.following import CorrectionsOfRuns
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.cases.case_store import CaseStore
from payonce.reconciliation.runs.file_inbox import Inbox
from payonce.reconciliation.runs.kept_rows import KeptRows
from payonce.reconciliation.runs.run import Reconciliation
from payonce.reconciliation.runs.stored_policy import StoredPolicy
from payonce.wiring.adapters import BUCKET_VARIABLE
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    from payonce.reconciliation.runs.run_policy import RunPolicy

__all__ = ["BUCKET_VARIABLE", "ReconciliationApplication", "bootstrap_reconciliation"]

# The limits of a run, which are those of its function; tests/infrastructure checks template.yaml against them. A run
# that exceeds the time is killed, retried twice, and then raises an alarm. Five million rows were measured to take some
# minutes.
RUN_TIMEOUT_SECONDS = 900  # Lambda's maximum
FUNCTION_MEMORY_MB = 2048
# Half of the memory: the rest is for Python and its rows of one file. The engine spills what does not fit to disk.
ENGINE_MEMORY_MB = 1024
# The cached rows of a period and the engine's spilled data: several times the largest period measured.
SCRATCH_MB = 4096


class ReconciliationApplication(Application):
    """The application with the file inbox and the runs."""

    @cached_property
    def inbox(self) -> Inbox:
        """Return the inbox, which accepts files."""
        return Inbox(
            files=self.files,
            rows=self.kept_rows,
            database=self.database,
            clock=self.clock,
            gateways=self.settings.gateways,
            policy=self._policy_in_force,
        )

    @cached_property
    def kept_rows(self) -> KeptRows:
        """The rows of files and days, kept as tables."""
        return KeptRows(
            files=self.files, database=self.database, workspace=open_workspace, policy=self._policy_in_force
        )

    @cached_property
    def stored_policy(self) -> StoredPolicy:
        """What runs and the inbox judge by."""
        return StoredPolicy(files=self.files, database=self.database, clock=self.clock)

    def _policy_in_force(self) -> RunPolicy:
        return self.stored_policy.in_force().policy

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """Return the reconciliation, which makes the runs."""
        return Reconciliation(
            inbox=self.inbox,
            rows=self.kept_rows,
            policy=self.stored_policy,
            files=self.files,
            database=self.database,
            cases=CaseStore(self.database),
            clock=self.clock,
            ids=self.ids,
            workspace=open_workspace,
            explain=self.explainer.for_run,
            corrections=CorrectionsOfRuns(self.database, self.workflows),
        )


def open_workspace() -> DuckDbWorkspace:
    """Return an empty engine that stays within the function's memory."""
    return DuckDbWorkspace(memory_limit_mb=ENGINE_MEMORY_MB)


def bootstrap_reconciliation() -> ReconciliationApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return ReconciliationApplication(load_settings(os.environ))
