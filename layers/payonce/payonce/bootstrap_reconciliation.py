"""The part of the composition root that reconciles: its functions alone import DuckDB."""

from __future__ import annotations

import os
from functools import cached_property

from payonce.bootstrap import BUCKET_VARIABLE, Application
from payonce.corrections.following import CorrectionsOfRuns
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.cases.store import CaseStore
from payonce.reconciliation.inbox import Inbox
from payonce.reconciliation.model import RunSettings
from payonce.reconciliation.runs import Reconciliation
from payonce.settings import load_settings

__all__ = ["BUCKET_VARIABLE", "ReconciliationApplication", "bootstrap_reconciliation"]

# Half of the function's memory: the rest is Python's, whose rows of one file come on top. What does not fit is spilled.
ENGINE_MEMORY_MB = 1024


class ReconciliationApplication(Application):
    """The wired application with inbox and runs."""

    @cached_property
    def inbox(self) -> Inbox:
        """Where files are accepted."""
        return Inbox(files=self.files, database=self.database, clock=self.clock, gateways=self.settings.gateways)

    @cached_property
    def reconciliation(self) -> Reconciliation:
        """The runs."""
        return Reconciliation(
            inbox=self.inbox,
            files=self.files,
            database=self.database,
            cases=CaseStore(self.database),
            clock=self.clock,
            ids=self.ids,
            workspace=lambda: DuckDbWorkspace(memory_limit_mb=ENGINE_MEMORY_MB),
            settings_at=lambda as_of_ms: RunSettings(as_of_ms=as_of_ms),
            explain=self.explainer.for_run,
            corrections=CorrectionsOfRuns(self.database, self.workflows),
        )


def bootstrap_reconciliation() -> ReconciliationApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return ReconciliationApplication(load_settings(os.environ))
