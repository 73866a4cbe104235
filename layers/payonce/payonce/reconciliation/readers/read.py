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
from payonce.reconciliation.readers.mt940 import read_mt940
from payonce.reconciliation.readers.rows import FileFormat, ReconciliationFile
from payonce.reconciliation.readers.stripe_csv import read_stripe_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

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
}


def file_id_of(data: bytes) -> str:
    """Return the SHA-256 of the bytes in hexadecimal: a file that comes again has the same id, whatever its name."""
    return hashlib.sha256(data).hexdigest()


def read_file(source: bytes | BinaryIO, *, max_bytes: int = MAX_FILE_BYTES) -> ReconciliationFile:
    """Return the whole file as typed rows. Raises ``FileRejected`` naming line and field; then nothing was read.

    A stream is read to one byte over ``max_bytes`` at most.
    """
    data = source if isinstance(source, bytes) else source.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise FileRejected(f"the file is over {max_bytes} bytes; split the report by day or account")
    file_format = detect(data)
    if file_format in GATEWAY_READERS:
        rows = GATEWAY_READERS[file_format](data)
        return ReconciliationFile(file_id_of(data), file_format, gateway_rows=rows)
    return ReconciliationFile(file_id_of(data), file_format, statements=BANK_READERS[file_format](data))
