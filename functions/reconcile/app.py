"""A file arrived, or it is time: accepts what arrived, compares journal and files, brings the cases up to it."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.reconciliation import reconcile
from payonce.wiring.reconciliation import bootstrap_reconciliation

APPLICATION = bootstrap_reconciliation()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return and log what was accepted and what the run found."""
    return reconcile(APPLICATION, event, context.aws_request_id)
