"""Where the control document and the operator's override are kept: one item, so that a payment's look is one read."""

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
    """What is stored: both documents as bytes (``None``: there is none), and the number of each one's last version."""

    document: bytes | None = None
    epoch: int = 0
    override: bytes | None = None
    override_version: int = 0


class ControlStore:
    """Reads the item. Both parts have a writer of their own, which changes its part alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> Control:
        """Return what is stored: one strongly consistent read. Raises ``StoreUnavailable``.

        A part that is not of its kind counts as missing: nobody may fail over what somebody wrote there by hand.
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

    It has no condition of its own: it belongs into the transaction in which the predictor's state moves to the same
    epoch, and that is conditional on the epoch before.
    """
    return Adjust(
        table=Table.ROUTING,
        key=CONTROL_KEY,
        set={"document": document.to_bytes(), "epoch": document.epoch},
        upsert=True,
    )


def override_write(override: bytes, version: int) -> Write:
    """Return the write that puts an override in force; joined by the insert of its entry in the audit trail.

    That entry is numbered by ``version``, so of two operators at the same time one meets the other's.
    """
    return Adjust(
        table=Table.ROUTING,
        key=CONTROL_KEY,
        set={"override": override, "override_version": version},
        upsert=True,
    )


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
