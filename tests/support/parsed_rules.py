"""DuckDB parses each statement of the rules once in a process, instead of once in each of hundreds of small runs.

Parsing is a quarter of such a run. The statements are the same, and so is everything after it; the functional, recall
and end-to-end suites run the engine as it is.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from payonce.engines import duckdb_engine
from payonce.engines.duckdb_engine import DuckDbWorkspace
from payonce.reconciliation.matching.rules import RuleFile, rule_files

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def _parsed(text: str) -> Any:
    (statement,) = duckdb.extract_statements(text)
    return statement


@cache
def _parsed_files(family: str) -> tuple[RuleFile, ...]:
    return tuple(RuleFile(file.name, tuple(map(_parsed, file.statements))) for file in rule_files(family))


def _query(workspace: DuckDbWorkspace, text: str) -> list[tuple[Any, ...]]:
    return workspace._connection.execute(_parsed(text)).fetchall()


@contextmanager
def rules_parsed_once() -> Iterator[None]:
    """Have it so inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb_engine, "rule_files", _parsed_files)
        patch.setattr(DuckDbWorkspace, "_query", _query)
        yield
