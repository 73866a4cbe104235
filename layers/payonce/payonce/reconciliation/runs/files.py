"""The register of accepted files, deduplicated by content, and the head of the chain of run manifests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import WriteConflict
from payonce.outbox import created_key
from payonce.paging import every_item
from payonce.ports import Adjust, Insert, Table
from payonce.reconciliation.runs.manifest import FIRST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payonce.ports import Database, Item, Key

# With a few files a day, one partition is enough for all.
FILES_PARTITION = "FILES"
CHAIN_KEY = {"pk": "CHAIN", "sk": "HEAD"}
PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """An accepted file. ``gateway`` is ``None`` for a bank's statement."""

    file_id: str
    name: str
    file_format: str
    gateway: str | None
    received_at_ms: int


def remember_file(database: Database, file: KnownFile) -> bool:
    """Register the file; return ``False`` for a duplicate, under whatever name. Raises ``StoreUnavailable``."""
    fields: Item = {
        "file_id": file.file_id,
        "name": file.name,
        "file_format": file.file_format,
        "gateway": file.gateway,
        "received_at_ms": file.received_at_ms,
    }
    once = {**fields, **file_key(file.file_id)}
    listed = {**fields, "pk": FILES_PARTITION, "sk": created_key(file.received_at_ms, file.file_id)}
    try:
        database.write([Insert(Table.RECONCILIATION, once), Insert(Table.RECONCILIATION, listed)])
    except WriteConflict:
        return False
    return True


def gateway_of_file(database: Database, file_id: str) -> tuple[str | None, str] | None:
    """Return the gateway and the name of a registered file, ``None`` for a new one. Raises ``StoreUnavailable``."""
    known = find_file(database, file_id)
    return None if known is None else (known.gateway, known.name)


def find_file(database: Database, file_id: str) -> KnownFile | None:
    """Return the registered file, ``None`` for one that was never accepted. Raises ``StoreUnavailable``."""
    item = database.get(Table.RECONCILIATION, file_key(file_id))
    return None if item is None else file_from(item)


def list_files(database: Database, *, limit: int, before: str | None = None) -> tuple[list[KnownFile], str | None]:
    """Return up to ``limit`` accepted files, newest first, and the position for ``before`` of the next page.

    The position is ``None`` at the end. One query. Raises ``StoreUnavailable``.
    """
    page = database.query(
        Table.RECONCILIATION,
        partition=("pk", FILES_PARTITION),
        descending=True,
        limit=limit,
        start=None if before is None else {"pk": FILES_PARTITION, "sk": before},
    )
    return list(map(file_from, page.items)), None if page.next_key is None else str(page.next_key["sk"])


def file_key(file_id: str) -> Key:
    """Return the key of a registered file."""
    return {"pk": f"FILE#{file_id}", "sk": "FILE"}


def files_since(database: Database, received_from_ms: int) -> Iterator[KnownFile]:
    """Yield the files received since ``received_from_ms``, oldest first."""
    for item in every_item(
        lambda start: database.query(
            Table.RECONCILIATION,
            partition=("pk", FILES_PARTITION),
            sort_at_least=("sk", f"{received_from_ms:013d}"),
            limit=PAGE_SIZE,
            start=start,
        )
    ):
        yield file_from(item)


def file_from(item: Item) -> KnownFile:
    """Return the registered file of a stored item."""
    return KnownFile(
        file_id=item["file_id"],
        name=item["name"],
        file_format=item["file_format"],
        gateway=item["gateway"],
        received_at_ms=item["received_at_ms"],
    )


def chain_head(database: Database) -> str:
    """Return the hash of the last run's manifest, ``FIRST`` if there is none."""
    item = database.get(Table.RECONCILIATION, CHAIN_KEY)
    return FIRST if item is None else str(item["manifest_hash"])


def move_chain(database: Database, *, previous: str, manifest_hash: str) -> None:
    """Make ``manifest_hash`` the head. Raises ``WriteConflict`` if the head is no longer ``previous``."""
    if previous == FIRST:
        database.write([Insert(Table.RECONCILIATION, {**CHAIN_KEY, "manifest_hash": manifest_hash})])
        return
    database.write(
        [
            Adjust(
                table=Table.RECONCILIATION,
                key=CHAIN_KEY,
                require={"manifest_hash": previous},
                set={"manifest_hash": manifest_hash},
            )
        ]
    )
