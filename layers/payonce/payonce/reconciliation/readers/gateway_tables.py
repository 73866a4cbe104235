"""Which gateways' tables are read by description, and which of them a file is."""

from __future__ import annotations

import csv
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers import braintree, checkout, gocardless, klarna, mollie, paypal
from payonce.reconciliation.readers.gateway_reading import read_gateway_table
from payonce.reconciliation.readers.limits import DETECT_BYTES, MAX_LINE_CHARACTERS
from payonce.reconciliation.readers.rows import FileFormat
from payonce.reconciliation.readers.tables import MAX_HEADER_LINE
from payonce.reconciliation.readers.text import lines_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from zoneinfo import ZoneInfo

    from payonce.reconciliation.readers.gateway_table import GatewayTable
    from payonce.reconciliation.readers.rows import GatewayRow

TABLES: Mapping[FileFormat, tuple[GatewayTable, ...]] = MappingProxyType(
    {
        FileFormat.PAYPAL_CSV: paypal.TABLES,
        FileFormat.BRAINTREE_CSV: braintree.TABLES,
        FileFormat.MOLLIE_CSV: mollie.TABLES,
        FileFormat.GOCARDLESS_CSV: gocardless.TABLES,
        FileFormat.KLARNA_CSV: klarna.TABLES,
        FileFormat.CHECKOUT_CSV: checkout.TABLES,
    }
)
WORDS: Mapping[FileFormat, Collection[str]] = MappingProxyType(
    {name: frozenset(word for table in tables for word in table.kinds) for name, tables in TABLES.items()}
)
SEPARATORS = (",", ";", "\t")


class Found(NamedTuple):
    """The table that a file is, and what stands between its cells."""

    format: FileFormat
    table: GatewayTable
    separator: str


def found_in(data: bytes) -> Found | None:
    """Return the table whose header is in the file's beginning; lines of other sections may stand above it."""
    head = data[:DETECT_BYTES].decode("utf-8-sig", "replace")
    lines = [line for _, line in zip(range(MAX_HEADER_LINE), lines_of(head), strict=False)]
    for separator in SEPARATORS:
        for line in lines:
            if (found := _headed(line[:MAX_LINE_CHARACTERS].rstrip("\r"), separator)) is not None:
                return found
    return None


def _headed(line: str, separator: str) -> Found | None:
    try:
        names = next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return None
    tables = ((name, table) for name, tables in TABLES.items() for table in tables)
    return next((Found(name, table, separator) for name, table in tables if len(names) > 1 and table.fits(names)), None)


def read_report(data: bytes, zone: ZoneInfo | None, *, name: FileFormat) -> tuple[GatewayRow, ...]:
    """Return the rows of a file that is one of a gateway's tables. Raises ``FileRejected``."""
    found = found_in(data)
    if found is None or found.format is not name:
        raise FileRejected(f"it has no header of a report of the format {name.value}")
    return read_gateway_table(data, found.table, separator=found.separator, zone=zone)


READERS = MappingProxyType({name: partial(read_report, name=name) for name in TABLES})
