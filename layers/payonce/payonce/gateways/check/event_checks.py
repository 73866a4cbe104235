"""Checks of the reader of a vendor's events: it takes what is genuine, and refuses all else in one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payonce.domain.errors import NoticeRefused
from payonce.gateways.check.verdicts import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from payonce.domain.gateway import Instruction, Notice
    from payonce.gateways.check.stage import Stage
    from payonce.gateways.check.vendor import SignedEvent
    from payonce.ports import NoticeReader

PLACES = 16  # of the body at which a bit is turned
NONSENSE = (b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"a":' * 5_000, b"{" * 100_000, b'{"id": 1}', b"id=")


def _event(stage: Stage) -> tuple[NoticeReader, SignedEvent, Instruction, str]:
    reader = stage.vendor.notice_reader()
    instruction = stage.payment()
    charge_id = stage.succeed(instruction).gateway_charge_id
    return reader, stage.vendor.event_about(instruction, charge_id), instruction, charge_id


def _read(reader: NoticeReader, body: bytes, headers: Mapping[str, str], now_ms: int) -> Sequence[Notice] | None:
    """Return the notices, or ``None`` where the reader refuses them. Any other exception is the reader's defect."""
    try:
        return list(reader.read(body, headers, now_ms=now_ms))
    except NoticeRefused:
        return None


def _genuine(stage: Stage) -> None:
    reader, event, instruction, charge_id = _event(stage)
    notices = _attempt(stage, reader, event.body, event.headers)
    if not notices:
        stage.expect(False, "a genuine event was refused" if notices is None else "a genuine event has no notice")
        return
    about = [
        one
        for one in notices
        if charge_id == one.gateway_charge_id
        or instruction.gateway_reference == one.gateway_reference
        or instruction.payment_id == one.payment_id
    ]
    stage.expect(bool(about), "no notice names the charge, the reference or the payment that the event is about")
    stage.expect(
        all(one.gateway_reference in {None, instruction.gateway_reference} for one in about),
        "the notice names a reference that is not the payment's",
    )
    again = _attempt(stage, reader, event.body, event.headers)
    stage.expect(again == notices, "the same event read twice gave two different notices")


def _attempt(
    stage: Stage, reader: NoticeReader, body: bytes, headers: Mapping[str, str], later_seconds: int = 0
) -> Sequence[Notice] | None:
    try:
        return _read(reader, body, headers, stage.clock.now_ms() + later_seconds * 1000)
    except Exception as error:
        stage.expect(False, f"read raised {type(error).__name__} where it refuses with NoticeRefused alone")
        raise AssertionError from error


def _need_signature(stage: Stage) -> tuple[NoticeReader, SignedEvent]:
    reader, event, _, _ = _event(stage)
    stage.need(event.signed, "the vendor does not sign its events")
    return reader, event


def _forged(stage: Stage) -> None:
    reader, event = _need_signature(stage)
    other = stage.vendor.notice_reader(trusted=False)
    refused = _attempt(stage, other, event.body, event.headers) is None
    stage.expect(refused, "an event that is signed with another secret was taken")
    if not event.signs_bytes:
        return  # the signature is in the body
    stage.expect(_attempt(stage, reader, event.body, {}) is None, "an event without headers was taken")
    for name in event.headers:
        bare = {key: value for key, value in event.headers.items() if key != name}
        emptied = {**event.headers, name: ""}
        if _attempt(stage, reader, event.body, bare) is None:
            stage.expect(_attempt(stage, reader, event.body, emptied) is None, f"an empty {name} was taken")


def _changed(stage: Stage) -> None:
    reader, event = _need_signature(stage)
    stage.need(event.signs_bytes, "the vendor's signatures do not cover the bytes")
    step = max(1, len(event.body) // PLACES)
    for place in range(0, len(event.body), step):
        changed = bytearray(event.body)
        changed[place] ^= 1
        stage.expect(
            _attempt(stage, reader, bytes(changed), event.headers) is None, f"a body changed at byte {place} was taken"
        )
    for body in (event.body + b" ", event.body[:-1], event.body * 2):
        stage.expect(_attempt(stage, reader, body, event.headers) is None, "a body of another length was taken")


def _stale(stage: Stage) -> None:
    reader, event = _need_signature(stage)
    after = event.stale_after_seconds
    stage.need(after is not None, "the vendor's signatures have no time")
    for seconds in (2 * (after or 0) + 1, -2 * (after or 0) - 1):
        taken = _attempt(stage, reader, event.body, event.headers, seconds)
        stage.expect(taken is None, f"an event that is {seconds} s old was taken")


def _nonsense(stage: Stage) -> None:
    reader, event, _, _ = _event(stage)
    for body in NONSENSE:
        for headers in ({}, event.headers, dict.fromkeys(event.headers, "é")):
            taken = _attempt(stage, reader, body, headers)
            stage.expect(not taken, f"a body of {len(body)} bytes that is no event of the vendor's was taken")


_EVENTS = "events"
CHECKS = (
    Check(
        "events.genuine",
        "P4",
        "A genuine event names the payment it is about, and is the same notice whenever it comes again.",
        _EVENTS,
        _genuine,
    ),
    Check(
        "events.forged", "P8", "An event with another secret's signature, or without one, is refused.", _EVENTS, _forged
    ),
    Check(
        "events.changed",
        "P8",
        "An event of which a single bit was changed is refused.",
        _EVENTS,
        _changed,
    ),
    Check(
        "events.stale", "P8", "An event whose signature is too old, or from the future, is refused.", _EVENTS, _stale
    ),
    Check(
        "events.nonsense",
        "P8",
        "Whatever the body is, the reader raises nothing but NoticeRefused.",
        _EVENTS,
        _nonsense,
    ),
)
