"""The one engine that reads the tables of gateways, by their descriptions, into typed rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.gateway_cells import Cells, folded
from payonce.reconciliation.readers.gateway_table import NAMED, POSITIVE, Reading
from payonce.reconciliation.readers.rows import GatewayRow, RowKind
from payonce.reconciliation.readers.tables import csv_rows
from payonce.reconciliation.readers.values import currency_of, minor_rate_millionths, shown
from payonce.reconciliation.readers.zones import day_first, instant_of, states_zone, with_year_first, zone_named

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

    from payonce.reconciliation.readers.gateway_table import GatewayTable
    from payonce.reconciliation.readers.tables import Row


def read_gateway_table(
    data: bytes, table: GatewayTable, *, separator: str, zone: tzinfo | None
) -> tuple[GatewayRow, ...]:
    """Return the report's rows. Raises ``FileRejected``.

    Checked: the width of each row, each cell that is read, that no id is there twice unless the gateway repeats them,
    and what the gateway's documentation says of its totals.
    """
    body, beside, unread = _sections(table, csv_rows(data, encoding="utf-8", separator=separator))
    body = table.prepared(body)
    dated = {column: _day_first(table, body, column) for column in _times(table)}
    rows = [_row(table, cells, zone, dated) for cells in body if table.is_movement(cells)]
    rows = _each_once(rows, table.row_id) if isinstance(table.row_id, str) else _numbered(rows)
    rows += table.closing(Reading(body, beside, unread, tuple(rows)))
    return tuple(rows)


def _day_first(table: GatewayTable, body: tuple[Cells, ...], column: str) -> bool | None:
    if table.month_first:
        return False
    return day_first(filter(None, (cells.first(column) for cells in body)))


def _times(table: GatewayTable) -> tuple[str, ...]:
    return (*table.created, *table.available, *table.payout_at)


def _sections(table: GatewayTable, rows: Iterator[Row]) -> tuple[tuple[Cells, ...], tuple[Cells, ...], tuple[Row, ...]]:
    body: list[Cells] = []
    beside: list[Cells] = []
    unread: list[Row] = []
    above: dict[str, str] = {}
    names: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    of_body = False
    for row in rows:
        if not any(row.cells):
            continue
        # Of the many rows of a body none is looked at for a header: where others may follow, they are marked.
        plain = of_body and (row.cells[0] == table.mark if table.mark is not None else not table.beside)
        if row.cells == header or (not plain and table.fits(row.cells)):
            header = _checked(row)
            names, of_body = table.names(header), True
        elif not plain and any(table.fits(row.cells, columns) for columns in table.beside):
            names, of_body = table.names(_checked(row)), False
        elif not names or (of_body and not plain and table.mark is not None):
            unread.append(row)
        elif of_body:
            body.append(Cells(row.line, _by_name(names, row), above))
        else:
            beside.append(Cells(row.line, _by_name(names, row)))
            above = {**above, **beside[-1].texts}
            names = () if table.mark is not None else names
    return tuple(body), tuple(beside), tuple(unread)


def _checked(row: Row) -> tuple[str, ...]:
    names = tuple(map(folded, row.cells))
    # Two columns of one name: a reader by name would silently take the last.
    if twice := sorted({cell for cell, name in zip(row.cells, names, strict=True) if name and names.count(name) > 1}):
        raise FileRejected(f"the header has {', '.join(twice)} more than once", line=row.line)
    return row.cells


def _by_name(names: tuple[str, ...], row: Row) -> dict[str, str]:
    if len(row.cells) != len(names):
        raise FileRejected(f"there are {len(row.cells)} cells, the header has {len(names)}", line=row.line)
    return dict(zip(names, row.cells, strict=True))


def _row(table: GatewayTable, cells: Cells, zone: tzinfo | None, dated: Mapping[str, bool | None]) -> GatewayRow:
    word = table.word(cells)
    if not word:
        raise cells.refused("there is no word for what the row is", table.telling[0])
    currency = currency_of(cells.required(*table.currency), line=cells.line, field=table.currency[0])
    amount, fee = table.money(cells, word, currency)
    said = table.kinds.get(word) or table.kind_of(word) or RowKind.ADJUSTMENT
    turned = table.turned.get(said) if amount and (amount > 0) is not (said in POSITIVE) else None
    kind = turned or said
    if fee and not amount and kind in NAMED:
        kind = RowKind.FEE  # an authorisation, a declined payment: nothing moved but what it costs
    created = _instant(table, cells, table.created, zone, dated)
    if created is None:
        raise cells.refused("the cell is empty", table.created[0])
    own = cells.first(*table.own_reference.get(kind, ())) if kind in NAMED else None
    payment = cells.first(*((kind is RowKind.CHARGE and table.charge_payment_id) or table.payment_id))
    # A fee or a hold that is of a payment of ours has its reference too.
    order = cells.first(*table.reference) if kind in NAMED or payment else None
    presented_currency, presented = _presented(table, cells, currency) if kind in NAMED else (None, 0)
    method, country = cells.first(*table.method), cells.first(*table.country)
    return GatewayRow(
        row_number=cells.line,
        transaction_id=_row_id(table, cells, turned),
        reference=own or order,
        kind=kind,
        amount_minor=amount,
        fee_minor=fee,
        net_minor=amount - fee,
        currency=currency,
        created_at_ms=created,
        available_at_ms=_instant(table, cells, table.available, zone, dated),
        payout_id=cells.first(*table.payout_id),
        gateway_payment_id=payment,
        presented_minor=None if presented_currency is None else (-abs(presented) if amount < 0 else abs(presented)),
        presented_currency=presented_currency,
        category=word,
        gateway_object_id=_object_id(table, cells, kind, amount),
        payment_reference=order,
        rate_millionths=_rate(table, cells, presented_currency, currency),
        payment_method=None if method is None or method == word else method.lower(),
        card_country=country.upper() if country is not None and len(country) == 2 else None,
        payout_reference=cells.first(*table.payout_reference) if kind is RowKind.PAYOUT else None,
        payout_at_ms=_instant(table, cells, table.payout_at, zone, dated),
    )


def _row_id(table: GatewayTable, cells: Cells, turned: RowKind | None) -> str:
    if isinstance(table.row_id, str):
        return cells.required(table.row_id)
    # What is taken back has the id that it was told under, perhaps in an earlier report.
    own = table.row_id(cells)
    return own if turned is None else f"{own}/{turned}"


def _object_id(table: GatewayTable, cells: Cells, kind: RowKind, amount: int) -> str | None:
    """Return what moved; of a payout that came back the one that it was, and nothing where its id is its payout's."""
    if kind is RowKind.PAYOUT and amount > 0:
        return cells.first(*table.payment_id)
    return None if kind is RowKind.PAYOUT and table.payout_id else cells.first(*table.object_id)


