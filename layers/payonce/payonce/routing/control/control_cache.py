"""Caches the control document and the override for requests: one periodic read feeds both and never blocks a payment.

::

    request   due ─▶ begin ─ wait, at most the budget ─▶ goes on ······ next request ─▶ takes the late result
    thread            └ read ────────────────────────────────────▶ result kept for the next request

An execution environment may be frozen in the middle of a read and continue minutes later. Freshness is therefore
judged by the expiry that document and override carry, never by the time at which they arrived.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from payonce.routing.control.control_store import Control
from payonce.routing.control.document import parse_document
from payonce.routing.control.override import parse_override

if TYPE_CHECKING:
    from collections.abc import Callable

    from payonce.routing.control.document import ControlDocument
    from payonce.routing.control.override import Override

# A read by key takes about 5 ms, with a new TLS connection about 60. A later result is left to the next request: a
# failing store may cost 150 ms once a second at most, far less than a gateway's own latency.
READ_BUDGET_SECONDS = 0.15
REFRESH_MS = 1000  # the predictor's step; reading less often would add to its delay
JITTER = 0.5  # share of REFRESH_MS, either way, so that environments started together do not read together


class Reader(Protocol):
    """Reads the control item, one read at a time. Its methods never raise."""

    def begin(self) -> bool:
        """Begin a read and return soon, finished or not. Return False while an earlier read is still running."""
        ...

    def take(self) -> Control | None:
        """Return the result of a read that finished since the last call, or ``None``."""
        ...


class BackgroundReader:
    """Reads in a background thread, of which there is never more than one, and waits no longer than the budget.

    ``report`` is given the exception of a failed read; what the cache holds then stays valid until its own expiry.
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
        self._under_way = threading.Lock()  # acquired by ``begin``, released by the thread
        self._came: Control | None = None

    def begin(self) -> bool:
        """See ``Reader``."""
        if not self._under_way.acquire(blocking=False):
            return False
        over = threading.Event()
        try:
            threading.Thread(target=self._run, args=(over,), name="payonce-control", daemon=True).start()
        except RuntimeError as error:  # no thread can be started: the next refresh tries again
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
        except Exception as error:  # no payment depends on the store
            self._report(error)
        finally:
            self._under_way.release()
            over.set()


@dataclass(frozen=True, slots=True)
class Held:
    """What is in force at one moment: a fresh document and an unexpired override, each ``None`` if there is none."""

    document: ControlDocument | None = None
    override: Override | None = None


class ControlCache:
    """Returns what is in force. ``report`` is given parse errors; ``draw`` returns random numbers in [0, 1).

    A cached override stays in force until its end even while the store fails: an operator ordered it, and neutral
    weights might send payments to the very gateway that it drains.
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
        self._control = Control()  # what was read last, and is parsed below
        self._document: ControlDocument | None = None
        self._override: Override | None = None
        self._refresh_at_ms = 0

    def current(self, now_ms: int) -> Held:
        """Return what is in force at ``now_ms``. Never raises; begins about one read per ``REFRESH_MS``."""
        due = not now_ms < self._refresh_at_ms <= now_ms + 2 * REFRESH_MS  # true, too, after the clock was set back
        # An unfinished read, perhaps from before a freeze, is not waited for: the refresh stays due until one begins.
        if due and self._reader.begin():
            self._refresh_at_ms = now_ms + int(REFRESH_MS * (1 + JITTER * (2 * self._draw() - 1)))
        came = self._reader.take()
        if came is not None:
            self._hold(came)
        document, override = self._document, self._override
        return Held(
            document if document is not None and document.is_fresh(now_ms) else None,
            override if override is not None and override.is_in_force(now_ms) else None,
        )

    def _hold(self, came: Control) -> None:
        before, self._control = self._control, came
        if came.document != before.document:
            self._document = self._parsed(parse_document, came.document)
        if came.override != before.override:
            self._override = self._parsed(parse_override, came.override)

    def _parsed[T](self, parse: Callable[[bytes, frozenset[str]], T], raw: bytes | None) -> T | None:
        try:
            return None if raw is None else parse(raw, self._gateways)
        except Exception as error:  # no payment fails over a malformed item
            self._report(error)
            return None
