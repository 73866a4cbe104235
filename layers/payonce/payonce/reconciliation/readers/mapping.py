"""What the columns of a bank's table mean: read from TOML, applied to any CSV, workbook or QIF file.

A mapping states what the file does not: separator, encoding, decimal sign, date form, sign, account and currency.
Nothing is guessed while reading; ``propose`` guesses once, for a person to look at.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.extras import needs
from payonce.reconciliation.readers.values import shown

with needs("reconcile"):
    from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    from collections.abc import Iterable

Name = Annotated[str, Field(min_length=1, max_length=200)]
Names = Annotated[list[Name], Field(max_length=20)]
ENCODINGS = ("utf-8", "cp1252", "iso-8859-1", "iso-8859-15", "cp1250", "iso-8859-2", "cp437", "cp850", "mac-roman")
DATE_PARTS = {"YYYY": r"(?P<year>[0-9]{4})", "YY": r"(?P<year>[0-9]{2})", "MM": r"(?P<month>[0-9]{1,2})"}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PART = re.compile(r"YYYY|YY|MMM|MM|DD")
PIVOT = 80  # YY from 80 on is of the last century, as SWIFT reads it


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Columns(_Table):
    """``[columns]``: the header's names. ``amount``, or ``debit`` and ``credit``; of texts as many as say something.

    ``direction`` holds a word beside an amount without sign. ``balance`` is the balance after the line.
    """

    booking_date: Name
    value_date: Name | None = None
    amount: Name | None = None
    debit: Name | None = None
    credit: Name | None = None
    direction: Name | None = None
    balance: Name | None = None
    account: Name | None = None
    currency: Name | None = None
    reference: Names = Field(default_factory=list)
    end_to_end_id: Name | None = None
    counterparty: Name | None = None
    description: Names = Field(default_factory=list)

    @property
    def named(self) -> list[str]:
        """Every column that the mapping needs."""
        singles = (getattr(self, name) for name in type(self).model_fields if name not in ("reference", "description"))
        return list(dict.fromkeys(name for name in (*singles, *self.reference, *self.description) if name))

    @model_validator(mode="after")
    def _one_amount(self) -> Columns:
        if (self.amount is None) == (self.debit is None and self.credit is None):
            raise ValueError("name either amount, or debit and credit")
        if self.direction is not None and self.amount is None:
            raise ValueError("direction needs amount")
        return self


class ColumnMapping(_Table):
    """One kind of table. ``account`` and ``currency`` are those of all its lines, where it has no column of them."""

    columns: Columns
    account: Name | None = None
    currency: str | None = None
    separator: Literal[",", ";", "\t", "|"] = ","
    encoding: Literal[ENCODINGS] = "utf-8"  # type: ignore[valid-type] # one list says which
    decimal_sign: Literal[".", ","] = "."
    date_form: str = "YYYY-MM-DD"
    sign: Literal["as_written", "reversed"] = "as_written"
    debit_words: Names = Field(default_factory=lambda: ["D", "DR", "Debit", "S", "Soll", "Af", "-"])
    credit_words: Names = Field(default_factory=lambda: ["C", "CR", "Credit", "H", "Haben", "Bij", "+"])
    sheet: Name | None = None

    @model_validator(mode="after")
    def _stated(self) -> ColumnMapping:
        if self.account is None and self.columns.account is None:
            raise ValueError("name the account, or its column")
        if self.currency is None and self.columns.currency is None:
            raise ValueError("name the currency, or its column")
        if self.currency is not None and self.currency not in MINOR_UNIT_EXPONENTS:
            raise ValueError("currency is not an ISO 4217 currency in use, in capitals")
        parts = sorted(_PART.findall(self.date_form))
        if parts not in (["DD", "MM", "YYYY"], ["DD", "MM", "YY"], ["DD", "MMM", "YYYY"], ["DD", "MMM", "YY"]):
            raise ValueError("date_form has DD, MM (or MMM: Jan), and YYYY or YY, once each")
        return self

    def fits(self, header: Iterable[str]) -> bool:
        """Return whether the header has every column that is named."""
        return set(self.columns.named) <= set(header)

    def day_of(self, text: str, *, line: int, field: str) -> date:
        """Return a date in the mapping's form; a time behind it is left out. Raises ``FileRejected``."""
        return parse_day(text, self.date_form, line=line, field=field)


def parse_day(text: str, form: str, *, line: int, field: str) -> date:
    """Return the date. Raises ``FileRejected``."""
    matched = _pattern(form).match(text.strip().lower())
    if matched is not None:
        year, month, day = int(matched["year"]), matched["month"], int(matched["day"])
        year += 0 if len(matched["year"]) == 4 else (1900 if year >= PIVOT else 2000)
        try:
            return date(year, int(month) if month.isdigit() else MONTHS.index(month) + 1, day)
        except ValueError:
            pass
    raise FileRejected(f"{shown(text)} is not a date of the form {form}", line=line, field=field)


@lru_cache(maxsize=64)
def _pattern(form: str) -> re.Pattern[str]:
    text = re.escape(form).replace("YYYY", "\0y").replace("YY", "\0s").replace("MMM", "\0n")
    text = text.replace("MM", "\0m").replace("DD", "\0d").lower()
    for mark, pattern in (
        ("\0y", DATE_PARTS["YYYY"]),
        ("\0s", DATE_PARTS["YY"]),
        ("\0n", f"(?P<month>{'|'.join(MONTHS)})[a-z]*"),
        ("\0m", DATE_PARTS["MM"]),
        ("\0d", r"(?P<day>[0-9]{1,2})"),
    ):
        text = text.replace(mark, pattern)
    return re.compile(text + r"(?![0-9])", re.ASCII)
