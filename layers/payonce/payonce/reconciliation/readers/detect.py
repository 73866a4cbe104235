"""Which format a file is, from what is in it. Its name is never asked: it is whatever somebody called it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.csv_table import header_of
from payonce.reconciliation.readers.gateway_tables import found_in
from payonce.reconciliation.readers.limits import DETECT_BYTES
from payonce.reconciliation.readers.rows import FileFormat
from payonce.reconciliation.readers.tables import QIF_BEGINNING, is_workbook

if TYPE_CHECKING:
    from collections.abc import Callable

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Containers are refused and not opened: a few kilobytes can unpack to more than a machine holds.
REFUSED_BEGINNINGS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"\x04\x22\x4d\x18", "LZ4"),
    (b"%PDF", "PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
)
CSV_HEADERS = (
    (FileFormat.STRIPE_CSV, frozenset({"balance_transaction_id", "reporting_category"})),
    (FileFormat.ADYEN_CSV, frozenset({"Psp Reference", "Modification Reference"})),
    (FileFormat.GENERIC_GATEWAY_CSV, frozenset({"kind", "transaction_id"})),
    (FileFormat.GENERIC_BANK_CSV, frozenset({"record", "booking_date"})),
)
_OFX = re.compile(rb"\A(?:OFXHEADER|<OFX>|(?:<\?xml[^>]*>\s*)?<\?OFX\s)|<OFX>\s*<SIGNONMSGS", re.IGNORECASE)
_SWIFT_FIELD = re.compile(rb"(?:\A|[\r\n\x01]|\{4:\s*):(?:20|25P?|28C?|60[FM]|61|62[FM]|86|NS):")
_CAMT = re.compile(rb"urn:iso:std:iso:20022:tech:xsd:(camt\.[0-9]{3}\.001\.[0-9]{2})")


def detect(data: bytes, *, is_mapped: Callable[[bytes], bool] = lambda _: False) -> FileFormat:
    """Return the format. Raises ``FileRejected`` saying what the file seems to be, when it is none that is read.

    ``is_mapped`` says whether a table of no format of its own is one that a mapping reads.
    """
    if not data.strip():
        raise FileRejected("the file is empty")
    if is_workbook(data):
        return _detect_table(data, is_mapped, "an Excel workbook")
    for beginning, name in REFUSED_BEGINNINGS:
        if data.startswith(beginning):
            raise FileRejected(f"the file is {name}; send the plain report or statement in it")
    head = data[:DETECT_BYTES].removeprefix(BYTE_ORDER_MARK).lstrip()
    if head.startswith(QIF_BEGINNING):
        return _detect_table(data, is_mapped, "a QIF file")
    if (found := _detect_text(head, data[:DETECT_BYTES])) is not None:
        return found
    return _detect_table(data, is_mapped, "no format of its own")


def _detect_text(head: bytes, with_mark: bytes) -> FileFormat | None:
    if _OFX.search(head):
        return FileFormat.OFX
    if head.startswith(b"<"):
        return _detect_xml(head)
    if head.startswith(b"01,"):
        return FileFormat.BAI2
    if _SWIFT_FIELD.search(head):
        return FileFormat.MT940
    return _detect_csv(with_mark)


def _detect_xml(head: bytes) -> FileFormat:
    matched = _CAMT.search(head)
    if matched is None:
        raise FileRejected("the XML is not camt: no ISO 20022 camt namespace is in its beginning")
    name = matched[1].decode()
    if not name.startswith(("camt.052.", "camt.053.", "camt.054.")):
        raise FileRejected(f"{name} is not read: it is no bank statement; send camt.053, camt.054 or camt.052")
    return FileFormat.CAMT


def _detect_table(data: bytes, is_mapped: Callable[[bytes], bool], name: str) -> FileFormat:
    if is_mapped(data):
        return FileFormat.MAPPED_BANK_TABLE
    raise FileRejected(
        f"the format is not known: it is {name}, and no mapping has its columns. `payonce reconcile map FILE` proposes "
        "one for a bank's table. Read without a mapping: the CSV of Stripe, Adyen, PayPal, Braintree, Mollie, "
        "GoCardless, Klarna, Checkout.com and payonce's own; camt.052, camt.053, camt.054, MT940, MT942, BAI2 and OFX",
        line=1,
    )


def _detect_csv(head: bytes) -> FileFormat | None:
    names = frozenset(header_of(head.decode("utf-8", "replace")))
    for file_format, telling in CSV_HEADERS:
        if telling <= names:
            return file_format
    found = found_in(head)
    return None if found is None else found.format
