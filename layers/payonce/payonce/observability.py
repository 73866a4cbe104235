"""Structured logs. Bodies, tokens, keys and secrets are never passed to a log call."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

SERVICE = "payonce"


@cache
def get_logger() -> Logger | logging.Logger:
    """Return the process's JSON logger, or without Powertools the standard library's logger "payonce"."""
    # Imported here, because a read that goes well logs nothing, and the import takes a fifth of its cold start.
    try:
        from aws_lambda_powertools import Logger
    except ModuleNotFoundError:
        # In a program's own process, where the program decides how logs look. The members of ``extra`` become
        # attributes of the log record, as in any other library.
        return logging.getLogger(SERVICE)
    return Logger(service=SERVICE, use_rfc3339=True, utc=True)
