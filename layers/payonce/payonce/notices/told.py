"""What gateways' events have told of the end of operations, kept for gateways that can't be asked (``NoticeBook``).

An event that tells of an end is kept in one transaction with what it tells, under each name of the operation. A lookup
reads these by their keys, strongly consistent: an index could be behind the event that has caused the lookup.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from payonce.notices.kept import RETENTION_SECONDS, outcome_of, outcome_to_data
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.domain.gateway import Notice, NoticeOutcome
    from payonce.ports import Database, Write

_TOLD = "told_"  # begins the name of each attribute that holds one outcome


def told_writes(gateway: str, notice: Notice, *, now_ms: int) -> list[Write]:
    """Return the writes that keep what ``notice`` tells; none where it tells of no end.

    They belong into the transaction that keeps the notice for the first time.
    """
    outcome = notice.outcome
    if outcome is None:
        return []
    attribute = _TOLD + hashlib.sha256(notice.notice_id.encode()).hexdigest()[:16]
    told = {**outcome_to_data(outcome), "told_at_ms": now_ms}
    return [
        Adjust(
            table=Table.NOTICES,
            key={"id": _key(gateway, name)},
            set={attribute: told, "purge_at": now_ms // 1000 + RETENTION_SECONDS},
            upsert=True,
        )
        for name in dict.fromkeys((notice.gateway_reference, outcome.gateway_operation_id))
        if name is not None
    ]


class KeptNoticeBook:
    """``NoticeBook`` in the table of gateways' events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outcomes(self, gateway: str, names: Sequence[str]) -> Sequence[NoticeOutcome]:
        """See ``NoticeBook``. It costs one round trip."""
        keys = [{"id": _key(gateway, name)} for name in dict.fromkeys(names)]
        items = self._database.get_many(Table.NOTICES, keys) if keys else []
        # An outcome is kept under two names, but once for each event.
        told = {name: value for item in items for name, value in item.items() if name.startswith(_TOLD)}
        by_age = sorted(told.items(), key=lambda entry: (entry[1]["told_at_ms"], entry[0]))
        return [outcome_of(value) for _, value in by_age]


def _key(gateway: str, name: str) -> str:
    # No key of an event begins so, because no gateway is called "told".
    return f"told#{gateway}#{name}"
