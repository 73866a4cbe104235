"""The events of payments for the predictor (claimed, ended, refused), and their compact batch format.

::

    {"v": 1, "at": 1795526278000, "names": ["alder", "card", "mer_7", "authorization", "approved"],
     "events": [[0, 524, "p8eYk3bQ", 0, 1, 2, 3], [1, 911, "p8eYk3bQ", 0, 1, 387, 4]]}

Times are offsets from ``at``, and names are indexes into ``names``, so that a repeated name is stored once.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from hashlib import blake2s
from typing import TYPE_CHECKING, Any

from payonce.domain.gateway import PaymentMethodType
from payonce.routing.control.admission import Priority
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.observation import SEPARATOR, Cell
from payonce.routing.signals.packed import packed, unpacked
from payonce.routing.signals.sketch import MAX_LATENCY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

VERSION = 1
ATTEMPT_ID_BYTES = 6  # among 100,000 attempts in a minute, two collide once in 50,000 such minutes
MAX_NAME = 128  # characters of a gateway, a method or a merchant's id
MAX_BATCH_BYTES = 8_388_608  # decompressed; about ten times a full batch of the stream
MAX_SPAN_MS = 86_400_000  # between the first and the last event of a batch: a stream retains a day


@dataclass(frozen=True, slots=True)
class Claimed:
    """A payment was claimed for a route. ``at_ms`` is the store's time (see ``store_time_ms``)."""

    at_ms: int
    attempt_id: str
    cell: Cell
    merchant_id: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt ended, after ``latency_ms`` by the clock of the function that made the attempt."""

    at_ms: int
    attempt_id: str
    cell: Cell
    latency_ms: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Refused:
    """A request was answered 429 before any claim. ``at_ms`` is by a function's clock: the store did not see it."""

    at_ms: int
    cell: Cell
    merchant_id: str
    priority: Priority


type SignalEvent = Claimed | Ended | Refused


def attempt_id(claim_id: str) -> str:
    """Return a short hash of the claim's id, shared by its events; the full id would be most of a batch's bytes."""
    digest = blake2s(claim_id.encode(), digest_size=ATTEMPT_ID_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()


def store_time_ms(stamp_ms: int, store_second: int) -> int:
    """Return a function's millisecond stamp clamped into the store's second.

    The store tells the second of a write, and functions the millisecond by their own clocks. So a clock that is 30 s
    wrong costs only the precision of milliseconds.
    """
    return min(max(stamp_ms, store_second * 1000), store_second * 1000 + 999)


def pack_events(events: Sequence[SignalEvent]) -> bytes:
    """Return one or more events in their stored form."""
    base_ms = min(event.at_ms for event in events)
    names: dict[str, int] = {}

    def position(name: str) -> int:
        return names.setdefault(name, len(names))

    rows = [_row(event, event.at_ms - base_ms, position) for event in events]
    text = {"at": base_ms, "events": rows, "names": list(names), "v": VERSION}
    return packed(json.dumps(text, separators=(",", ":")).encode())


def _row(event: SignalEvent, offset_ms: int, position: Callable[[str], int]) -> list[Any]:
    cell = [position(event.cell.gateway), position(event.cell.method)]
    if isinstance(event, Ended):
        return [1, offset_ms, event.attempt_id, *cell, event.latency_ms, position(event.outcome)]
    asked = [position(event.merchant_id), position(event.priority)]
    if isinstance(event, Claimed):
        return [0, offset_ms, event.attempt_id, *cell, *asked]
    return [2, offset_ms, *cell, *asked]


def unpack_events(stored: object) -> list[SignalEvent]:
    """Return the events of a stored batch, the inverse of ``pack_events``. Raises ``ValueError`` if it is malformed."""
    try:
        text = json.loads(unpacked(stored, MAX_BATCH_BYTES))
        if text["v"] != VERSION:
            raise ValueError("signals of another version")
        base_ms, names = _whole(text["at"], 2**53), [_name(name) for name in text["names"]]
        return [_event(row, base_ms, names) for row in text["events"]]
    except (KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError("not a batch of signals") from error


def _event(row: list[Any], base_ms: int, names: list[str]) -> SignalEvent:
    def name(position: object) -> str:
        return names[_whole(position, 2**31)]

    kind, offset_ms, *attempt, gateway, method, third, fourth = row
    at_ms, cell = base_ms + _whole(offset_ms, MAX_SPAN_MS), cell_of(name(gateway), name(method))
    match kind, attempt:
        case 0, [identity]:
            return Claimed(at_ms, _name(identity), cell, name(third), Priority(name(fourth)))
        case 1, [identity]:
            return Ended(at_ms, _name(identity), cell, _whole(third, MAX_LATENCY_MS), Outcome(name(fourth)))
        case 2, []:
            return Refused(at_ms, cell, name(third), Priority(name(fourth)))
    raise ValueError("an event of no known kind")


def cell_of(gateway: str, method: str) -> Cell:
    """Return the route. Raises ``ValueError`` for an unknown method, or a gateway's name that a key can't hold."""
    if SEPARATOR in gateway:
        raise ValueError(f"a gateway's name has no {SEPARATOR!r}")
    return Cell(_name(gateway), PaymentMethodType(method).value)


def _name(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        raise ValueError("not a name")
    return value


def _whole(value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError("not a whole number in its bounds")
    return value
