"""The part of the composition root that reconciles: its functions alone import DuckDB."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from payonce.bootstrap import Application, client_config
from payonce.domain.errors import MisconfiguredError
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.cases.store import CaseStore
from payonce.reconciliation.inbox import Inbox
from payonce.reconciliation.model import RunSettings
from payonce.reconciliation.runs import Reconciliation
from payonce.settings import load_settings

if TYPE_CHECKING:
    from payonce.ports import FileStore

BUCKET_VARIABLE = "PAYONCE_RECONCILIATION_BUCKET"
# Half of the function's memory: the rest is Python's, whose rows of one file come on top. What does not fit is spilled.
ENGINE_MEMORY_MB = 1024


class ReconciliationApplication(Application):
    """The wired application with inbox and runs."""

    @cached_property
    def files(self) -> FileStore:
        """The bucket of reports and statements. Raises ``MisconfiguredError``."""
        bucket = os.environ.get(BUCKET_VARIABLE, "")
        if not bucket:
            raise MisconfiguredError(f"{BUCKET_VARIABLE} is not set: there is no place for reports and statements.")
        import boto3

        from payonce.aws.s3_files import S3Files

        return S3Files(boto3.client("s3", config=client_config(), endpoint_url=self.settings.endpoint_url), bucket)

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
        )


def bootstrap_reconciliation() -> ReconciliationApplication:
    """Return the application of this process's environment. Raises ``MisconfiguredError``."""
    return ReconciliationApplication(load_settings(os.environ))