def _instant(
    table: GatewayTable, cells: Cells, columns: tuple[str, ...], zone: tzinfo | None, dated: Mapping[str, bool | None]
) -> int | None:
    column = next((column for column in columns if cells.first(column)), None)
    if column is None:
        return None
    text = with_year_first(cells.required(column), dated[column], line=cells.line, field=column)
    if table.time is not None and columns is table.created:
        text = f"{text} {cells.required(table.time)}"
    # Of a day on which money is there or sent only the date counts, and a zone would make another one of it.
    is_day = columns is not table.created and ":" not in text
    named = zone_named("UTC" if is_day or column in table.utc else cells.first(*table.zone) or "")
    if (known := named or zone) is None and columns is not table.created and not states_zone(text):
        return None
    return instant_of(text, line=cells.line, field=column, zone=known)


def _presented(table: GatewayTable, cells: Cells, currency: str) -> tuple[str | None, int]:
    if table.presented is None:
        return None, 0
    amount, text = map(cells.first, table.presented)
    if amount is None or text is None:
        return None, 0
    paid = currency_of(text, line=cells.line, field=table.presented[1])
    return (None, 0) if paid == currency else (paid, cells.minor(table.presented[0], paid))


def _rate(table: GatewayTable, cells: Cells, presented_currency: str | None, currency: str) -> int | None:
    if table.rate is None or presented_currency is None or (text := cells.first(table.rate)) is None:
        return None
    try:
        rate = minor_rate_millionths(Decimal(text), presented_currency, currency)
    except InvalidOperation:
        rate = None
    if rate is None:
        raise cells.refused(f"{shown(text)} is not a rate", table.rate)
    return rate


def _each_once(rows: list[GatewayRow], column: str) -> list[GatewayRow]:
    seen: dict[str, int] = {}
    for row in rows:
        if (before := seen.setdefault(row.transaction_id, row.row_number)) != row.row_number:
            problem = f"{shown(row.transaction_id)} is on line {before} too"
            raise FileRejected(problem, line=row.row_number, field=column)
    return rows


def _numbered(rows: list[GatewayRow]) -> list[GatewayRow]:
    seen: Counter[str] = Counter()
    numbered = []
    for row in rows:
        seen[row.transaction_id] += 1
        count = seen[row.transaction_id]
        numbered.append(row if count == 1 else replace(row, transaction_id=f"{row.transaction_id}/{count}"))
    return numbered
