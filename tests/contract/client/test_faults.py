"""The client against the API's own handlers over real HTTP, through a network that loses, cuts, delays and repeats.

Half of the requests are broken. Each intent is executed once, whatever its caller has seen.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from payonce.client import Answer, AsyncClient, Backoff, Client, Declined, Journal, NothingExecuted, OutcomeUnknown
from payonce.client.attempts import Attempts
from tests.support.api_server import API_KEY, ApiServer, running_api
from tests.support.faulty_network import Fault, faulty_network
from tests.support.tcp_faults import read_request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLS = int(os.environ.get("PAYONCE_CLIENT_CALLS", "1000"))
THREADS = 8
SHARE = 0.5
SEED = 20_261_129
IMPATIENT: dict[str, Any] = {"attempt_timeout_seconds": 0.4, "backoff": Backoff(base_seconds=0.01, max_seconds=0.1)}


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with running_api() as server:
        yield server


@pytest.fixture
def journal() -> Iterator[Journal]:
    """On memory as long as the machine has such a folder: 1,000 calls would wait for the disk for a minute."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Journal(f"{folder}/payonce.db")


def pay(client: Client, number: int, **options: Any) -> Answer[Any]:
    return client.create_payment(
        amount_minor=1000 + number, currency="EUR", payment_method=f"pm_{number:05}", **options
    )


