"""Tables that a suite prints at its end: rows come from the tests, in whichever process they ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def hand_over(session: pytest.Session, name: str, *tables: list[Any]) -> None:
    """Give a worker's rows to the process that prints. For ``pytest_sessionfinish``; elsewhere it does nothing."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[name] = tables


def take_over(node: Any, name: str, *tables: list[Any]) -> None:
    """Take a worker's rows. For xdist's ``pytest_testnodedown``; a worker that crashed has none."""
    for table, came in zip(tables, getattr(node, "workeroutput", {}).get(name, ()), strict=False):
        table.extend(came)
