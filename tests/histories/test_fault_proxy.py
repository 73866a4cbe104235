"""The proxy of the matrix: what each fault lets arrive at a service, and what of its answer."""

from __future__ import annotations

import threading
import time
from http.client import IncompleteRead
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from histories.deployed.matrix import Row, all_cells, read_rows, table, write_rows
from histories.deployed.points import POINTS
from histories.deployed.proxy import FaultProxy, Strike, fault_proxy
from histories.deployed.wire import SLOW_SECONDS, Fault, Seen
from tests.support.http import Answer, call

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PUT_ITEM = {"X-Amz-Target": "DynamoDB_20120810.PutItem", "Content-Type": "application/x-amz-json-1.0"}
BODY = b'{"TableName": "x-IdempotencyTable-1"}'


class Service(ThreadingHTTPServer):
    """Counts what it executes, and answers with it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.executed: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Execute."""
        self.server.executed.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.write(b"0123456789")


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def proxy(service: Service) -> Iterator[FaultProxy]:
    with fault_proxy() as made:
        made.open("create", ("127.0.0.1", service.server_address[1]))
        yield made


def put(proxy: FaultProxy, timeout_seconds: float = 5) -> Answer:
    return call(proxy.url("create"), "POST", "/", BODY, PUT_ITEM, timeout_seconds=timeout_seconds)


def anything(_seen: Seen) -> bool:
    return True


@pytest.mark.parametrize(
    ("fault", "executed", "error"),
    [
        (Fault.RESET_BEFORE, 0, ConnectionResetError),
        (Fault.RESET_AFTER, 1, ConnectionResetError),
        (Fault.NO_ANSWER, 1, TimeoutError),
        (Fault.TRUNCATED, 1, IncompleteRead),
    ],
)
def test_a_fault_without_an_answer(
    proxy: FaultProxy, service: Service, fault: Fault, executed: int, error: type[Exception]
) -> None:
    proxy.arm(Strike(fault, anything))
    with pytest.raises(error):
        put(proxy, timeout_seconds=0.5)
    assert len(service.executed) == executed
    assert put(proxy).status == 200, "it strikes once"


@pytest.mark.parametrize(("fault", "executed", "status"), [(Fault.THROTTLED, 0, 400), (Fault.ERROR_500, 1, 500)])
def test_a_fault_with_the_services_own_answer(
    proxy: FaultProxy, service: Service, fault: Fault, executed: int, status: int
) -> None:
    proxy.arm(Strike(fault, anything))
    assert put(proxy).status == status
    assert len(service.executed) == executed


def test_slow_is_slow_and_whole(proxy: FaultProxy) -> None:
    proxy.arm(Strike(Fault.SLOW, anything))
    began = time.monotonic()
    assert put(proxy).body == b"0123456789"
    assert time.monotonic() - began >= SLOW_SECONDS


def test_a_shut_door_refuses_until_it_is_opened(proxy: FaultProxy, service: Service) -> None:
    """Fails when a refused connection is one that is reset: that request may have been executed, for all one knows."""
    strike = Strike(Fault.REFUSED, anything, lasts_seconds=30, door="create", precedes=anything)
    proxy.arm(strike)
    assert put(proxy).status == 200
    with pytest.raises(ConnectionRefusedError):
        put(proxy)
    strike.open_again.set()
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        try:
            put(proxy)
            break
        except ConnectionRefusedError:
            time.sleep(0.01)
    assert len(service.executed) == 2


def test_it_strikes_what_it_hits_after_what_may_pass_and_for_as_long_as_it_lasts(proxy: FaultProxy) -> None:
    strike = Strike(Fault.ERROR_500, lambda seen: seen.action == "PutItem", passes=1, lasts_seconds=0.5)
    proxy.arm(strike)
    assert [put(proxy).status for _ in range(3)] == [200, 500, 500]
    other = call(proxy.url("create"), "POST", "/path", b"", {})
    assert other.status == 200
    time.sleep(0.5)
    assert put(proxy).status == 200
    assert strike.count == 2


def test_a_request_is_known_by_door_service_action_and_text(proxy: FaultProxy) -> None:
    seen: list[Seen] = []
    proxy.watch = seen.append
    put(proxy)
    call(proxy.url("create"), "POST", "/banks/b/charges", b"{}", {})
    assert seen[0] == Seen("create", "dynamodb", "PutItem", BODY.decode())
    assert seen[1] == Seen("create", "create", "POST /banks/b/charges", "{}")


def test_every_point_has_every_fault_and_a_name_of_its_own() -> None:
    cells = all_cells(is_lasting=False)
    assert len({cell.name for cell in cells}) == len(cells) == len(POINTS) * len(Fault)


def test_the_table_says_what_a_client_was_told_and_what_broke(tmp_path: Path) -> None:
    """Fails when a broken promise is not to be seen in the table, or repeats are listed one by one."""
    well = Row("claim: dynamodb", "500", False, ["503 store-unavailable", "503 store-unavailable", "201"], 2, 1.0, [])
    rows = [
        well,
        Row("claim: dynamodb", "slow", False, ["no answer", "201"], 1, 1.0, ["charges at the bank: 2, not 1"]),
    ]
    write_rows(tmp_path / "rows.json", rows)
    lines = table(read_rows(tmp_path / "rows.json"))
    assert lines[0] == "2 payments, one request struck in each; 1 broke a promise."
    assert "| claim: dynamodb | **BROKEN** no answer, 201 | 503, 201 (2 webhooks) |" in lines
