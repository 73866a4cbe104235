"""Structured logs. Bodies, tokens, keys and secrets are never passed to a log call."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

SERVICE = "payonce"


@cache
def get_logger() -> Logger:
    """Return the process's JSON logger."""
    # Imported here, because a read that goes well logs nothing, and the import takes a fifth of its cold start.
    from aws_lambda_powertools import Logger

    return Logger(service=SERVICE, use_rfc3339=True, utc=True)
