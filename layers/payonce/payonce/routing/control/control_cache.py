"""Document and override as a request finds them: one read now and then feeds both, and no read holds a payment up.

::

    request   due ─▶ begin ─ wait, at most the budget ─▶ goes on ······ next request ─▶ takes what came late
    thread            └ read ────────────────────────────────────▶ left for whoever looks next

An execution may be frozen in the middle of a read and go on minutes later. What the read then brings is as old as it
says: a document by its expiry, an override by its own. Nothing is taken for fresh because it has just arrived.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from payonce.routing.control.document import parse_document
from payonce.routing.control.override import parse_override

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.routing.control.control_store import Control
    from payonce.routing.control.document import ControlDocument
    from payonce.routing.control.override import Override

# A read by key takes some 5 ms, with a new TLS connection some 60. What has not come by then is left to the next
# request: 150 ms once a second is the most that a failing store may cost, and far below what a gateway takes.
READ_BUDGET_SECONDS = 0.15
REFRESH_MS = 1000  # the reflex loop's own step: older data would add to its delay
JITTER = 0.5  # of that, up and down: environments started together must not read together


class Reader(Protocol):
    """Reads the control item, at most once at a time. Never raises."""

    def begin(self) -> bool:
        """Begin a read, and return soon, whether or not it is over. False when an earlier one is still under way."""
        ...

    def take(self) -> Control | None:
        """Return what a read has brought since the last time, if one has."""
        ...


class BackgroundReader:
    """Reads in a thread of its own, and waits for it no longer than the budget. There is never more than one.

    ``report`` gets what a read raised; a store that fails leaves what is held until its expiry.
    """

    def __init__(
        self,
        read: Callable[[], Control],
        report: Callable[[Exception], None],
        *,
        budget_seconds: float = READ_BUDGET_SECONDS,
    ) -> None:
        self._read = read
        self._report = report
        self._budget_seconds = budget_seconds
        self._under_way = threading.Lock()  # taken by whoever begins, given back by the thread
        self._came: Control | None = None

    def begin(self) -> bool:
        """See ``Reader``."""
        if not self._under_way.acquire(blocking=False):
            return False
        over = threading.Event()
        try:
            threading.Thread(target=self._run, args=(over,), name="payonce-control", daemon=True).start()
        except RuntimeError as error:  # no thread to be had: the next refresh tries again
            self._under_way.release()
            self._report(error)
            return True
        over.wait(self._budget_seconds)
        return True

    def take(self) -> Control | None:
        """See ``Reader``."""
        came = self._came
        if came is not None:
            self._came = None
        return came

    def _run(self, over: threading.Event) -> None:
        try:
            self._came = self._read()
        except Exception as error:  # whatever is wrong with the store, a payment does not depend on it
            self._report(error)
        finally:
            self._under_way.release()
            over.set()


@dataclass(frozen=True, slots=True)
class Held:
    """What counts at one moment: a fresh document and an override in force, or ``None``."""

    document: ControlDocument | None = None
    override: Override | None = None


NOTHING = Held()


class ControlCache:
    """Gives what is in force. ``report`` gets the error of what can't be read; ``draw`` random numbers in [0, 1).

    An override that is held stands until its end though the store fails: what it names, an operator ordered, while
    neutral weights might send payments to the gateway that it keeps them from.
    """

    def __init__(
        self,
        reader: Reader,
        gateways: frozenset[str],
        *,
        draw: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._reader = reader
        self._gateways = gateways
        self._draw = draw
        self._report = report
        self._raw_document: bytes | None = None
        self._raw_override: bytes | None = None
        self._document: ControlDocument | None = None
        self._override: Override | None = None
        self._refresh_at_ms = 0

    def current(self, now_ms: int) -> Held:
        """Return what to act on at ``now_ms``. Never raises, and at most one read begins per ``REFRESH_MS``."""
        due = not now_ms < self._refresh_at_ms <= now_ms + 2 * REFRESH_MS  # also when the clock was set back
        # A read that was left over, perhaps by a freeze, is not waited for: it stays due until a new one can begin.
        if due and self._reader.begin():
            self._refresh_at_ms = now_ms + int(REFRESH_MS * (1 + JITTER * (2 * self._draw() - 1)))
        came = self._reader.take()
        if came is not None:
            self._hold(came)
        document, override = self._document, self._override
        if document is None and override is None:
            return NOTHING
        return Held(
            document if document is not None and document.is_fresh(now_ms) else None,
            override if override is not None and override.is_in_force(now_ms) else None,
        )

    def _hold(self, came: Control) -> None:
        if came.document != self._raw_document:
            self._raw_document = came.document
            self._document = self._parsed(parse_document, came.document)
        if came.override != self._raw_override:
            self._raw_override = came.override
            self._override = self._parsed(parse_override, came.override)

    def _parsed[T](self, parse: Callable[[bytes, frozenset[str]], T], raw: bytes | None) -> T | None:
        try:
            return None if raw is None else parse(raw, self._gateways)
        except Exception as error:  # whatever somebody has put there, a payment goes on without it
            self._report(error)
            return None
