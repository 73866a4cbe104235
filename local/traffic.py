"""Steady traffic of payments at a given rate, each retried with its key until it has an answer."""

from __future__ import annotations

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    import urllib3

WARM_SECONDS = 0.3  # a faster answer came from a warm environment; a cold start takes over a second
MAX_WARM_UPS = 30
MAX_WAITING = 48  # concurrent payments; more than the local cloud serves concurrently
FINAL = {201, 202, 402}


@dataclass(frozen=True, slots=True)
class Paid:
    """One answered payment. ``asked_at`` (of the first request) and ``answered_at`` are in monotonic seconds.

    ``refusals`` counts the 429, the 5xx and the lost answers before the final one.
    """

    asked_at: float
    answered_at: float
    status: int
    payment_id: str
    gateway: str
    refusals: int

    @property
    def seconds(self) -> float:
        """Return how long the client waited in total."""
        return self.answered_at - self.asked_at


@dataclass
class Traffic:
    """A context within which payments are made. ``call`` sends one request: (method, path, body, key)."""

    call: Callable[..., urllib3.BaseHTTPResponse]
    per_second: float
    paid: list[Paid] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(MAX_WAITING)
        self._clock = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        """Pay one by one until an answer is fast, then start the steady traffic.

        Started at the full rate, every payment would wait for its own cold environment, all starting at once.
        """
        for _ in range(MAX_WARM_UPS):
            self._pay(time.monotonic())
            if self.paid and self.paid[-1].seconds < WARM_SECONDS:
                break
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._clock.join()
        self._pool.shutdown(wait=error is None, cancel_futures=True)

    def since(self, moment: float) -> list[Paid]:
        """Return the answered payments that were first requested at or after ``moment``."""
        return [paid for paid in list(self.paid) if paid.asked_at >= moment]

    def share(self, gateway: str, seconds: float) -> float:
        """Return the gateway's share (0..1) of the answered payments of the last ``seconds``."""
        recent = self.since(time.monotonic() - seconds)
        return sum(paid.gateway == gateway for paid in recent) / len(recent) if recent else 0.0

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._pool.submit(self._pay, time.monotonic())
            due += 1 / self.per_second

    def _pay(self, asked_at: float) -> None:
        key, refusals = str(uuid.uuid4()), 0
        body = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_sandbox_visa"}
        try:
            while not self._stop.is_set() or not refusals:
                answer = self._ask(body, key)
                if answer is not None and answer.status in FINAL:
                    document = answer.json()
                    payment_id = document.get("id") or answer.headers["location"].rsplit("/", 1)[1]
                    gateway = str(document.get("gateway", ""))
                    self.paid.append(Paid(asked_at, time.monotonic(), answer.status, payment_id, gateway, refusals))
                    return
                refusals += 1
                pause = float(answer.headers.get("retry-after", "1")) if answer is not None else 1.0
                self._stop.wait(min(2.0, pause))
        except BaseException as error:
            self.failures.append(error)
            raise

    def _ask(self, body: dict[str, object], key: str) -> urllib3.BaseHTTPResponse | None:
        try:
            return self.call("POST", "/payments", body, key)
        except HTTPError:
            return None  # the answer was lost: retry with the same key
