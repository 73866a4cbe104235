"""Reads what a log's subscription sends: gzipped JSON in base64, with the lines that the filter's pattern matched.

See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LOG_BYTES = 16_777_216  # decompressed; CloudWatch sends at most 1 MB compressed, and logs compress ten to one
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: the log's id of it, its time in ms, and its JSON, ``None`` when it is none."""

    identity: str
    at_ms: int
    parsed: object


def lines_of(wrapped: Mapping[str, Any]) -> tuple[list[LogLine], int]:
    """Return the lines of a message, and how many could not be read. Never raises for a message's content."""
    try:
        text = _unpacked(wrapped["data"])
        if text.get("messageType") != "DATA_MESSAGE":
            return [], 0  # CloudWatch tests whether it may send
        stored = list(text["logEvents"])
    except UNREADABLE:
        return [], 1
    lines, unreadable = [], 0
    for line in stored:
        try:
            lines.append(LogLine(str(line["id"]), int(line["timestamp"]), _parsed(line["message"])))
        except UNREADABLE:
            unreadable += 1
    return lines, unreadable


def _unpacked(data: str) -> dict[str, Any]:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(data, validate=True))) as packed:
            text = packed.read(MAX_LOG_BYTES + 1)
    except (OSError, EOFError, zlib.error, binascii.Error) as error:
        raise ValueError("not a message of a log's subscription") from error
    if len(text) > MAX_LOG_BYTES:
        raise ValueError("a message of a log's subscription that is too large")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _parsed(message: str) -> object:
    """Return a line of the log, or ``None`` when it is not JSON: the functions log other lines too."""
    try:
        return json.loads(message)
    except ValueError:
        return None