def test_each_intent_is_executed_once_however_the_network_breaks(api: ApiServer, journal: Journal) -> None:
    """Callers with an intent, whose deadline sometimes ends, call again until they have an answer."""
    tries: Counter[int] = Counter()

    def buy(number: int) -> str:
        while True:
            tries[number] += 1
            try:
                return pay(client, number, intent=f"order-{number}", timeout_seconds=2).data["id"]
            except OutcomeUnknown:
                continue

    with (
        faulty_network(api.url, share=SHARE, seed=SEED) as network,
        Client(network.url, API_KEY, intents=journal, **IMPATIENT) as client,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        ids = list(pool.map(buy, range(CALLS)))
    assert Counter(api.charges()) == {f"pm_{number:05}": 1 for number in range(CALLS)}
    assert len(set(ids)) == CALLS
    keys = {key for method, _, key in api.requests if method == "POST"}
    assert len(keys) == CALLS
    assert set(network.counts) == set(Fault)  # every fault was there
    assert len(api.requests) > CALLS
    assert journal.open_intents() == []


def test_the_async_client_executes_each_intent_once_too(api: ApiServer, journal: Journal) -> None:
    calls = max(40, CALLS // 5)

    async def buy(client: AsyncClient, number: int, turn: asyncio.Semaphore) -> str:
        async with turn:
            answered = await client.create_payment(
                amount_minor=1000, currency="EUR", payment_method=f"pm_{number:05}", intent=f"o-{number}"
            )
            return answered.data["id"]

    async def main(url: str) -> list[str]:
        turn = asyncio.Semaphore(THREADS)
        async with AsyncClient(url, API_KEY, intents=journal, **IMPATIENT) as client:
            return await asyncio.gather(*(buy(client, number, turn) for number in range(calls)))

    with faulty_network(api.url, share=SHARE, seed=SEED + 1) as network:
        assert len(set(asyncio.run(main(network.url)))) == calls
    assert Counter(api.charges()) == {f"pm_{number:05}": 1 for number in range(calls)}


def test_a_key_for_each_attempt_is_what_this_would_see(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake of https://github.com/gocardless/gocardless-pro-python/issues/12, planted: payers pay twice."""
    numbers = itertools.count()
    kept = Attempts.headers

    def headers(attempts: Attempts) -> dict[str, str]:
        return {**kept(attempts), "X-Idempotency-Key": f"a-key-an-attempt-{next(numbers)}"}

    monkeypatch.setattr(Attempts, "headers", headers)
    with faulty_network(api.url, share=SHARE, seed=SEED) as net, Client(net.url, API_KEY, **IMPATIENT) as client:
        for number in range(25):
            pay(client, number)
    assert max(Counter(api.charges()).values()) > 1


@pytest.mark.parametrize("fault", Fault)
def test_refunds_are_executed_once_through_each_fault(
    fault: Fault, api: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(api.url, API_KEY) as direct:
        payment_id = pay(direct, 1).data["id"]
        with faulty_network(api.url, share=0.0, seed=SEED) as network:
            broken = iter([fault, fault, Fault.NONE])
            monkeypatch.setattr(network.random, "random", lambda: -1.0)
            monkeypatch.setattr(network.random, "choice", lambda _: next(broken, Fault.NONE))
            with Client(network.url, API_KEY, **IMPATIENT) as client:
                refund = client.refund_payment(payment_id, amount_minor=100)
        assert refund.data["status"] == "succeeded"
        assert direct.get_payment(payment_id)["refunded_minor"] == 100


def test_a_decline_is_final_through_lost_answers(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    api.bank.script = ["decline"]
    with faulty_network(api.url, share=0.0, seed=SEED) as network:
        broken = iter([Fault.DROP_AFTER, Fault.TRUNCATED_AFTER])
        monkeypatch.setattr(network.random, "random", lambda: -1.0)
        monkeypatch.setattr(network.random, "choice", lambda _: next(broken, Fault.NONE))
        with Client(network.url, API_KEY, **IMPATIENT) as client, pytest.raises(Declined) as caught:
            pay(client, 1)
    assert (caught.value.code, len(api.bank.bookings)) == ("declined", 1)
    assert [key for _, _, key in api.requests] == [caught.value.idempotency_key] * 3


def test_two_callers_with_one_intent_get_one_payment(api: ApiServer, journal: Journal) -> None:
    with Client(api.url, API_KEY, intents=journal) as client, ThreadPoolExecutor(THREADS) as pool:
        ids = list(pool.map(lambda _: pay(client, 1, intent="order-1").data["id"], range(THREADS)))
    assert (len(set(ids)), len(api.bank.bookings)) == (1, 1)


def test_a_gateway_that_loses_answers_leaves_no_doubt(api: ApiServer) -> None:
    """202, or 409 while the first request is at work: the client asks again with its key until it knows."""
    api.bank.script = ["booked_lost", "ok"]
    with Client(api.url, API_KEY, timeout_seconds=60) as client:
        assert pay(client, 1).data["status"] == "captured"
    assert len(api.bank.bookings) == 1


def test_nobody_there_is_certainly_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Client(f"http://127.0.0.1:{port}", API_KEY, **IMPATIENT) as client, pytest.raises(NothingExecuted):
        pay(client, 1, timeout_seconds=1.5)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_answer_that_drips_in_does_not_outlast_its_attempt(kind: str) -> None:
    """httpx limits each read alone: a byte every 50 ms would hold a caller without a deadline for ever."""
    asked: list[float] = []

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        asked.append(time.monotonic())
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
        while time.monotonic() < asked[-1] + 10:
            connection.sendall(b" ")
            time.sleep(0.05)

    def wait(url: str) -> None:
        with Client(url, API_KEY, **IMPATIENT) as client:
            pay(client, 1, timeout_seconds=2)

    async def wait_async(url: str) -> None:
        async with AsyncClient(url, API_KEY, **IMPATIENT) as client:
            await client.create_payment(amount_minor=1, currency="EUR", payment_method="pm_x", timeout_seconds=2)

    with serving(drip) as port, pytest.raises(OutcomeUnknown):
        url = f"http://127.0.0.1:{port}"
        wait(url) if kind == "sync" else asyncio.run(wait_async(url))
    assert len(asked) >= 2
    assert time.monotonic() < asked[0] + 30


def test_what_the_operator_sees_of_a_key(api: ApiServer) -> None:
    with Client(api.url, API_KEY) as client:
        key = pay(client, 1, idempotency_key='a/key?with#every"thing%41').idempotency_key
        [record] = client.get_idempotency_key(key)["data"]
        assert (record["state"], record["operation"]) == ("completed", "create_payment")
        assert [each["id"] for each in client.each_payments(limit=1)] == [record["resource"].rpartition("/")[2]]


def test_the_callers_httpx_client_is_used_and_left_open(api: ApiServer) -> None:
    seen: list[str] = []
    hooks = {"request": [lambda request: seen.append(request.headers["Authorization"])]}
    with httpx.Client(event_hooks=hooks, auth=("somebody", "else"), follow_redirects=True) as http:
        with Client(api.url, API_KEY, http=http) as client:
            pay(client, 1)
        assert not http.is_closed
    assert seen == [f"Bearer {API_KEY}"]
