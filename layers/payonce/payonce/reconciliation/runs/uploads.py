"""The register of files that people have uploaded, from the first look to the run that accepts them.

::

    UPLOADS          time#<SHA-256>   that the file was uploaded, newest last
    UPLOAD#<SHA-256> UPLOAD           its state; that it was accepted is told by the register of files (runs.files)
    REFUSED          time#<name>      a file that was refused on its way in, and why
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from payonce.domain.errors import NotFound, WriteConflict
from payonce.outbox import created_key
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.runs.files import file_from, file_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payonce.ports import Database, Item, Key, Write
    from payonce.reconciliation.runs.files import KnownFile

UPLOADS_PARTITION: Final = "UPLOADS"
REFUSED_PARTITION: Final = "REFUSED"
MAX_REASON_CHARACTERS: Final = 1_000


class UploadState(StrEnum):
    """What a person has done with a file so far."""

    READABLE = "readable"
    """It was looked at, nothing is wrong with it, and somebody has to hand it in."""
    WRONG = "wrong"
    """It was looked at, and can't be accepted."""
    HANDED_IN = "handed_in"
    """It lies where files arrive; the next run accepts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An uploaded file. ``file_id`` is the SHA-256 of its bytes; ``name`` is what the sender calls it.

    ``is_bank`` is ``None`` for a file of no known format. ``placed_as`` is its name among the arriving files, once it
    was handed in, and ``gateway`` the gateway whose report it is. ``uploaded_by`` and ``handed_in_by`` are principals.
    """

    file_id: str
    name: str
    state: UploadState
    size_bytes: int
    line_count: int
    wrong_count: int
    uploaded_by: str
    uploaded_at_ms: int
    file_format: str | None = None
    is_bank: bool | None = None
    placed_as: str | None = None
    gateway: str | None = None
    handed_in_by: str | None = None
    handed_in_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that was refused when it arrived."""

    name: str
    reason: str
    at_ms: int


def remember_upload(database: Database, upload: Upload) -> Upload:
    """Store what was found in the file, and return it as stored: a file that was handed in stays so.

    The same bytes are one upload, whatever their names. Raises ``StoreUnavailable`` and ``WriteConflict``.
    """
    listed = {
        "pk": UPLOADS_PARTITION,
        "sk": created_key(upload.uploaded_at_ms, upload.file_id),
        "file_id": upload.file_id,
    }
    try:
        database.write(
            [
                Insert(Table.RECONCILIATION, {**_upload_key(upload.file_id), **_stored(upload)}),
                Insert(Table.RECONCILIATION, listed),
            ]
        )
    except WriteConflict:
        before = get_upload(database, upload.file_id)
        if before.state is UploadState.HANDED_IN:
            return before
        # The policy may have another mapping by now, so that it is read otherwise.
        after = replace(upload, uploaded_at_ms=before.uploaded_at_ms, uploaded_by=before.uploaded_by)
        change_upload(database, before, after)
        return after
    return upload


def change_upload(database: Database, before: Upload, after: Upload, *, beside: Sequence[Write] = ()) -> None:
    """Store ``after``. Raises ``WriteConflict`` if the upload is no longer in the state of ``before``."""
    written = Adjust(
        table=Table.RECONCILIATION,
        key=_upload_key(before.file_id),
        require={"state": before.state.value},
        set=_stored(after),
    )
    database.write([written, *beside])


def get_upload(database: Database, file_id: str) -> Upload:
    """Return the upload. Raises ``NotFound``."""
    item = database.get(Table.RECONCILIATION, _upload_key(file_id))
    if item is None:
        raise NotFound("There is no upload of this file.")
    return _upload_from(item)


def list_uploads(database: Database, *, limit: int) -> list[tuple[Upload, KnownFile | None]]:
    """Return the last ``limit`` uploads (at most 50), newest first, each with the accepted file of the same bytes.

    Two round trips, whatever there is. Raises ``StoreUnavailable``.
    """
    return uploads_page(database, limit=limit)[0]


def uploads_page(
    database: Database, *, limit: int, before: str | None = None
) -> tuple[list[tuple[Upload, KnownFile | None]], str | None]:
    """Return as ``list_uploads`` does, and the position for ``before`` of the next page, ``None`` at the end."""
    page = database.query(
        Table.RECONCILIATION,
        partition=("pk", UPLOADS_PARTITION),
        descending=True,
        limit=min(limit, 50),
        start=None if before is None else {"pk": UPLOADS_PARTITION, "sk": before},
    )
    ids = list(dict.fromkeys(str(item["file_id"]) for item in page.items))
    keys = [key for file_id in ids for key in (_upload_key(file_id), file_key(file_id))]
    found = {(item["pk"], item["sk"]): item for item in database.get_many(Table.RECONCILIATION, keys)} if keys else {}
    listed = []
    for file_id in ids:
        uploaded, accepted = (found.get((key["pk"], key["sk"])) for key in (_upload_key(file_id), file_key(file_id)))
        if uploaded is not None:
            listed.append((_upload_from(uploaded), None if accepted is None else file_from(accepted)))
    return listed, None if page.next_key is None else str(page.next_key["sk"])


def remember_refusal(database: Database, name: str, reason: str, at_ms: int) -> None:
    """Add a refused file to the list, so that people see it who don't read a log. Raises ``StoreUnavailable``."""
    digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
    key = {"pk": REFUSED_PARTITION, "sk": created_key(at_ms, digest)}
    told = {"name": name, "reason": reason[:MAX_REASON_CHARACTERS], "at_ms": at_ms}
    database.write([Adjust(table=Table.RECONCILIATION, key=key, set=told, upsert=True)])


def list_refusals(database: Database, *, limit: int) -> list[RefusedFile]:
    """Return the last ``limit`` refused files, newest first. One query. Raises ``StoreUnavailable``."""
    page = database.query(Table.RECONCILIATION, partition=("pk", REFUSED_PARTITION), descending=True, limit=limit)
    return [RefusedFile(str(item["name"]), str(item["reason"]), int(item["at_ms"])) for item in page.items]


def _upload_key(file_id: str) -> Key:
    return {"pk": f"UPLOAD#{file_id}", "sk": "UPLOAD"}


def _stored(upload: Upload) -> Item:
    return {**asdict(upload), "state": upload.state.value}


def _upload_from(item: Item) -> Upload:
    values = {name: item.get(name) for name in Upload.__slots__}
    return Upload(**{**values, "state": UploadState(item["state"])})  # type: ignore[arg-type]
