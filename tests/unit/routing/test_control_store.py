"""The control item: two writers, one read, and no trust in what lies there."""

from __future__ import annotations

from payonce.ports import Adjust, Table
from payonce.routing.control.control_store import CONTROL_KEY, Control, ControlStore, document_write, override_write
from payonce.routing.control.document import EVERYTHING, ControlDocument
from payonce.routing.control.routing_settings import Mode
from payonce.stores.memory import MemoryDatabase

DOCUMENT = ControlDocument(
    mode=Mode.ON,
    epoch=7,
    issued_at_ms=1,
    expires_at_ms=2,
    reason="nothing unusual",
    weights={},
    limits={},
    admission=EVERYTHING,
)


def test_nothing_stored_is_an_empty_control() -> None:
    assert ControlStore(MemoryDatabase()).read() == Control()


def test_each_writer_changes_its_own_part_alone() -> None:
    """Fails when either write puts the whole item: the other's part is gone."""
    database = MemoryDatabase()
    store = ControlStore(database)
    database.write([override_write(b"{}", 3)])
    database.write([document_write(DOCUMENT)])
    expected = Control(document=DOCUMENT.to_bytes(), epoch=7, override=b"{}", override_version=3)
    assert store.read() == expected
    database.write([override_write(b"{ }", 4)])
    assert store.read() == Control(document=DOCUMENT.to_bytes(), epoch=7, override=b"{ }", override_version=4)


def test_what_is_not_of_its_kind_counts_as_missing() -> None:
    """Fails when the stored values are taken as they are: a payment would then meet a text where bytes are read."""
    database = MemoryDatabase()
    wrong = {"document": "text", "epoch": "7", "override": 3, "override_version": True}
    database.write([Adjust(table=Table.ROUTING, key=CONTROL_KEY, set=wrong, upsert=True)])
    assert ControlStore(database).read() == Control()
