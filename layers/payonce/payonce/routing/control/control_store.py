"""Stores the control document and the operator's override in one item, so that a request reads both at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from payonce.ports import Database, Key, Write
    from payonce.routing.control.document import ControlDocument

CONTROL_KEY: Key = {"pk": "CONTROL", "sk": "CONTROL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The stored item: document and override as bytes (``None`` if missing), and the last version number of each."""

    document: bytes | None = None
    epoch: int = 0
    override: bytes | None = None
    override_version: int = 0


class ControlStore:
    """Reads the control item. The document and the override each have their own writer, which changes nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> Control:
        """Return the item by one strongly consistent read. Raises ``StoreUnavailable``.

        An attribute of the wrong type counts as missing, so that an edit by hand breaks no reader.
        """
        item = self._database.get(Table.ROUTING, CONTROL_KEY) or {}
        document, override = item.get("document"), item.get("override")
        return Control(
            document=document if isinstance(document, bytes) else None,
            epoch=_whole(item.get("epoch")),
            override=override if isinstance(override, bytes) else None,
            override_version=_whole(item.get("override_version")),
        )


def document_write(document: ControlDocument) -> Write:
    """Return the write that puts a document in force.

    It is unconditional: it belongs in the transaction that moves the predictor's state to the same epoch, and that
    write is conditional on the previous epoch.
    """
    return _changed(document=document.to_bytes(), epoch=document.epoch)


def override_write(override: bytes, version: int) -> Write:
    """Return the write that puts an override in force, for a transaction with the insert of its audit trail entry.

    The entry's key is ``version``, so that of two concurrent operators one gets a conflict.
    """
    return _changed(override=override, override_version=version)


def _changed(**attributes: bytes | int) -> Write:
    return Adjust(table=Table.ROUTING, key=CONTROL_KEY, set=attributes, upsert=True)


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
