"""The stored form of a gateway's event, and what has become of it.

::

    received ──▶ applied     the gateway was asked, and our payment agrees with it
       │  ▲
       │  └───── unknown     it is about nothing we know      ┐ both are listed for operators, and go on
       └───────▶ failed      it could not be applied for hours ┘ when the event comes again
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from payonce.domain.durations import DAY_SECONDS
from payonce.domain.gateway import DisputeNotice, DisputeStatus, Notice, NoticeOutcome, OperationKind
from payonce.packing import pack, unpack
from payonce.ports import Adjust, Insert, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.ports import Database, Item, Page, Write

BY_STATE_INDEX = "notices-by-state"
# Gateways repeat an event for days (Stripe: three, https://docs.stripe.com/webhooks), and a person looks within weeks.
RETENTION_SECONDS = 90 * DAY_SECONDS
_OUTCOME_FIELDS = frozenset(
    {
        "executed",
        "undone",
        "gateway_operation_id",
        "amount_minor",
        "currency",
        "code",
        "token",
        "gateway_reference",
    }
)
_HINTS = ("gateway_reference", "payment_id", "merchant_id", "gateway_charge_id", "account", "saved_method")


class NoticeState(StrEnum):
    """What has become of an event."""

    RECEIVED = "received"
    APPLIED = "applied"
    UNKNOWN = "unknown"
    FAILED = "failed"


LISTED = frozenset({NoticeState.UNKNOWN, NoticeState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptNotice:
    """An accepted event. Times are epoch milliseconds; ``ended_at_ms`` is 0 until something has become of it.

    ``reason`` says why it is unknown or has failed. ``signed_by``: the merchant whose own secret has signed it, "" for
    the platform's; it proves nothing about what is not that merchant's. The notice's ``account`` is ``None`` for the
    platform's own account. ``body``: the bytes as they came, with the gateway's other notices that came in the same
    request.
    """

    gateway: str
    notice: Notice
    state: NoticeState
    received_at_ms: int
    ended_at_ms: int = 0
    reason: str = ""
    body: bytes = b""
    signed_by: str = ""

    @property
    def notice_key(self) -> str:
        """The key under which the event is stored."""
        return key_of(self.posted_to, self.notice.notice_id)

    @property
    def posted_to(self) -> str:
        """Where the event was posted: see ``place_of``."""
        return place_of(self.gateway, self.signed_by)


def place_of(gateway: str, signed_by: str) -> str:
    """Return the name under which a gateway's events are kept: of each merchant with secrets of its own apart."""
    return f"{gateway}@{signed_by}" if signed_by else gateway


def key_of(place: str, notice_id: str) -> str:
    """Return the key of an event at ``place``, a gateway's name or what ``place_of`` returns.

    Neither a gateway's name nor a merchant's id has ``#`` or ``@``, so two places never share a key: what one merchant
    signs can't take the place of another's event.
    """
    return f"{place}#{notice_id}"


def insert_notice(gateway: str, notice: Notice, body: bytes, *, now_ms: int, signed_by: str = "") -> Write:
    """Return the write that keeps an event, on condition that it is not kept yet."""
    hints = {name: getattr(notice, name) for name in _HINTS}
    return Insert(
        Table.NOTICES,
        {
            "id": key_of(place_of(gateway, signed_by), notice.notice_id),
            "gateway": gateway,
            **({"signed_by": signed_by} if signed_by else {}),
            "notice_id": notice.notice_id,
            "type": notice.type,
            "state": NoticeState.RECEIVED.value,
            "created_at_ms": notice.created_at_ms,
            "received_at_ms": now_ms,
            "purge_at": now_ms // 1000 + RETENTION_SECONDS,
            "hints": {name: value for name, value in hints.items() if value is not None},
            **({} if notice.outcome is None else {"outcome": outcome_to_data(notice.outcome)}),
            **({} if notice.dispute is None else {"dispute": asdict(notice.dispute)}),
            "packed": pack(body),
        },
    )


def ended_notice(kept: KeptNotice, state: NoticeState, reason: str, *, now_ms: int) -> Write:
    """Return the write that says what has become of ``kept``, on condition that it is still in the state it was in."""
    listed = {"listed_as": listed_as(kept.gateway, state)} if state in LISTED else {}
    return Adjust(
        table=Table.NOTICES,
        key={"id": kept.notice_key},
        require={"state": kept.state.value},
        set={"state": state.value, "ended_at_ms": now_ms, "reason": reason, **listed},
        remove=() if listed else ("listed_as",),
    )


def listed_as(gateway: str, state: NoticeState) -> str:
    """Return the partition of the index that lists a gateway's events in this state."""
    return f"{gateway}#{state.value}"


def find_notice(database: Database, key: str) -> KeptNotice | None:
    """Return the kept event, or ``None``. The read is strongly consistent."""
    item = database.get(Table.NOTICES, {"id": key})
    return None if item is None else notice_of(item)


def listed_notices(
    database: Database, gateway: str, state: NoticeState, *, limit: int, start: Item | None = None
) -> Page:
    """Return a page of a gateway's unknown or failed events, oldest first. Eventually consistent."""
    return database.query(
        Table.NOTICES,
        index=BY_STATE_INDEX,
        partition=("listed_as", listed_as(gateway, state)),
        limit=limit,
        start=start,
    )


def notice_of(item: Item) -> KeptNotice:
    """Return the event of a stored item. The index's items have no body."""
    hints = item.get("hints", {})
    return KeptNotice(
        gateway=item["gateway"],
        notice=Notice(
            notice_id=item["notice_id"],
            type=item["type"],
            created_at_ms=item["created_at_ms"],
            **{name: hints.get(name) for name in _HINTS},
            outcome=outcome_of(item["outcome"]) if "outcome" in item else None,
            dispute=dispute_of(item["dispute"]) if "dispute" in item else None,
        ),
        state=NoticeState(item["state"]),
        received_at_ms=item["received_at_ms"],
        ended_at_ms=item.get("ended_at_ms", 0),
        reason=item.get("reason", ""),
        signed_by=item.get("signed_by", ""),
        body=unpack(item["packed"]) if "packed" in item else b"",
    )


def outcome_to_data(outcome: NoticeOutcome) -> dict[str, Any]:
    """Return the storable form."""
    return {
        "kind": outcome.kind.value,
        "executed": outcome.executed,
        "undone": outcome.undone,
        "gateway_operation_id": outcome.gateway_operation_id,
        "amount_minor": outcome.amount_minor,
        "currency": outcome.currency,
        "code": outcome.code,
        **({} if outcome.token is None else {"token": outcome.token}),
        **({} if outcome.gateway_reference is None else {"gateway_reference": outcome.gateway_reference}),
    }


def outcome_of(data: Mapping[str, Any]) -> NoticeOutcome:
    """Return the outcome of its storable form."""
    fields = {name: value for name, value in data.items() if name in _OUTCOME_FIELDS}
    return NoticeOutcome(kind=OperationKind(data["kind"]), **fields)


def dispute_of(data: Mapping[str, Any]) -> DisputeNotice:
    """Return what an event says of a dispute from its storable form, ``asdict``."""
    return DisputeNotice(**{**data, "status": DisputeStatus(data["status"])})
