"""A row of a gateway's table by the names of its columns, and what is read of it: words, ids and money."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.values import minor_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payonce.reconciliation.readers.rows import RowKind


@lru_cache(maxsize=4096)
def folded(name: str) -> str:
    """Return a column's name by its letters and digits alone: documents and files differ in blanks and capitals."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


@dataclass(frozen=True, slots=True)
class Cells:
    """A row by the names of its columns. ``above`` has what a section above it says of all its rows."""

    line: int
    texts: Mapping[str, str]
    above: Mapping[str, str] = field(default_factory=dict)

    def first(self, *columns: str) -> str | None:
        """Return the first cell of these columns that holds something."""
        for column in columns:
            name = folded(column)
            if text := self.texts.get(name) or self.above.get(name):
                return text
        return None

    def required(self, *columns: str) -> str:
        """Return the same, which must be there."""
        text = self.first(*columns)
        if text is None:
            raise self.refused("the cell is empty", columns[0])
        return text

    def refused(self, problem: str, column: str) -> FileRejected:
        """Return the error that names the line and the column."""
        return FileRejected(problem, line=self.line, field=column)

    def minor(self, column: str, currency: str) -> int:
        """Return an amount in major units, 0 where the cell is empty."""
        return minor_of(self.first(column) or "0", currency, line=self.line, field=column)


class Money(NamedTuple):
    """A movement: signed as the balance sees it, and the fee that is taken out of it."""

    amount_minor: int
    fee_minor: int = 0


@dataclass(frozen=True, slots=True)
class Stated:
    """Amounts as signed decimals: gross, fees and, where the gateway states it, net, which must agree.

    ``cost`` is 1 where a fee that costs is written without a sign, -1 where it is written as negative; 0 takes either.
    """

    gross: str
    fees: tuple[str, ...] = ()
    net: str | None = None
    cost: int = 1

    def __call__(self, cells: Cells, _: str, currency: str) -> Money:
        """Return the movement. Raises ``FileRejected``."""
        cells.required(self.gross)
        gross = cells.minor(self.gross, currency)
        fee = sum(cells.minor(column, currency) for column in self.fees)
        if self.net is None or cells.first(self.net) is None:
            return Money(gross, fee * (self.cost or 1))
        net = cells.minor(self.net, currency)
        if gross - net not in ((fee * self.cost,) if self.cost else (fee, -fee)):
            raise cells.refused("net is not gross less fees", self.net)
        return Money(gross, gross - net)


def joined(*columns: str) -> Callable[[Cells], str]:
    """Return what reads a word or an id of several columns, those that are empty left out."""

    def read(cells: Cells) -> str:
        return "/".join(filter(None, map(cells.first, columns)))

    return read


def adding(column: str, read: Callable[[Cells], str | None]) -> Callable[[tuple[Cells, ...]], tuple[Cells, ...]]:
    """Return what adds a column to all rows, of what ``read`` finds in their others."""

    def add(body: tuple[Cells, ...]) -> tuple[Cells, ...]:
        return tuple(replace(cells, texts={**cells.texts, folded(column): read(cells) or ""}) for cells in body)

    return add


def kinds_of(words: Mapping[RowKind, str]) -> Mapping[str, RowKind]:
    """Return the table of kinds by word, of the words of each kind with commas between them."""
    return MappingProxyType({word.strip(): kind for kind, texts in words.items() for word in texts.split(",")})
