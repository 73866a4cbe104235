"""The trail of a correction: refused attempts and restarts by people, which the correction's log does not hold.

It is an item of its own, because a refused attempt must not change the correction's revision.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from payonce.domain.errors import WriteConflict
from payonce.outbox import partition_of
from payonce.ports import Adjust, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from payonce.corrections.record import Identity
    from payonce.ports import Database, Key, Write

MAX_ENTRIES = 500  # about 100 KB; later entries are only counted, and are in the audit trail
MAX_TEXT_CHARACTERS = 200
ATTEMPTS = 3
ENTRY_PREFIX = "at_"
_COUNT = "entry_count"


def trail_key(identity: Identity) -> Key:
    """Return the key of a correction's trail."""
    return {"pk": partition_of(identity.merchant_id, identity.payment_id), "sk": f"TRAIL#{identity.break_id}"}


def note(
    database: Database, identity: Identity, entry: Mapping[str, Any], beside: Callable[[int], Sequence[Write]]
) -> None:
    """Add an entry with ``what`` (the command), ``by``, ``at_ms``, ``text`` (the result) and ``refused``.

    ``beside`` returns further writes for the same transaction, given the entry's number. Raises ``StoreUnavailable``,
    and ``WriteConflict`` after ``ATTEMPTS`` conflicts with concurrent entries.
    """
    for attempt in range(ATTEMPTS):
        try:
            return _note_once(database, trail_key(identity), entry, beside)
        except WriteConflict:
            if attempt == ATTEMPTS - 1:
                raise


def _note_once(
    database: Database, key: Key, entry: Mapping[str, Any], beside: Callable[[int], Sequence[Write]]
) -> None:
    stored = database.get(Table.PAYMENTS, key)
    number = 0 if stored is None else int(stored[_COUNT])
    kept = {**entry, "text": str(entry["text"])[:MAX_TEXT_CHARACTERS]}
    # Two concurrent entries may get the same number, so the name has a digest as well.
    digest = hashlib.sha256(f"{entry['what']}|{entry['by']}|{number}".encode()).hexdigest()[:8]
    name = f"{ENTRY_PREFIX}{entry['at_ms']:013d}_{number:06d}_{digest}"
    values = {} if number >= MAX_ENTRIES else {name: kept}
    added = Adjust(table=Table.PAYMENTS, key=key, add={_COUNT: 1}, set=values, upsert=True)
    database.write([added, *beside(number)])


def trail_of(database: Database, identity: Identity) -> list[dict[str, Any]]:
    """Return the entries, oldest first."""
    stored = database.get(Table.PAYMENTS, trail_key(identity)) or {}
    return [dict(stored[name]) for name in sorted(stored) if name.startswith(ENTRY_PREFIX)]
