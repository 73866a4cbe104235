"""A database in memory whose idempotency table has a stream, as DynamoDB's ``NEW_AND_OLD_IMAGES``."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any

from payonce.ports import Insert, Item, Table
from payonce.stores.dynamodb_requests import to_attributes
from payonce.stores.memory import MemoryDatabase

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Clock, Write


def stream_image(item: Item) -> dict[str, Any]:
    """Return an item as a function is given it in a stream record: binaries are base64 text."""

    def spelled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: spelled(member) for name, member in value.items()}
        if isinstance(value, list):
            return [spelled(member) for member in value]
        return base64.b64encode(value).decode() if isinstance(value, bytes) else value

    image: dict[str, Any] = spelled(to_attributes(item))
    return image


def stream_record(
    record_id: str,
    before: Item | None,
    after: Item | None,
    *,
    at_ms: int,
    number: int,
    deleted_by: str = "",
) -> dict[str, Any]:
    """Return one stream record."""
    images = {name: stream_image(item) for name, item in (("OldImage", before), ("NewImage", after)) if item}
    identity = {"userIdentity": {"type": "Service", "principalId": deleted_by}} if deleted_by else {}
    return {
        "eventName": "INSERT" if before is None else "REMOVE" if after is None else "MODIFY",
        "dynamodb": {
            "Keys": {"id": {"S": record_id}},
            "ApproximateCreationDateTime": at_ms // 1000,
            "SequenceNumber": str(number),
            **images,
        },
        **identity,
    }


class StreamingDatabase(MemoryDatabase):
    """Keeps a stream record of every change of the idempotency table, in order."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._stream_lock = threading.Lock()
        self.stream: list[dict[str, Any]] = []

    def write(self, writes: Sequence[Write]) -> None:
        """See ``Database``."""
        with self._stream_lock:
            ids = [
                write.item["id"] if isinstance(write, Insert) else write.key["id"]
                for write in writes
                if write.table is Table.IDEMPOTENCY
            ]
            before = {record_id: self.get(Table.IDEMPOTENCY, {"id": record_id}) for record_id in ids}
            super().write(writes)
            for record_id in ids:
                self._append(record_id, before[record_id], self.get(Table.IDEMPOTENCY, {"id": record_id}))

    def expire(self, record_id: str) -> None:
        """Delete a record as DynamoDB's TTL does."""
        with self._stream_lock:
            before = self._tables[Table.IDEMPOTENCY].pop((record_id,))
            self._append(record_id, before, None, deleted_by="dynamodb.amazonaws.com")

    def _append(self, record_id: str, before: Item | None, after: Item | None, deleted_by: str = "") -> None:
        if before != after:
            self.stream.append(
                stream_record(
                    record_id,
                    before,
                    after,
                    at_ms=self._clock.now_ms(),
                    number=len(self.stream) + 1,
                    deleted_by=deleted_by,
                )
            )
