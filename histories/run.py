"""A run: clients, the nemesis, the time after its last fault, and the count of what was executed."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from random import Random
from typing import TYPE_CHECKING

from histories.asking import header_of, read_payment
from histories.findings import Findings, judge
from histories.history import History
from histories.key_model import Asked, Outcome
from histories.nemesis import Nemesis
from histories.workload import Workload

if TYPE_CHECKING:
    from histories.worlds import World

CLIENTS = 12
SETTLE_SECONDS = 45  # a lease ends 13 s after its claim, an inquiry is repeated after 5, 10 and 20 s
REFUSED_PAUSE_SECONDS = 0.1
MOST_REFUSALS = 1_800  # three minutes: longer than a server may take to start
AGAIN_SECONDS = 1.0


class NobodyServes(Exception):
    """The workers are gone for longer than the nemesis keeps them away."""


@dataclass(slots=True)
class Run:
    """A run's history, what is wrong with it, and what was done to its servers."""

    name: str
    seconds: float
    history: History
    findings: Findings
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def requests(self) -> int:
        """The number of requests."""
        return sum(self.findings.outcomes.values())


@dataclass(frozen=True, slots=True)
class Clients:
    """What clients share. ``random`` chooses the worker; it need not repeat."""

    world: World
    history: History
    random: Random = field(default_factory=Random)

    def ask(self, process: str, key: str, body: str) -> Asked:
        """Send one request to some worker, and record it. A worker that takes no connection has not been asked.

        Raises ``NobodyServes`` when none takes a connection for minutes.
        """
        attempt = self.history.invoke(process, key, body)
        for _ in range(MOST_REFUSALS):
            url = self.random.choice(self.world.workers).url
            try:
                told = self.world.ask(url, key, body, attempt)
            except ConnectionRefusedError:
                time.sleep(REFUSED_PAUSE_SECONDS)
                continue
            except (OSError, HTTPException):
                told = Asked(body, Outcome.UNKNOWN, attempt=attempt)
            self.history.complete(process, attempt, told)
            return told
        raise NobodyServes(f"no worker of {self.world.name} takes connections; their logs say why")


def run(
    world: World,
    seconds: float,
    *,
    seed: int,
    clients: int = CLIENTS,
    settle_seconds: float = SETTLE_SECONDS,
    faults: str = "",
) -> Run:
    """Let clients ask for ``seconds`` while the nemesis strikes; then settle, count, and judge.

    ``faults``: strike only with those whose names hold this.
    """
    history, random = History(), Random(f"{seed} {world.name}")
    prefix = world.name.replace(" ", "-")[:24]
    workload = Workload(Random(random.random()), prefix=prefix)
    asking = Clients(world, history)
    nemesis = Nemesis(world, history, Random(random.random()), only=faults)
    nemesis.start()
    ends = time.monotonic() + seconds

    def client(number: int) -> None:
        while time.monotonic() < ends:
            if asking.ask(f"client {number}", *workload.draw()).outcome is Outcome.NOT_EXECUTED:
                time.sleep(REFUSED_PAUSE_SECONDS)

    try:
        with ThreadPoolExecutor(clients) as pool:
            for done in [pool.submit(client, number) for number in range(clients)]:
                done.result()
    finally:
        nemesis.stop()
    history.note("no further fault")
    return concluded(asking, seconds, Counter(nemesis.faults), clients=clients, settle_seconds=settle_seconds)


def concluded(
    asking: Clients, seconds: float, faults: Counter[str], *, clients: int, settle_seconds: float, all_keys: bool = True
) -> Run:
    """Settle, count what was executed, and judge. Without ``all_keys`` nobody asks again about answered keys."""
    world, history = asking.world, asking.history
    answers = settle(asking, clients, settle_seconds, all_keys=all_keys)
    history.executions = world.executions()
    findings = judge(history)
    if world.has_payments:
        findings.problems.update(lost_payments(world, answers))
    return Run(world.name, seconds, history, findings, faults)


def settle(asking: Clients, clients: int, settle_seconds: float, *, all_keys: bool) -> dict[str, str]:
    """Ask once more about every key, and go on until each has an answer, or the time is over; return all answers.

    A key's bodies are asked about in turn: only the one that it belongs to gets an answer.
    """
    bodies, answers = _known(asking.history)
    ends = time.monotonic() + settle_seconds
    left = [(key, known) for key, known in bodies.items() if all_keys or key not in answers]

    def conclude(number: int) -> None:
        for key, known in left[number::clients]:
            answer = _conclude(asking, f"settler {number}", key, list(known), ends)
            if answer is not None:
                answers[key] = answer

    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(conclude, number) for number in range(clients)]:
            done.result()
    return answers


def _known(history: History) -> tuple[dict[str, dict[str, None]], dict[str, str]]:
    """Return the bodies that each key was asked with, in order, and the last answer of each that has one."""
    bodies: dict[str, dict[str, None]] = {}
    answers: dict[str, str] = {}
    keys: dict[int, str] = {}
    for event in history.events:
        if event.type == "invoke":
            bodies.setdefault(event.key, {})[event.body] = None
            keys[event.attempt] = event.key
        elif event.outcome == Outcome.ANSWERED:
            answers[keys[event.attempt]] = event.text
    return bodies, answers


def _conclude(asking: Clients, process: str, key: str, bodies: list[str], ends: float) -> str | None:
    while True:
        for body in bodies:
            told = asking.ask(process, key, body)
            if told.outcome is Outcome.ANSWERED:
                return told.answer
            if told.outcome is not Outcome.REUSED:
                break  # it may still be this body's
        if time.monotonic() > ends:
            return None
        time.sleep(AGAIN_SECONDS)


def lost_payments(world: World, answers: dict[str, str]) -> dict[str, str]:
    """Return a problem for each acknowledged payment that can't be read."""
    problems = {}
    for key, answer in answers.items():
        location = header_of(answer, "location")
        status = read_payment(world.workers[0].url, location)
        if status != 200:
            problems[key] = f"Key {key}: {location} was acknowledged, and reading it gives {status}."
    return problems
