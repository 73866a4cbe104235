"""Servers of the crash matrix, and its table at the end of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.dynamodb_local import running_dynamodb_local
from local.localstripe_server import running_localstripe
from local.sandbox_bank.running import running_bank
from tests.crash_matrix.fork_server import ForkServer
from tests.support.aws import dynamodb_client
from tests.support.tables import hand_over, take_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from local.sandbox_bank.running import BankHandle

ROWS: list[tuple[str, str, str]] = []  # (kill point, gateway behaviour, what was found)
WEBHOOK_ROWS: list[tuple[str, str, str, str]] = []  # (kill point, copies per endpoint, different copies, statuses)
CORRECTION_ROWS: list[str] = []
WAITING_ROWS: list[tuple[str, str, str, str]] = []  # (story, point, exit or freeze, charges / payment)
NOTICE_ROWS: list[tuple[str, str, str, str]] = []  # (story and order, point, how, charges / entries / payment)


@pytest.fixture(scope="session")
def dynamodb_url() -> Iterator[str]:
    """DynamoDB Local."""
    with running_dynamodb_local() as url:
        yield url


@pytest.fixture(scope="session")
def tables_client(dynamodb_url: str) -> DynamoDBClient:
    """What removes tables."""
    return dynamodb_client(dynamodb_url)


@pytest.fixture(autouse=True)
def removed_tables(tables_client: DynamoDBClient) -> Iterator[None]:
    """Remove the tables that a test has made: with those of 1,500 cases, DynamoDB Local takes ten times as long."""
    before = set(_tables(tables_client))
    yield
    for name in set(_tables(tables_client)) - before:
        tables_client.delete_table(TableName=name)


def _tables(client: DynamoDBClient) -> Iterator[str]:
    for page in client.get_paginator("list_tables").paginate():
        yield from page["TableNames"]


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BankHandle]:
    """The sandbox bank."""
    with running_bank(tmp_path_factory.mktemp("bank")) as handle:
        handle.configure("late", visible_after_ms=900)
        yield handle


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """What starts the processes that are killed."""
    server = ForkServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stripe_url() -> Iterator[str]:
    """localstripe."""
    with running_localstripe() as url:
        yield url


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand this worker's rows over."""
    hand_over(session, "crash_matrix", ROWS, WEBHOOK_ROWS, CORRECTION_ROWS, WAITING_ROWS, NOTICE_ROWS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's rows."""
    take_over(node, "crash_matrix", ROWS, WEBHOOK_ROWS, CORRECTION_ROWS, WAITING_ROWS, NOTICE_ROWS)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables."""
    if ROWS:
        _print_payments(terminalreporter)
    if WAITING_ROWS:
        _print_waiting(terminalreporter)
    if NOTICE_ROWS:
        _print_notices(terminalreporter)
    if CORRECTION_ROWS:
        terminalreporter.write_sep("=", "corrections")
        for row in CORRECTION_ROWS:
            terminalreporter.write_line(row)
    if WEBHOOK_ROWS:
        _print_webhooks(terminalreporter)


def _print_payments(terminalreporter: pytest.TerminalReporter) -> None:
    """Print kill points down, gateway behaviours across."""
    behaviours = sorted({behaviour for _, behaviour, _ in ROWS})
    points = list(dict.fromkeys(point for point, _, _ in ROWS))
    cells = {(point, behaviour): found for point, behaviour, found in ROWS}
    width = max(len(point) for point in points)
    column = max(len(found) for found in cells.values())
    terminalreporter.write_sep("=", "crash matrix: charges in the bank's books / payment / client's answer")
    terminalreporter.write_line(" " * width + "  " + "  ".join(name.ljust(column) for name in behaviours))
    for point in points:
        row = "  ".join(cells.get((point, behaviour), "").ljust(column) for behaviour in behaviours)
        terminalreporter.write_line(f"{point.ljust(width)}  {row}")


def _print_waiting(terminalreporter: pytest.TerminalReporter) -> None:
    """Print stories and points down, how they were struck across."""
    cells = {(story, point, how): found for story, point, how, found in WAITING_ROWS}
    rows = sorted({(story, point) for story, point, _, _ in WAITING_ROWS})
    width = max(len(f"{story}, {point}") for story, point in rows)
    terminalreporter.write_sep("=", "held payments: charges in the bank's books / payment, when killed and when frozen")
    for story, point in rows:
        killed, frozen = (cells.get((story, point, how), "") for how in ("exit", "freeze"))
        terminalreporter.write_line(f"{f'{story}, {point}'.ljust(width)}  {killed.ljust(16)}  {frozen}")


def _print_notices(terminalreporter: pytest.TerminalReporter) -> None:
    """Print stories, orders of arrival and points down, how they were struck across."""
    cells = {(told, point, how): found for told, point, how, found in NOTICE_ROWS}
    rows = sorted({(told, point) for told, point, _, _ in NOTICE_ROWS})
    width = max(len(f"{told}, {point}") for told, point in rows)
    terminalreporter.write_sep(
        "=", "gateways' events: charges / journal entries / payment, when killed, frozen to the end, and for a while"
    )
    column = max(len(found) for found in cells.values())
    for told, point in rows:
        found = "  ".join(cells.get((told, point, how), "").ljust(column) for how in ("exit", "freeze", "nap"))
        terminalreporter.write_line(f"{f'{told}, {point}'.ljust(width)}  {found}".rstrip())


def _print_webhooks(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_sep("=", "webhook matrix: copies at two receivers / different (id, bytes) / deliveries")
    width = max(len(label) for label, *_ in WEBHOOK_ROWS)
    for label, copies, different, statuses in WEBHOOK_ROWS:
        terminalreporter.write_line(f"{label.ljust(width)}  {copies.rjust(5)}  {different}  {statuses}")
