"""Servers of the fault matrix, and its table at the end of the run."""

from __future__ import annotations

from collections import Counter, defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from payonce.network.aws_json import RETRY_TOKENS, RetryTokens
from tests.contract.faults.servers import make_servers
from tests.support.dynamodb_faults import dynamodb_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.faults.servers import Servers

# By operation and fault: how often the client was told what.
CELLS: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)


@pytest.fixture(scope="session")
def servers(dynamodb_local: str) -> Iterator[Servers]:
    """DynamoDB Local with the proxy before it. Whoever pauses between two tries moves the clock instead of waiting."""
    all_tokens: list[RetryTokens] = []

    class KeptTokens(RetryTokens):
        def __init__(self) -> None:
            super().__init__()
            all_tokens.append(self)

    def refill() -> None:
        for tokens in all_tokens:
            tokens.give_back(RETRY_TOKENS)

    with dynamodb_faults(dynamodb_local) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr("payonce.network.aws_json.RetryTokens", KeptTokens)
        made = make_servers(dynamodb_local, proxy, refill)
        patch.setattr("payonce.wiring.application.time", SimpleNamespace(sleep=made.clock.sleep))
        yield made
        made.tables.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print operations and faults with the classes of answers, and how many cells of each."""
    if not CELLS:
        return
    total = sum(sum(found.values()) for found in CELLS.values())
    terminalreporter.write_sep("=", f"fault matrix: {total} cells, answers by operation and fault")
    width = max(len(f"{operation} / {fault}") for operation, fault in CELLS)
    for (operation, fault), found in CELLS.items():
        answers = ", ".join(f"{count} × {name}" for name, count in sorted(found.items()))
        terminalreporter.write_line(f"{f'{operation} / {fault}'.ljust(width)}  {answers}")
