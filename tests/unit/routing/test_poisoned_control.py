"""Whatever lies in the control item, payments are routed by the static weights and nobody is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from payonce.ports import Adjust, Table
from payonce.routing.control.control_store import CONTROL_KEY, document_write
from payonce.routing.control.document import EVERYTHING, ControlDocument
from payonce.routing.control.routing_settings import Mode
from payonce.stores.memory import MemoryDatabase
from tests.support.routing_world import cache_of

NOW_MS = 1_800_000_000_000
GOOD = ControlDocument(
    mode=Mode.ON,
    epoch=7,
    issued_at_ms=NOW_MS,
    expires_at_ms=NOW_MS + 30_000,
    reason="alder is slow",
    weights={"card": {"alder": 0.1, "birch": 0.9}},
    limits={"alder": 3.0},
    admission=EVERYTHING,
)


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(GOOD.to_bytes()), **members}).encode()


def found(raw: object) -> ControlDocument | None:
    """Store a document that is right, then what is given, and look as a payment's function does."""
    database = MemoryDatabase()
    cache = cache_of(database)
    database.write([document_write(GOOD)])
    assert cache.current(NOW_MS).document == GOOD
    database.write([Adjust(table=Table.ROUTING, key=CONTROL_KEY, set={"document": raw})])
    return cache.current(NOW_MS + 2_000).document


def test_a_document_that_is_right_is_in_force() -> None:
    assert found(changed(epoch=8)) is not None


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff garbage",
        b"",
        b"null",
        "text",
        7,
        None,
        b"[" * 60_000,
        changed(weights={"card": {"alder": float("nan"), "birch": 1.0}}),
        changed(weights={"card": {"alder": float("inf"), "birch": 0.0}}),
        changed(limits={"alder": float("nan")}),
        changed(weights={"card": {"gone": 1.0}}),
        changed(weights={"card": {"alder": 0.0, "birch": 0.0}}),
        changed(reason="x" * 70_000),
        changed(expires_at_ms=NOW_MS + 10**9),
        changed(issued_at_ms=NOW_MS + 100_000, expires_at_ms=NOW_MS + 130_000),
        changed(admission={"authorization": float("nan"), "batch": 1, "merchants": {}}),
    ],
    ids=lambda raw: repr(raw)[:24],
)
def test_a_poisoned_document_is_none(raw: object) -> None:
    """Fails when any of it is believed, or the one before it stays in force."""
    assert found(raw) is None
