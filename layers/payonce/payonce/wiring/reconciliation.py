"""The part of the composition root that reconciles: its functions alone import DuckDB."""

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
from payonce.wiring.application import BUCKET_VARIABLE, Application
from payonce.wiring.settings import load_settings

if TYPE_CHECKING:
    from payonce.reconciliation.runs.run_policy import RunPolicy

__all__ = ["BUCKET_VARIABLE", "ReconciliationApplication", "bootstrap_reconciliation"]

# The limits of a run, which are those of its function; tests/infrastructure holds template.yaml to them. A run that
# needs more time is killed, tried again twice and then an alarm; it has measured some minutes at five million rows.
RUN_TIMEOUT_SECONDS = 900  # the most that a function may have
FUNCTION_MEMORY_MB = 2048
# Half of it: the rest is Python's, whose rows of one file come on top. What does not fit is spilled.
ENGINE_MEMORY_MB = 1024
# The kept rows of a period, and what the engine spills: several times the rows of the largest one.
SCRATCH_MB = 4096


class ReconciliationApplication(Application):
    """The wired application with inbox and runs."""

    @cached_property
    def inbox(self) -> Inbox:
        """Where files are accepted."""
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
        """The runs."""
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
    """Open an empty engine within the function's memory."""
    return DuckDbWorkspace(memory_limit_mb=ENGINE_MEMORY_MB)


def bootstrap_reconciliation() -> ReconciliationApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return ReconciliationApplication(load_settings(os.environ))
