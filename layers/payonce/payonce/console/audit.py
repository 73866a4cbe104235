"""Who did what at the console: each sign-in, refusal and action, in the audit trail and in a list to read.

The audit trail lists by merchant and month, where a merchant's payments outnumber what people do by far. So each act is
written a second and a third time, in the same transaction: to the list of all acts and to that of its merchant's. Items
of a list are only ever added, and TTL ends their retention with the trail's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.idempotency.audit import MAX_NOTE_CHARACTERS, act_entry
from payonce.paging import make_cursor, read_cursor
from payonce.ports import Insert, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.idempotency.audit_items import DatabaseAuditTrail
    from payonce.ports import Clock, Database, IdSource, Item, Write

PLATFORM_SCOPE = "console"  # of acts that are about no merchant, such as signing in
EVERYBODYS = "ACTS#all"
NOBODY = "operator:-"  # who tried a key that nobody has
PAGE_SIZE = 50
MAX_PATH_CHARACTERS = 300  # it is part of a key of the trail


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person did, or tried to. ``on`` is the path, ``result`` a sentence, the time in epoch milliseconds."""

    at_ms: int
    principal: str
    operation: str
    on: str
    merchant_id: str
    result: str
    refused: bool


@dataclass(frozen=True, slots=True)
class ActPage:
    """A page of acts, newest first. ``next_cursor`` is "" on the last page."""

    acts: Sequence[Act]
    next_cursor: str


class Acts:
    """Writes and lists acts."""

    def __init__(
        self,
        *,
        database: Database,
        trail: DatabaseAuditTrail,
        clock: Clock,
        ids: IdSource,
        retention_seconds: int,
    ) -> None:
        self._database = database
        self._trail = trail
        self._clock = clock
        self._ids = ids
        self._retention_seconds = retention_seconds

    def note(
        self, *, principal: str, operation: str, on: str, merchant_id: str | None, result: str, refused: bool = False
    ) -> None:
        """Write the act in one transaction. Raises ``StoreUnavailable`` and ``OutcomeUnknown``."""
        self._database.write(
            self.writes(
                principal=principal,
                operation=operation,
                on=on,
                merchant_id=merchant_id,
                result=result,
                refused=refused,
            )
        )

    def writes(
        self, *, principal: str, operation: str, on: str, merchant_id: str | None, result: str, refused: bool = False
    ) -> list[Write]:
        """Return the writes of an act, for the transaction that makes it."""
        on = on[:MAX_PATH_CHARACTERS]
        at_ms, act_id = self._clock.now_ms(), self._ids.new("act")
        entry = act_entry(
            scope=merchant_id or PLATFORM_SCOPE,
            operation=f"console {operation}",
            resource=on,
            principal=principal,
            at_ms=at_ms,
            act_id=act_id,
            reason=result,
            refused=refused,
        )
        listed = {
            "sk": f"{at_ms:013d}#{act_id}",
            "at_ms": at_ms,
            "principal": principal,
            "operation": operation,
            "on": on,
            "merchant_id": merchant_id or "",
            "result": result[:MAX_NOTE_CHARACTERS],
            "refused": refused,
            "purge_at": at_ms // 1000 + self._retention_seconds,
        }
        lists = [EVERYBODYS, *([_of_merchant(merchant_id)] if merchant_id else [])]
        return [self._trail.write_of(entry), *(Insert(Table.CONSOLE, {"pk": name, **listed}) for name in lists)]

    def page(self, merchant_id: str | None, cursor: str = "") -> ActPage:
        """Return up to 50 acts, newest first: those about one merchant, or all. One round trip.

        Raises ``BodyMalformed`` for a cursor of another list.
        """
        name = _of_merchant(merchant_id) if merchant_id else EVERYBODYS
        listing = ("console", "acts", name)
        start: Item | None = {"pk": name, "sk": read_cursor(cursor, listing)} if cursor else None
        found = self._database.query(
            Table.CONSOLE, partition=("pk", name), descending=True, limit=PAGE_SIZE, start=start
        )
        last = found.next_key
        return ActPage([_act_from(item) for item in found.items], make_cursor(str(last["sk"]), listing) if last else "")


def _of_merchant(merchant_id: str) -> str:
    return f"ACTS#{merchant_id}"


def _act_from(item: Item) -> Act:
    return Act(
        at_ms=item["at_ms"],
        principal=item["principal"],
        operation=item["operation"],
        on=item["on"],
        merchant_id=item["merchant_id"],
        result=item["result"],
        refused=item["refused"],
    )
