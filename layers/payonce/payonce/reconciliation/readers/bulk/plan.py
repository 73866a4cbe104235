"""How an engine makes a table's rows of a CSV file's cells, as SQL that DuckDB reads. Pure: texts only.

An expression never accepts more than the reader does. A cell that it can't take exactly makes it fail or is not
``fits``; both mean that the file is left to the reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.bulk.look import BLANKS
from payonce.reconciliation.readers.csv_table import records

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payonce.reconciliation.readers.bulk.look import FirstLook
    from payonce.reconciliation.readers.csv_table import Record

NOTHING = "CAST(NULL AS VARCHAR)"
DECIMALS = 4  # of the currency that has most
# Ten digits and four decimals are exact in DECIMAL(18, 4), also times ten thousand. More are left to the reader.
AMOUNT = rf"[+-]?[0-9]{{1,10}}(\.[0-9]{{0,{DECIMALS}}})?"
_DAY = r"(197[1-9]|19[89][0-9]|20[0-9][0-9])-[01][0-9]-[0-3][0-9]"
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
LOCAL_TIME = rf"{_DAY}[T ]{_CLOCK}"
INSTANT = rf"{LOCAL_TIME}(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])"


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPlan:
    """``rows``: the table's columns and the expressions that make them; the columns that are left out are NULL.

    ``joins`` are the tables of words that the expressions look up. ``fits`` must hold for every row that ``kept`` does
    not leave out. ``unique`` is a column or expression of the made table that no two rows share. ``refused`` are
    queries over ``{made}``; a row of theirs declines the file. ``control`` are sums per currency that do not come from
    the made rows: (rows, a sum for each of ``summed``). ``recount`` is a query over ``{cells}`` for the same, where the
    file states none.
    """

    table: str
    rows: Mapping[str, str]
    fits: tuple[str, ...]
    joins: tuple[str, ...] = ()
    kept: str = "TRUE"
    control_records: int = 0
    control: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    recount: str | None = None
    summed: tuple[str, ...] = ("amount_minor",)
    unique: str | None = None
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a record by the columns' names, as expressions over the engine's columns ``c0``, ``c1``, ..."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, look: FirstLook) -> Cells:
        """Return the cells of the file."""
        return cls(look.names)

    def text(self, name: str) -> str:
        """Return the cell without surrounding blanks; NULL where it or its column is missing."""
        return f"c{self.names.index(name)}" if name in self.names else NOTHING

    def first(self, *names: str) -> str:
        """Return the first of the cells that holds something."""
        return f"coalesce({', '.join([*map(self.text, names), NOTHING])})"


def stripped(column: int, blanks: str) -> str:
    """Return an engine's column as ``Record.optional`` returns its cell."""
    name = f"c{column}"
    if blanks == "none":
        return name
    return f"nullif(trim({name}{'' if blanks == 'spaces' else f', {literal(BLANKS)}'}), '')"


def literal(text: str) -> str:
    """Return the text as a literal."""
    return "'" + text.replace("'", "''") + "'"


def words(alias: str, known: Mapping[str, str | int], on: str) -> str:
    """Return a join of a table of words: ``<alias>.word`` and ``<alias>.meaning``, NULL for another word."""
    values = ", ".join(
        f"({literal(word)}, {meaning if isinstance(meaning, int) else literal(meaning)})"
        for word, meaning in known.items()
    )
    return f"LEFT JOIN (VALUES {values}) AS {alias}(word, meaning) ON {alias}.word = {on}"


def currency(alias: str, text: str) -> str:
    """Return the join of a currency: its code, and how many times the smallest decimal its minor unit is."""
    scales = {code: 10 ** (DECIMALS - exponent) for code, exponent in MINOR_UNIT_EXPONENTS.items()}
    return words(alias, scales, f"upper({text})")


def minor(text: str, alias: str) -> str:
    """Return an amount in minor units; NULL of NULL."""
    return f"({_smallest(text)} // {alias}.meaning)"


def is_amount(text: str, alias: str) -> str:
    """Return whether it is an amount without more decimals than its currency has."""
    return f"(regexp_full_match({text}, {literal(AMOUNT)}) AND {_smallest(text)} % {alias}.meaning = 0)"


def _smallest(text: str) -> str:
    return f"CAST(CAST({text} AS DECIMAL(18, {DECIMALS})) * {10**DECIMALS} AS BIGINT)"


def instant(text: str) -> str:
    """Return epoch milliseconds of a time with its offset."""
    return _milliseconds(f"CAST({text} AS TIMESTAMPTZ)")


def is_instant(text: str) -> str:
    """Return whether it is a time with its offset."""
    return f"regexp_full_match({text}, {literal(INSTANT)})"


def local(text: str) -> str:
    """Return epoch milliseconds of a time that does not say its offset, as if it were UTC."""
    return _milliseconds(f"CAST({text} AS TIMESTAMP)")


def _milliseconds(time: str) -> str:
    """Return the whole milliseconds; ``epoch_ms`` would round 999.5 microseconds up."""
    return f"(epoch_us({time}) // 1000)"


def is_local(text: str) -> str:
    """Return whether it is a time that does not say its offset."""
    return f"regexp_full_match({text}, {literal(LOCAL_TIME)})"


def if_any(text: str, condition: str) -> str:
    """Return whether the condition holds or there is no text."""
    return f"({text} IS NULL OR {condition})"


def is_ascii(text: str) -> str:
    """Return whether letters have the same capitals for the reader and for the engine."""
    return f"(strlen({text}) = length({text}))"


def final_records(look: FirstLook, required: frozenset[str], total: str) -> list[Record]:
    """Return the records at the file's end whose ``kind`` is ``total``."""
    found: list[Record] = []
    for line in reversed(look.tail.splitlines(keepends=True)):
        try:
            record = next(records(look.header + line, required=required), None)
        except FileRejected:
            break  # the rest of a text with line ends in it
        if record is None or record.optional("kind") != total:
            break
        found.append(record)
    return found
