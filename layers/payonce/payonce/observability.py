"""Structured logs. Bodies, tokens, keys and secrets are never passed to a log call."""

from __future__ import annotations

from functools import cache

from aws_lambda_powertools import Logger

SERVICE = "payonce"


@cache
def get_logger() -> Logger:
    """Return the process's JSON logger."""
    return Logger(service=SERVICE, use_rfc3339=True, utc=True)
