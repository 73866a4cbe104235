"""The one way in: a file's bytes become typed rows as a whole, or nothing does."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.adyen_csv import read_adyen_csv
from payonce.reconciliation.readers.adyen_kinds import ADYEN_KINDS
from payonce.reconciliation.readers.bai2 import read_bai2
from payonce.reconciliation.readers.camt import read_camt
from payonce.reconciliation.readers.detect import detect
from payonce.reconciliation.readers.gateway_tables import READERS, WORDS
from payonce.reconciliation.readers.generic_bank_csv import read_generic_bank_csv
from payonce.reconciliation.readers.generic_csv import read_generic_gateway_csv
from payonce.reconciliation.readers.limits import MAX_FILE_BYTES
from payonce.reconciliation.readers.mapped_table import mapping_of, read_mapped_table
from payonce.reconciliation.readers.mt940 import read_mt940
from payonce.reconciliation.readers.ofx import read_ofx
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile, RowKind
from payonce.reconciliation.readers.stripe_csv import read_stripe_csv
from payonce.reconciliation.readers.stripe_kinds import STRIPE_KINDS
from payonce.reconciliation.readers.text import as_utf8
from payonce.reconciliation.readers.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import BinaryIO
    from zoneinfo import ZoneInfo

    from payonce.reconciliation.readers.mapping import ColumnMapping
    from payonce.reconciliation.readers.rows import GatewayRow, Statement

GATEWAY_READERS: Mapping[FileFormat, Callable[[bytes, ZoneInfo | None], tuple[GatewayRow, ...]]] = {
    FileFormat.STRIPE_CSV: read_stripe_csv,
    FileFormat.ADYEN_CSV: read_adyen_csv,
    **READERS,
    FileFormat.GENERIC_GATEWAY_CSV: lambda data, _: read_generic_gateway_csv(data),
}
# What each gateway calls its movements. Another word is an adjustment, and said.
KNOWN_WORDS: Mapping[FileFormat, Collection[str]] = {
    FileFormat.STRIPE_CSV: STRIPE_KINDS,
    FileFormat.ADYEN_CSV: ADYEN_KINDS,
    **WORDS,
}
MAX_NOTED_WORDS = 20  # a file of other words is no report of that gateway, and one line says so as well as a thousand
BANK_READERS: Mapping[FileFormat, Callable[[bytes], tuple[Statement, ...]]] = {
    FileFormat.GENERIC_BANK_CSV: read_generic_bank_csv,
    FileFormat.CAMT: read_camt,
    FileFormat.MT940: read_mt940,
    FileFormat.BAI2: read_bai2,
    FileFormat.OFX: read_ofx,
}


def file_id_of(data: bytes) -> str:
    """Return the SHA-256 of the bytes in hexadecimal: a file that comes again has the same id, whatever its name."""
    return hashlib.sha256(data).hexdigest()


def read_file(
    source: bytes | BinaryIO,
    *,
    mappings: Sequence[ColumnMapping] = (),
    strict: bool = False,
    zone: ZoneInfo | None = None,
    max_bytes: int = MAX_FILE_BYTES,
) -> ReconciliationFile:
    """Return the whole file as typed rows. Raises ``FileRejected`` naming line and field; then nothing was read.

    ``mappings`` read the tables that have no format of their own. ``strict`` refuses a file that does not prove itself.
    ``zone`` is that of a gateway's report whose times do not state one. A stream is read to one byte over ``max_bytes``
    at most.
    """
    data = source if isinstance(source, bytes) else source.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise FileRejected(f"the file is over {max_bytes} bytes; split the report by day or account")
    file_id, data = file_id_of(data), as_utf8(data)
    fitting: list[ColumnMapping] = []

    def is_mapped(table: bytes) -> bool:
        fitting.extend(filter(None, [mapping_of(table, mappings)]))
        return bool(fitting)

    file_format = detect(data, is_mapped=is_mapped)
    if file_format in GATEWAY_READERS:
        rows = GATEWAY_READERS[file_format](data, zone)
        notices = unknown_words(Counter(row.category for row in rows if row.kind is RowKind.ADJUSTMENT), file_format)
        return ReconciliationFile(file_id, file_format, gateway_rows=rows, notices=notices)
    statements = read_mapped_table(data, fitting[0]) if fitting else BANK_READERS[file_format](data)
    read = ReconciliationFile(file_id, file_format, statements=statements)
    if strict and read.unproved:
        raise FileRejected(f"it does not prove itself, and only files that do are wanted: {read.unproved[0]}")
    return read


def unknown_words(found: Counter[str | None], file_format: FileFormat) -> tuple[str, ...]:
    """Return a notice for each word of adjustments that the gateway's reader does not know."""
    known = KNOWN_WORDS.get(file_format)
    if known is None:
        return ()
    unknown = {word: count for word, count in found.items() if word not in known}
    notices = [
        f"{shown(word or '')} is no known type of movement: {count:,} row{'' if count == 1 else 's'} read as adjustment"
        for word, count in sorted(unknown.items(), key=lambda item: (-item[1], item[0] or ""))
    ]
    return tuple(notices[:MAX_NOTED_WORDS])
