"""A client whose connections break at every stage of a request, and who retries with the same key until it is answered.

Used for what a middleware has to withstand: ``attempts`` tries, most of them cut, on several processes with one store.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.http import Answer, call
from tests.support.proxy import TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

THREADS = 8
TRIES_PER_KEY = 10
MOST_WORK_MS = 30
CUTS = ("in the head", "in the body", "at once", "while it works", "in the answer")


@dataclass
class Dropped:
    """What a run has found. ``answers`` are by key: every complete answer's status and body."""

    attempts: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    answers: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)

    def differing(self) -> list[str]:
        """Return the keys that were given two different answers of the application, or none."""
        found = {key: {body for status, body in answers if status == 201} for key, answers in self.answers.items()}
        return [key for key, bodies in found.items() if len(bodies) != 1]


def drop(urls: Sequence[str], attempts: int, seed: int, executions: Callable[[], dict[str, int]]) -> Dropped:
    """Make ``attempts`` tries for ``attempts / TRIES_PER_KEY`` keys, whose last try is not cut. Assert the outcome."""
    found, began = Dropped(attempts), time.monotonic()
    keys = [f"dropped-{seed}-{number:08}" for number in range(attempts // TRIES_PER_KEY)]

    def one(key: str) -> None:
        chance = random.Random(f"{seed} {key}")
        body = json.dumps({"reference": key}).encode()
        path = f"/orders?delay_ms={chance.randrange(MOST_WORK_MS)}"
        for _ in range(TRIES_PER_KEY - 1):
            if chance.random() < 0.2:  # a duplicate beside it, which may meet the first one at work
                _note(found, key, _ask(chance.choice(urls), key, path, body))
            else:
                cut = chance.choice(CUTS)
                _cut(chance.choice(urls), _raw(key, path, body), cut, chance)
                found.cut[cut] += 1
        answer = _ask(chance.choice(urls), key, path, body)
        while answer.status == 409:  # an earlier try is still at work
            time.sleep(0.1)
            answer = _ask(chance.choice(urls), key, path, body)
        _note(found, key, answer)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, keys))
    found.seconds = time.monotonic() - began
    executed = executions()
    assert executed == dict.fromkeys(keys, 1), {key: executed.get(key, 0) for key in keys if executed.get(key) != 1}
    assert found.differing() == []
    return found


def _note(found: Dropped, key: str, answer: Answer) -> None:
    assert answer.status in {201, 409}, answer
    found.answers.setdefault(key, []).append((answer.status, answer.body))


def _ask(url: str, key: str, path: str, body: bytes) -> Answer:
    headers = {TENANT: "shop", "Idempotency-Key": key, "Content-Type": "application/json", "Prefer": "wait=5"}
    return call(url, "POST", path, body, headers)


def _raw(key: str, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: shop\r\n{TENANT}: shop\r\nIdempotency-Key: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _cut(url: str, octets: bytes, cut: str, chance: random.Random) -> None:
    """Send as much of a request as ``cut`` says, and break the connection: with a reset, or as a client closes it."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        if chance.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end = octets.index(b"\r\n\r\n") + 4
        if cut == "in the head":
            connection.sendall(octets[: chance.randrange(1, end)])
        elif cut == "in the body":
            connection.sendall(octets[: chance.randrange(end, len(octets))])
        else:
            connection.sendall(octets)
        if cut == "while it works":
            time.sleep(chance.random() * MOST_WORK_MS / 1000)
        elif cut == "in the answer":
            connection.recv(1)
