"""The audit trail: what the idempotency table's stream tells becomes entries that are never changed."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.claim_stream import serve_audit
from payonce.wiring.application import bootstrap

APPLICATION = bootstrap()


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Write the entries of one batch of the stream; name the first record that has to come again."""
    return serve_audit(event, APPLICATION.audit_trail)
