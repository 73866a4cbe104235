"""The asker: settles the claims that a message names, all at the same time, and reports what came of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from payonce.domain.errors import PayonceError
from payonce.each import InThreads
from payonce.recovery.lanes import Asked
from payonce.recovery.messages import CLAIMS_PER_MESSAGE, AskMessage, parse_ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from payonce.ports import Clock, Deadline
    from payonce.recovery.book import Book

# The default of ``Asker``.
all_in_threads = InThreads(CLAIMS_PER_MESSAGE)


@dataclass(slots=True)
class Tally:
    """Counts requests by the lane that was asked, and those that it left unanswered. Thread-safe."""

    requests: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def count(self, lane: str, *, answered: bool) -> None:
        """Count one request."""
        with self._lock:
            self.requests[lane] += 1
            self.unanswered[lane] += not answered


class Recover(Protocol):
    """Settles one open claim: returns whether it is concluded, ``None`` if that is not its business."""

    def __call__(self, open_id: str, deadline: Deadline, message: AskMessage, tally: Tally) -> bool | None:
        """See the class. Requests at lanes are counted in ``tally``."""
        ...


@dataclass(slots=True)
class AskReport:
    """Counts of one message: claims that were concluded, that stay open (or were left alone), that failed."""

    concluded: int = 0
    still_open: int = 0
    failed: int = 0


class Asker:
    """Handles messages. ``recoveries`` are tried in turn, until one feels responsible.

    ``each`` runs a function for every claim and returns the results; by default in as many threads.
    """

    def __init__(
        self,
        *,
        recoveries: Sequence[Recover],
        book: Book,
        clock: Clock,
        timeout_per_claim_ms: int,
        report_error: Callable[[str, Exception], None],
        each: Callable[[Callable[[str], bool | None], Sequence[str]], list[bool | None]] = all_in_threads,
    ) -> None:
        self._recoveries = recoveries
        self._book = book
        self._clock = clock
        self._timeout_per_claim_ms = timeout_per_claim_ms
        self._report_error = report_error
        self._each = each

    def handle(self, body: str, deadline: Deadline) -> AskReport:
        """Settle what the message names. Raises ``BodyMalformed``; whatever else happens, the feeder asks again."""
        message, tally = parse_ask(body), Tally()
        failed: list[str] = []

        def settle(open_id: str) -> bool | None:
            try:
                return self._settle(open_id, deadline, message, tally)
            except Exception as error:
                # One claim that fails must not cost the others their turn.
                failed.append(open_id)
                self._report_error(open_id, error)
                return None

        settled = self._each(settle, message.claims)
        concluded = settled.count(True)
        self._report(message, tally, concluded)
        return AskReport(concluded, len(settled) - concluded - len(failed), len(failed))

    def _settle(self, open_id: str, deadline: Deadline, message: AskMessage, tally: Tally) -> bool | None:
        own = deadline.earlier(self._clock.now_ms() + self._timeout_per_claim_ms)
        for recover in self._recoveries:
            concluded = recover(open_id, own, message, tally)
            if concluded is not None:
                return concluded
        return None

    def _report(self, message: AskMessage, tally: Tally, concluded: int) -> None:
        lane, turns = message.lane, len(message.claims)
        reports = {
            name: Asked(requests=requests, unanswered=tally.unanswered[name])
            for name, requests in tally.requests.items()
        }
        own = reports.get(lane)
        if own is None:  # its claims do not say whom they ask: what they asked is counted there, and here, too
            own = Asked(requests=sum(tally.requests.values()))
        reports[lane] = Asked(turns, own.requests, own.unanswered, concluded)
        for name, new in reports.items():
            try:
                self._book.add(name, new)
            except PayonceError as error:
                self._report_error(f"lane {name}", error)
