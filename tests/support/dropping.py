"""A client whose connections break at every stage of a request, and who retries with the same key until it is answered.

Used for what everything with the contract has to withstand: ``attempts`` tries, most of them cut, on several processes
with one store.
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
    from collections.abc import Callable, Mapping, Sequence

THREADS = 8
PATIENCE_SECONDS = 240  # of a try that is not cut, on a machine that does other things too
TRIES_PER_KEY = 10
MOST_WORK_MS = 30
CUTS = ("in the head", "in the body", "at once", "while it works", "in the answer")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client sends for a key: it answers ``done`` once it is executed, and ``again`` when to ask once more."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    done: int = 201
    again: frozenset[int] = frozenset({409})  # an earlier try is still at work


def order(key: str, chance: random.Random) -> Asked:
    """Return what the order service of the middlewares and of the sidecar is sent."""
    headers = {TENANT: "shop", "Idempotency-Key": key, "Content-Type": "application/json", "Prefer": "wait=5"}
    path = f"/orders?delay_ms={chance.randrange(MOST_WORK_MS)}"
    return Asked(path, json.dumps({"reference": key}).encode(), headers)


@dataclass
class Dropped:
    """What a run has found. ``answers`` are by key: the body of every whole answer that says it is executed."""

    attempts: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    seconds: float = 0
    answers: dict[str, list[bytes]] = field(default_factory=dict)

    def differing(self) -> list[str]:
        """Return the keys that were given two different answers of the application."""
        return [key for key, bodies in self.answers.items() if len(set(bodies)) != 1]


def drop(
    urls: Sequence[str],
    attempts: int,
    seed: int | str,
    executions: Callable[[Sequence[str]], Mapping[str, int]],
    asked: Callable[[str, random.Random], Asked] = order,
) -> Dropped:
    """Make ``attempts`` tries for ``attempts / TRIES_PER_KEY`` keys, whose last try is not cut. Assert the outcome."""
    found, began = Dropped(attempts), time.monotonic()
    keys = [f"dropped-{seed}-{number:08}" for number in range(attempts // TRIES_PER_KEY)]

    def one(key: str) -> None:
        chance = random.Random(f"{seed} {key}")
        request = asked(key, chance)
        for _ in range(TRIES_PER_KEY - 1):
            if chance.random() < 0.2:  # a duplicate beside it, which may meet the first one at work
                _note(found, key, request, _ask(chance.choice(urls), request))
            else:
                cut = chance.choice(CUTS)
                _cut(chance.choice(urls), request, cut, chance)
                found.cut[cut] += 1
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not _note(found, key, request, _ask(chance.choice(urls), request)):
            assert time.monotonic() < give_up, key
            time.sleep(0.1)

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, keys))
    found.seconds = time.monotonic() - began
    executed = dict(executions(keys))
    assert executed == dict.fromkeys(keys, 1), {key: executed.get(key, 0) for key in keys if executed.get(key) != 1}
    assert found.differing() == []
    assert sum(found.cut.values()) > attempts / 2
    return found


def _note(found: Dropped, key: str, request: Asked, answer: Answer) -> bool:
    """Keep the answer if it is the application's own, and return whether it is."""
    if answer.status == request.done:
        found.answers.setdefault(key, []).append(answer.body)
        return True
    assert answer.status in request.again, answer
    return False


def _ask(url: str, request: Asked) -> Answer:
    return call(url, "POST", urlsplit(url).path + request.path, request.body, dict(request.headers))


def _raw(url: str, request: Asked) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    first = f"POST {urlsplit(url).path}{request.path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
    return f"{first}{head}Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body


def _cut(url: str, request: Asked, cut: str, chance: random.Random) -> None:
    """Send as much of a request as ``cut`` says, and break the connection: with a reset, or as a client closes it."""
    parts, octets = urlsplit(url), _raw(url, request)
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
