"""The one way in: a file's bytes become typed rows as a whole, or nothing does."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.adyen_csv import read_adyen_csv
from payonce.reconciliation.readers.bai2 import read_bai2
from payonce.reconciliation.readers.camt import read_camt
from payonce.reconciliation.readers.detect import detect
from payonce.reconciliation.readers.generic_bank_csv import read_generic_bank_csv
from payonce.reconciliation.readers.generic_csv import read_generic_gateway_csv
from payonce.reconciliation.readers.limits import MAX_FILE_BYTES
from payonce.reconciliation.readers.mapped_table import mapping_of, read_mapped_table
from payonce.reconciliation.readers.mt940 import read_mt940
from payonce.reconciliation.readers.ofx import read_ofx
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile
from payonce.reconciliation.readers.stripe_csv import read_stripe_csv
from payonce.reconciliation.readers.text import as_utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from payonce.reconciliation.readers.mapping import ColumnMapping
    from payonce.reconciliation.readers.rows import GatewayRow, Statement

GATEWAY_READERS: Mapping[FileFormat, Callable[[bytes], tuple[GatewayRow, ...]]] = {
    FileFormat.STRIPE_CSV: read_stripe_csv,
    FileFormat.ADYEN_CSV: read_adyen_csv,
    FileFormat.GENERIC_GATEWAY_CSV: read_generic_gateway_csv,
}
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
    max_bytes: int = MAX_FILE_BYTES,
) -> ReconciliationFile:
    """Return the whole file as typed rows. Raises ``FileRejected`` naming line and field; then nothing was read.

    ``mappings`` read the tables that have no format of their own. ``strict`` refuses a file that does not prove itself.
    A stream is read to one byte over ``max_bytes`` at most.
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
        rows = GATEWAY_READERS[file_format](data)
        return ReconciliationFile(file_id, file_format, gateway_rows=rows)
    statements = read_mapped_table(data, fitting[0]) if fitting else BANK_READERS[file_format](data)
    read = ReconciliationFile(file_id, file_format, statements=statements)
    if strict and read.unproved:
        raise FileRejected(f"it does not prove itself, and only files that do are wanted: {read.unproved[0]}")
    return read
