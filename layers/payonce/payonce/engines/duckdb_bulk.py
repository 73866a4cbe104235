"""Reads a CSV file into a table of the engine, or declines. See ``payonce.reconciliation.readers.bulk``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.durations import HOUR_MS
from payonce.extras import needs
from payonce.reconciliation.matching.tables import TABLES
from payonce.reconciliation.readers.bulk.facts import BulkFacts
from payonce.reconciliation.readers.bulk.plan import literal, stripped
from payonce.reconciliation.readers.limits import MAX_LINE_CHARACTERS

with needs("reconcile"):
    import duckdb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.bulk.plan import BulkPlan

    type Query = Callable[[str], list[tuple[Any, ...]]]

_BASIS_POINTS: Final = 10_000
_CHARGES: Final = "kind = 'charge' AND amount_minor > 0"


class _DeclinedError(Exception):
    """What was made of the file is not what it says."""


def load_in_bulk(
    connection: duckdb.DuckDBPyConnection, look: FirstLook, plan: BulkPlan, *, made: str, gateway: str | None = None
) -> BulkFacts | None:
    """Make the table ``made`` of the file; return ``None``, and leave nothing behind, where a reader has to read it.

    Raises ``OSError``.
    """
    try:
        connection.execute(_table(look, plan, made, gateway))
        return _facts(connection, look, plan, made)
    except (duckdb.Error, _DeclinedError):
        connection.execute(f"DROP TABLE IF EXISTS main.{made}")
        return None


def _table(look: FirstLook, plan: BulkPlan, made: str, gateway: str | None) -> str:
    values = {**plan.rows, **({} if gateway is None else {"gateway": literal(gateway)})}
    columns = ", ".join(
        f"CAST({values.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in TABLES[plan.table].items()
    )
    fits = " AND ".join(f"({condition})" for condition in plan.fits)
    return (
        f"CREATE TABLE main.{made} AS SELECT {columns} FROM {_cells(look)} {' '.join(plan.joins)} "  # noqa: S608
        f"WHERE CASE WHEN NOT ({plan.kept}) THEN FALSE WHEN {fits} THEN TRUE ELSE error('not the ordinary form') END"
    )


def _cells(look: FirstLook) -> str:
    """Return the file as a table of stripped texts ``c0``, ``c1``, ...; an empty cell is NULL."""
    names = range(len(look.names))
    columns = ", ".join(f"'c{name}': 'VARCHAR'" for name in names)
    texts = ", ".join(f"{stripped(name, look.blanks)} AS c{name}" for name in names)
    options = (
        f"auto_detect = false, header = false, skip = 1, columns = {{{columns}}}, delim = '{look.delimiter}', "
        "quote = '\"', escape = '\"', strict_mode = true, null_padding = false, ignore_errors = false, "
        f"compression = 'none', max_line_size = {MAX_LINE_CHARACTERS}"
    )
    # An absolute path is no address, and one that exists is no pattern, whatever characters are in it.
    path = literal(str(look.path.resolve()))
    return f"(SELECT {texts} FROM read_csv({path}, {options})) AS cells"  # noqa: S608


def _facts(connection: duckdb.DuckDBPyConnection, look: FirstLook, plan: BulkPlan, made: str) -> BulkFacts:
    def query(text: str) -> list[tuple[Any, ...]]:
        return connection.execute(text).fetchall()

    sums = _proved_sums(query, look, plan, made)
    if plan.unique is not None:
        # As many hashes as rows: no text is there twice. Equal hashes of two texts only leave the file to the reader.
        [[distinct, rows]] = query(f"SELECT count(DISTINCT hash({plan.unique})), count(*) FROM main.{made}")  # noqa: S608
        if distinct != rows:
            raise _DeclinedError
    if any(query(text.format(made=f"main.{made}")) for text in plan.refused):
        raise _DeclinedError
    rows = sum(count for count, _ in sums.values())
    if plan.table == "ledger":
        [[latest_ms, gateways]] = query(f"SELECT max(booked_at_ms), list(DISTINCT gateway) FROM main.{made}")  # noqa: S608
        facts = BulkFacts(rows=rows, sums=sums, latest_ms=latest_ms or 0, gateways=frozenset(gateways or ()))
    else:
        facts = _gateway_facts(query, made, rows, sums)
    if not look.is_unchanged:
        raise _DeclinedError
    return facts


def _proved_sums(query: Query, look: FirstLook, plan: BulkPlan, made: str) -> dict[str, tuple[int, int]]:
    """Return rows and sum per currency from the file; raise unless the table has just those."""
    summed = ", ".join(f"sum({name})" for name in plan.summed)
    text = f"SELECT currency, count(*), {summed} FROM main.{made} GROUP BY currency"  # noqa: S608
    found = {row[0]: row[1:] for row in query(text)}
    stated = dict(plan.control)
    if plan.recount is not None:
        stated = {
            code: (count, _whole_minor(total, code))
            for code, count, total in query(plan.recount.format(cells=_cells(look)))
        }
    none = (0,) * (len(plan.summed) + 1)
    if any(tuple(stated.get(code, none)) != tuple(found.get(code, none)) for code in {*stated, *found}):
        raise _DeclinedError
    # The number of records comes from the bytes: the engine has not seen it.
    if set(found) - set(stated) or sum(row[0] for row in found.values()) != look.records - plan.control_records:
        raise _DeclinedError
    return {code: (int(row[0]), int(row[1])) for code, row in stated.items() if row[0]}


def _whole_minor(total: Decimal, currency: str) -> int:
    scaled = total.scaleb(MINOR_UNIT_EXPONENTS[currency])
    if scaled != scaled.to_integral_value():
        raise _DeclinedError
    return int(scaled)


def _gateway_facts(query: Query, made: str, rows: int, sums: Mapping[str, tuple[int, int]]) -> BulkFacts:
    fee = f"CAST(fee_minor AS HUGEINT) * {_BASIS_POINTS}"
    delay = "(available_at_ms - created_at_ms)"
    words = f"SELECT category, count(*) FROM main.{made} WHERE kind = 'adjustment' GROUP BY category"  # noqa: S608
    [[latest_ms]] = query(f"SELECT max(created_at_ms) FROM main.{made}")  # noqa: S608
    return BulkFacts(
        rows=rows,
        sums=sums,
        latest_ms=latest_ms or 0,
        fees=_counted(query, made, _floor(fee, "amount_minor"), f"{_CHARGES}"),
        delays=_counted(query, made, _floor(delay, str(HOUR_MS)), f"{_CHARGES} AND available_at_ms IS NOT NULL"),
        words=Counter(dict(query(words))),
    )


def _floor(number: str, by: str) -> str:
    """Return the division of Python, which rounds down; ``by`` is positive."""
    return f"(({number} - (({number} % {by}) + {by}) % {by}) // {by})"


def _counted(query: Query, made: str, value: str, condition: str) -> dict[int, int]:
    text = f"SELECT CAST({value} AS BIGINT) AS value, count(*) FROM main.{made} WHERE {condition} GROUP BY value"  # noqa: S608
    return {int(key): int(count) for key, count in query(text)}
