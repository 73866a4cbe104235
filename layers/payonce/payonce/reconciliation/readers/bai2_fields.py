"""The fields of BAI2's account (03) and detail (16) records, with the funds types that change how many there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_AMOUNT_DIGITS
from payonce.reconciliation.readers.values import shown, six_digit_date, unique

if TYPE_CHECKING:
    from datetime import date

_AMOUNT = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_TYPE_CODE = re.compile(r"[0-9]{3}", re.ASCII)
FUNDS_TYPES = ("", "0", "1", "2", "S", "V", "D", "Z")
MAX_DISTRIBUTIONS = 99  # the specification's two digits
# Detail type codes: the common ones, and those that banks define for themselves, whose side the specification fixes.
CREDITS, DEBITS = range(100, 400), range(400, 700)
CUSTOM_CREDITS, CUSTOM_DEBITS = range(920, 960), range(960, 1000)
NOTE = "890"  # a text without money


@dataclass(frozen=True, slots=True)
class Bai2Summary:
    """One status or summary of an account: its type code, its amount and, if stated, its number of items."""

    type_code: str
    amount_minor: int
    item_count: int | None


@dataclass(frozen=True, slots=True)
class Bai2Line:
    """One detail record, its amount signed by its type code.

    ``stated_minor`` is what the file's control totals count of it. ``sign`` is 0 for a record that moves no money in
    the account, as far as its type code tells: a note, or a loan's.
    """

    line: int
    type_code: str
    sign: int
    stated_minor: int
    value_date: date | None
    references: tuple[str, ...]
    text: str

    @property
    def amount_minor(self) -> int:
        """The amount as the account sees it: positive is money in."""
        return self.sign * self.stated_minor

    @property
    def is_custom(self) -> bool:
        """Whether the type code is the bank's own."""
        return int(self.type_code) >= CUSTOM_CREDITS.start


def bai2_date(text: str, *, line: int, field: str) -> date:
    """Return ``YYMMDD``, or the ``YYYYMMDD`` that some banks write in version 3, as a date."""
    return six_digit_date(text.removeprefix("20") if len(text) == 8 else text, line=line, field=field)


def amount_of(text: str, *, line: int, field: str) -> int:
    """Return a whole number, which may carry a sign and leading zeros."""
    if not _AMOUNT.fullmatch(text) or len(text.lstrip("+-0")) > MAX_AMOUNT_DIGITS:
        raise FileRejected(
            f"{shown(text)} is not a whole number of at most {MAX_AMOUNT_DIGITS} digits", line=line, field=field
        )
    return int(text)


class _Fields:
    """A cursor over fields that ends softly: trailing empty fields may be left out."""

    def __init__(self, fields: list[str], line: int) -> None:
        self.fields = fields
        self.line = line
        self.at = 0

    def next(self) -> str:
        text = self.fields[self.at].strip() if self.at < len(self.fields) else ""
        self.at += 1
        return text

    def funds(self, record: str) -> date | None:
        """Read a funds type and the fields it brings; return the value date if it is one."""
        kind = self.next().upper()
        name = f"{record} funds type"
        if kind not in FUNDS_TYPES:
            raise FileRejected(f"{shown(kind)} is not a funds type", line=self.line, field=name)
        if kind == "V":
            day, _time = self.next(), self.next()
            return bai2_date(day, line=self.line, field=f"{record} value date") if day else None
        if kind == "S":
            for _ in range(3):
                self._optional_amount(name)
        if kind == "D":
            count = amount_of(self.next(), line=self.line, field=name)
            if not 0 <= count <= MAX_DISTRIBUTIONS:
                raise FileRejected(f"{count} distributions are too many", line=self.line, field=name)
            for _ in range(2 * count):
                self._optional_amount(name)
        return None

    def _optional_amount(self, name: str) -> None:
        text = self.next()
        if text:
            amount_of(text, line=self.line, field=name)


def summaries_of(fields: list[str], *, line: int) -> list[Bai2Summary]:
    """Return an account record's statuses and summaries."""
    cursor = _Fields(fields, line)
    found: list[Bai2Summary] = []
    seen: set[str] = set()
    # Scanning what is left for each entry would be quadratic: the last field that says something is found once.
    end = max((index + 1 for index, text in enumerate(fields) if text.strip()), default=0)
    while cursor.at < end:
        code = cursor.next()
        amount, count = cursor.next(), cursor.next()
        cursor.funds("03")
        if not code and not amount:
            continue
        if not _TYPE_CODE.fullmatch(code):
            raise FileRejected(f"{shown(code)} is not a type code of three digits", line=line, field="03 type code")
        name = f"03 {code}"
        items = amount_of(count, line=line, field=f"{name} item count") if count else None
        if code in seen:
            raise FileRejected("the type is stated twice", line=line, field=name)
        seen.add(code)
        found.append(Bai2Summary(code, amount_of(amount, line=line, field=name) if amount else 0, items))
    return found


def detail_of(fields: list[str], *, line: int) -> Bai2Line:
    """Return a detail record. Its text is the last field and may hold commas."""
    cursor = _Fields(fields, line)
    code = cursor.next()
    if not _TYPE_CODE.fullmatch(code):
        raise FileRejected(f"type code {shown(code)} has not three digits", line=line, field="16 type code")
    stated = cursor.next()
    if not stated and code != NOTE:
        raise FileRejected("there is no amount", line=line, field="16 amount")
    amount = amount_of(stated or "0", line=line, field="16 amount")
    if amount < 0:
        raise FileRejected("a detail's amount has no sign", line=line, field="16 amount")
    value_date = cursor.funds("16")
    bank_reference, customer_reference = cursor.next(), cursor.next()
    text = ",".join(fields[cursor.at :]).strip()
    references = unique([customer_reference, bank_reference])
    return Bai2Line(line, code, _sign_of(int(code)), amount, value_date, references, text)


def _sign_of(code: int) -> int:
    if code in CREDITS or code in CUSTOM_CREDITS:
        return 1
    return -1 if code in DEBITS or code in CUSTOM_DEBITS else 0
