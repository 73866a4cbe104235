"""Runs an example service as its user would, kills its processes under load, and tells what its clients saw."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.support.aws import REPOSITORY
from tests.support.upstreams.running import ENVIRONMENT, START_SECONDS, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = REPOSITORY / "docs" / "examples"
WORKERS = 2
GAP_SECONDS = (0.2, 0.8)
LEAST_KILLS = 3  # however slow the machine is
EVERYTHING_OF = 8  # one kill in so many takes the supervisor and all workers
ASK_AGAIN_OF = 4  # one answer in so many is asked for once more
RETRY_SECONDS = 1.0  # what a Retry-After is cut to, so that a short run sees many tries
PATIENCE_SECONDS = 60.0  # after the last kill, for everybody to get an answer


class Service:
    """uvicorn with two workers, in a process group of its own, started again when its supervisor was killed."""

    def __init__(self, target: str, folder: Path, environment: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        options = ["--app-dir", str(folder), "--port", str(port), "--workers", str(WORKERS), "--log-level", "critical"]
        self._command = [sys.executable, "-m", "uvicorn", target, *options]
        self._environment = {**ENVIRONMENT, **environment}
        self._process = self._start()

    def kill_one(self, chance: random.Random) -> None:
        """Kill a worker; uvicorn's supervisor starts another one. Now and then kill all, and start them again."""
        workers = self._workers()
        if workers and chance.randrange(EVERYTHING_OF):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)
        else:
            self.stop()
            self._process = self._start()

    def stop(self) -> None:
        """Kill the supervisor and every worker."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, cwd=REPOSITORY, env=self._environment, start_new_session=True)

    def _workers(self) -> list[int]:
        """Return the workers: children of the supervisor, without multiprocessing's own resource tracker."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [pid for pid in map(int, children.split()) if b"spawn_main" in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""  # it has ended meanwhile


@dataclass
class Found:
    """What the clients of a run saw, and what the bank has executed."""

    answers: dict[str, set[bytes]] = field(default_factory=dict)  # by order, the bodies of its 201
    outcomes: Counter[str] = field(default_factory=Counter)  # by status or error, of every try
    kills: int = 0
    executions: Counter[str] = field(default_factory=Counter)  # by order
    unanswered: int = 0

    @property
    def cut(self) -> int:
        """Return how many requests have lost their connection before their answer was complete."""
        return self.outcomes["ReadError"] + self.outcomes["RemoteProtocolError"]

    @property
    def doubles(self) -> int:
        """Return how many charges there are beyond the first one of each order."""
        return sum(count - 1 for count in self.executions.values())


class Crowd:
    """Clients in pairs: both of a pair place the same orders with the same keys, and retry until they are answered."""

    def __init__(self, url: str, pairs: int, chance: random.Random) -> None:
        self.found = Found()
        self.served = threading.Event()  # since it was last cleared, somebody has got an answer
        self._url = url
        self._ended = threading.Event()
        self._patience_ends = float("inf")
        self._lock = threading.Lock()
        seeds = [(pair, chance.random()) for pair in range(pairs) for _ in "ab"]
        self._threads = [threading.Thread(target=self._shop, args=seed) for seed in seeds]

    def start(self) -> None:
        """Start all clients."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let no client begin another order, and wait until each has its answer."""
        self._patience_ends = time.monotonic() + PATIENCE_SECONDS
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _shop(self, pair: int, seed: float) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=self._url, timeout=5) as client:
            number = 0
            while not self._ended.is_set():
                number += 1
                order = f"order-{pair}-{number}"
                answered = self._place(client, order, chance)
                if answered and not chance.randrange(ASK_AGAIN_OF):
                    answered = self._place(client, order, chance)
                if not answered:
                    with self._lock:
                        self.found.unanswered += 1

    def _place(self, client: httpx.Client, order: str, chance: random.Random) -> bool:
        headers = {"Authorization": "Bearer ann-s-token", "Idempotency-Key": f"key-of-the-{order}"}
        while time.monotonic() < self._patience_ends:
            wait_seconds = 0.4
            try:
                answer = client.post("/orders", json={"order": order, "amount_minor": 1000}, headers=headers)
            except httpx.TransportError as error:
                self._count(type(error).__name__)
            else:
                self._count(str(answer.status_code))
                if answer.status_code == 201:
                    with self._lock:
                        self.found.answers.setdefault(order, set()).add(answer.content)
                    self.served.set()
                    return True
                wait_seconds = min(float(answer.headers.get("retry-after", wait_seconds)), RETRY_SECONDS)
            time.sleep(wait_seconds * chance.uniform(0.5, 1.0))
        return False

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.found.outcomes[outcome] += 1


def kill_under_load(
    target: str,
    folder: Path,
    redis_url: str,
    *,
    seconds: float,
    pairs: int,
    seed: int,
    least_kills: int = LEAST_KILLS,
) -> Found:
    """Run the service of ``folder``, kill its processes for ``seconds`` under load, and return what came of it."""
    chance = random.Random(seed)
    with running_bank() as bank_url:
        service = Service(target, folder, {"REDIS_URL": redis_url, "BANK_URL": bank_url})
        crowd = Crowd(service.url, pairs, chance)
        try:
            crowd.start()
            ends = None
            while ends is None or time.monotonic() < ends or crowd.found.kills < least_kills or not crowd.found.cut:
                # A service that has not come up again has nothing to lose: killing it would only make the run empty.
                assert crowd.served.wait(START_SECONDS), "the service did not come up"
                ends = ends or time.monotonic() + seconds
                time.sleep(chance.uniform(*GAP_SECONDS))
                service.kill_one(chance)
                crowd.found.kills += 1
                crowd.served.clear()
        finally:
            crowd.finish()
            service.stop()
        charges: list[dict[str, Any]] = httpx.get(f"{bank_url}/charges", timeout=30).json()
    crowd.found.executions.update(charge["order"] for charge in charges)
    return crowd.found


@contextmanager
def running_bank() -> Iterator[str]:
    """Run the examples' bank and yield its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(EXAMPLES / "bank.py"), str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        give_up = time.monotonic() + START_SECONDS
        while True:
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/charges")
                break
            assert time.monotonic() < give_up, "the bank did not start"
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()
