"""Which requests and which statuses a rule is about, and the limits that hold in every way in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_INLINE_BYTES = 256 * 1024  # a DynamoDB item holds 400 KB, which the plan and the headers share
MAX_ANSWER_BYTES = 64 * 1024 * 1024  # held in memory, per request
MAX_REQUEST_BYTES = 64 * 1024 * 1024
UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_REGEXES: dict[str, re.Pattern[str]] = {}


def path_regex(path: str) -> re.Pattern[str]:
    """Return the pattern of ``path``: ``{name}`` is one segment, ``{name+}`` at the end the rest.

    Raises ``ValueError`` for braces that are no parameter.
    """
    if path not in _REGEXES:
        _REGEXES[path] = re.compile("".join(_segment(part) for part in re.split(r"(\{[^}]*\})", path)))
    return _REGEXES[path]


def _segment(part: str) -> str:
    if not part.startswith("{"):
        if "{" in part or "}" in part:
            raise ValueError("path has a brace without its other half")
        return re.escape(part)
    if not re.fullmatch(r"\{[A-Za-z_]\w*\+?\}", part):
        raise ValueError(f"path: {part} is no parameter; write {{name}} or, at the end, {{name+}}")
    return ".+" if part.endswith("+}") else "[^/]+"


def status_in(status: int, patterns: Sequence[str]) -> int:
    """Return how specifically ``status`` is matched: 2 by its number, 1 by its class, 0 not at all."""
    if str(status) in patterns:
        return 2
    return 1 if f"{status // 100}xx" in patterns else 0
