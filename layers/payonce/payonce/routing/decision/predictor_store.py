"""Stores the predictor's state and lease, the control document, and a record of every decision.

::

    pk PREDICTOR              sk STATE    state, epoch, leader, leader_until_ms
    pk CONTROL                sk CONTROL  document, epoch                        (control_store)
    pk DECISION#2026112511    sk <epoch>  record, purge_at

A document is published in one transaction with the state it was made with, on condition that the stored epoch is the
one the predictor last read. Of two concurrent predictors one gets a conflict::

    A   reads epoch 7 ··· decides 8 ─ writes, epoch was 7: done
    B   reads epoch 7 ······ decides 8 ·························· writes, epoch is 8: conflict, nothing is written
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import OutcomeUnknown, WriteConflict
from payonce.ports import Adjust, Insert, Table
from payonce.routing.control.control_store import document_write
from payonce.routing.signals.packed import packed, unpacked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database, Key, Write
    from payonce.routing.control.document import ControlDocument

STATE_KEY: Key = {"pk": "PREDICTOR", "sk": "STATE"}
DECISION_PREFIX = "DECISION#"
EPOCH_DIGITS = 12
KEPT_SECONDS = 14 * 86_400  # retention of the records
MAX_RECORD_BYTES = 380_000  # compressed; DynamoDB's limit for an item is 400 KB
MAX_STATE_BYTES = 4_194_304  # decompressed; the state of a hundred routes has about 40 KB
GUARDED = ("epoch", "leader", "leader_until_ms")
RECORD_INDEX = 2  # position of the record's insert in the transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The item as read. ``state`` is ``None`` if it does not decompress; the next write is conditional on ``guard``."""

    state: bytes | None
    epoch: int
    leader: str
    leader_until_ms: int
    guard: Mapping[str, Any]


class PredictorStore:
    """Reads and writes on behalf of one predictor. ``leader`` is its name, unique per run."""

    def __init__(self, database: Database, leader: str) -> None:
        self._database = database
        self.leader = leader

    def read(self) -> Stored | None:
        """Return the item by a strongly consistent read, or ``None`` if there is none. Raises ``StoreUnavailable``."""
        item = self._database.get(Table.ROUTING, STATE_KEY)
        if item is None:
            return None
        try:
            state = unpacked(item.get("state"), MAX_STATE_BYTES)
        except ValueError:
            state = None
        leader = item.get("leader")
        return Stored(
            state=state,
            epoch=_whole(item.get("epoch")),
            leader=leader if isinstance(leader, str) else "",
            leader_until_ms=_whole(item.get("leader_until_ms")),
            guard={name: item[name] for name in GUARDED if name in item},
        )

    def publish(
        self,
        before: Stored | None,
        state: bytes,
        document: ControlDocument,
        record: Insert | None,
        leader_until_ms: int,
    ) -> Stored:
        """Write state, document and record in one transaction; return the item as it is now.

        Raises ``WriteConflict`` if another predictor has written since ``before``, ``RecordTaken`` if that epoch
        already has a record, and ``StoreUnavailable``; nothing was written then. Raises ``OutcomeUnknown`` if that
        can't be told.
        """
        held = {"epoch": document.epoch, "leader": self.leader, "leader_until_ms": leader_until_ms}
        item = {"state": packed(state), **held}
        state_write: Write = Insert(Table.ROUTING, {**STATE_KEY, **item})
        if before is not None:
            state_write = Adjust(table=Table.ROUTING, key=STATE_KEY, require=before.guard, set=item)
        try:
            self._database.write([state_write, document_write(document), *([record] if record else [])])
        except WriteConflict as conflict:
            if conflict.index == RECORD_INDEX:
                raise RecordTaken(conflict.detail, index=conflict.index, current=None) from conflict
            raise
        except OutcomeUnknown:
            known = self.read()
            if known is None or known.guard != held:
                raise
        return Stored(state=state, guard=held, **held)  # type: ignore[arg-type]

    def resign(self, held: Stored) -> None:
        """End the lease early, so that the next run need not wait for it. On a conflict another run leads already."""
        write = Adjust(table=Table.ROUTING, key=STATE_KEY, require=held.guard, set={"leader_until_ms": 0})
        with suppress(WriteConflict):
            self._database.write([write])


class RecordTaken(WriteConflict):
    """The epoch already has a record: state and document were removed by hand, and the epochs restarted."""


def decision_write(record: bytes, *, epoch: int, at_ms: int) -> Insert | None:
    """Return the write of a decision's record, or ``None`` if it is larger than an item may be."""
    data = packed(record)
    if len(data) > MAX_RECORD_BYTES:
        return None
    item = {
        "pk": decision_partition(at_ms),
        "sk": f"{epoch:0{EPOCH_DIGITS}d}",
        "record": data,
        "purge_at": at_ms // 1000 + KEPT_SECONDS,
    }
    return Insert(Table.ROUTING, item)


def decision_partition(at_ms: int) -> str:
    """Return the partition key of the decisions in the hour (UTC) of ``at_ms``."""
    return DECISION_PREFIX + time.strftime("%Y%m%dT%H", time.gmtime(at_ms // 1000))


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
