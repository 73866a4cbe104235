"""Which format a file is, from what is in it. Its name is never asked: it is whatever somebody called it."""

from __future__ import annotations

import re

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import header_of
from payonce.reconciliation.readers.limits import DETECT_BYTES
from payonce.reconciliation.readers.rows import FileFormat

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Containers are refused and not opened: a few kilobytes can unpack to more than a machine holds.
REFUSED_BEGINNINGS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"%PDF", "PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
CSV_HEADERS = (
    (FileFormat.STRIPE_CSV, frozenset({"balance_transaction_id", "reporting_category"})),
    (FileFormat.ADYEN_CSV, frozenset({"Psp Reference", "Modification Reference"})),
    (FileFormat.GENERIC_GATEWAY_CSV, frozenset({"kind", "transaction_id"})),
    (FileFormat.GENERIC_BANK_CSV, frozenset({"record", "booking_date"})),
)
_MT940 = re.compile(rb"(?:\A|[\r\n\x01]|\{4:\s*):20:")
_SWIFT_FIELD = re.compile(rb"(?:\A|[\r\n\x01]|\{4:\s*):(?:25|28C?|60[FM]|61|62[FM]|86|NS):")
_CAMT = re.compile(rb"urn:iso:std:iso:20022:tech:xsd:(camt\.[0-9]{3}\.001\.[0-9]{2})")


def detect(data: bytes) -> FileFormat:
    """Return the format. Raises ``FileRejected`` saying what the file seems to be, when it is none that is read."""
    if not data.strip():
        raise FileRejected("the file is empty")
    for beginning, name in REFUSED_BEGINNINGS:
        if data.startswith(beginning):
            raise FileRejected(f"the file is {name}; send the plain report or statement in it")
    head = data[:DETECT_BYTES].removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(b"<"):
        return _detect_xml(head)
    if head.startswith(b"01,"):
        return FileFormat.BAI2
    if _MT940.search(head):
        return FileFormat.MT940
    if _SWIFT_FIELD.search(head):
        raise FileRejected("this is a fragment of MT940: a statement begins with :20:", field=":20:")
    return _detect_csv(data[:DETECT_BYTES])


def _detect_xml(head: bytes) -> FileFormat:
    matched = _CAMT.search(head)
    if matched is None:
        raise FileRejected("the XML is not camt: no ISO 20022 camt namespace is in its beginning")
    name = matched[1].decode()
    if not name.startswith(("camt.053.", "camt.054.")):
        problem = f"{name} is not read: camt.052 is an interim report; send camt.053 or camt.054"
        raise FileRejected(problem)
    return FileFormat.CAMT


def _detect_csv(head: bytes) -> FileFormat:
    names = frozenset(header_of(head.decode("utf-8", "replace")))
    for file_format, telling in CSV_HEADERS:
        if telling <= names:
            return file_format
    raise FileRejected(
        "the format is not known: not Stripe's or Adyen's CSV, payonce's own CSV, camt.053, camt.054, MT940 or BAI2; "
        "a CSV needs commas and its header in the first line",
        line=1,
    )
