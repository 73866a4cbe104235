"""The fields of MT940 that hold something: balances, movements, and the text under them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_SEQUENCE_DIGITS
from payonce.reconciliation.readers.values import currency_of, minor_of, shown, six_digit_date, unique

if TYPE_CHECKING:
    from collections.abc import Iterator

_AMOUNT = r"[0-9]+(?:,[0-9]*|\.[0-9]{1,2})?"  # a point and three digits could be thousands
_BALANCE = re.compile(rf"([DC])([0-9]{{6}})([A-Z]{{3}})({_AMOUNT})", re.ASCII)
# Value date, entry date (ASN writes four blanks for none), mark, funds code (the currency's third letter), amount,
# transaction type (ING's have two letters and a blank; Commerzbank writes a blank before it), references.
_MOVEMENT = re.compile(
    rf"([0-9]{{6}})([0-9]{{4}}| {{4}})?(RC|RD|EC|ED|C|D)([A-Z])?\s?({_AMOUNT})\s*(?:([A-Z][A-Z0-9 ]{{3}})(.*))?",
    re.ASCII | re.DOTALL,
)
_FLOOR = re.compile(r"([A-Z]{3})[DC]?[0-9,.]*", re.ASCII)
_TOTAL = re.compile(rf"([0-9]{{0,5}})([A-Z]{{3}})({_AMOUNT})", re.ASCII)
EXPECTED = ("EC", "ED")  # marks of movements that are expected and not yet booked
# C and RD put money in, D and RC take it out.
_SIGNS = {"C": 1, "RD": 1, "D": -1, "RC": -1}
_SUBFIELD = re.compile(r"\?([0-9]{2})", re.ASCII)
SUBFIELD_CHARACTERS = 27  # of ?20 to ?29 and ?60 to ?63
_PURPOSE = tuple(str(number) for number in (*range(20, 30), *range(60, 64)))
_SEPA_KEYWORD = re.compile(r"(EREF|KREF|MREF|CRED|DEBT|SVWZ|ABWA|ABWE|COAM|OAMT|PURP|IBAN|BIC)\+")
_SWIFT_KEYWORD = re.compile(r"/(EREF|NAME|REMI|MARF|BENM|ORDP|TRTP|IBAN|BIC|CSID|PREF)/")


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance: signed minor units, its currency and its day."""

    amount_minor: int
    currency: str
    day: date


@dataclass(frozen=True, slots=True)
class Movement:
    """One :61:."""

    line: int
    amount_minor: int
    booking_date: date
    value_date: date
    customer_reference: str
    bank_reference: str
    supplement: str


@dataclass(frozen=True, slots=True)
class Details:
    """What a :86: says."""

    text: str
    end_to_end_id: str | None
    customer_reference: str | None
    counterparty: str | None


def balance_of(text: str, *, line: int, field: str) -> Balance:
    """Return the balance of a :60: or :62:. Raises ``FileRejected``."""
    matched = _BALANCE.fullmatch(text.strip())
    if matched is None:
        problem = f"{shown(text)} is not a balance: C or D, YYMMDD, currency, amount with a comma"
        raise FileRejected(problem, line=line, field=field)
    currency = currency_of(matched[3], line=line, field=field)
    amount = _minor(matched[4], currency, line=line, field=field)
    day = six_digit_date(matched[2], line=line, field=field)
    return Balance(amount if matched[1] == "C" else -amount, currency, day)


def sequence_of(number: str) -> int | None:
    """Return the statement's number of a :28C: (``60/1`` is page 1 of 60), or ``None`` where it is no number."""
    statement = number.partition("/")[0].strip()
    if not (statement.isascii() and statement.isdigit() and len(statement) <= MAX_SEQUENCE_DIGITS):
        return None
    return int(statement) or None  # SWIFT leaves 0 for banks that do not number


def floor_currency(text: str, *, line: int, field: str) -> str:
    """Return the currency of a :34F:, the floor limit of an interim report. Raises ``FileRejected``."""
    matched = _FLOOR.fullmatch(text.strip())
    if matched is None:
        raise FileRejected(f"{shown(text)} is not a floor limit", line=line, field=field)
    return currency_of(matched[1], line=line, field=field)


def total_of(text: str, *, line: int, field: str) -> tuple[int | None, str, int]:
    """Return number, currency and sum of a :90C: or :90D:. Raises ``FileRejected``."""
    matched = _TOTAL.fullmatch(text.strip())
    if matched is None:
        raise FileRejected(f"{shown(text)} is not a number of entries and their sum", line=line, field=field)
    currency = currency_of(matched[2], line=line, field=field)
    count = int(matched[1]) if matched[1] else None
    return count, currency, _minor(matched[3], currency, line=line, field=field)


def _minor(text: str, currency: str, *, line: int, field: str) -> int:
    return minor_of(text, currency, line=line, field=field, decimal_sign="." if "." in text else ",")


def movement_of(lines: list[str], currency: str, *, line: int) -> Movement | None:
    """Return the movement of a :61:, ``None`` for one that is expected and not booked. Raises ``FileRejected``."""
    matched, used = _MOVEMENT.fullmatch(lines[0].rstrip()), 1
    if matched is None and len(lines) > 1:  # some programs wrap the line before its amount
        matched, used = _MOVEMENT.fullmatch(lines[0].rstrip() + lines[1].rstrip()), 2
    if matched is None:
        raise FileRejected(f"{shown(lines[0])} is not a movement", line=line, field=":61:")
    if matched[3] in EXPECTED:
        return None
    value_date = six_digit_date(matched[1], line=line, field=":61: value date")
    customer, _, bank = (matched[7] or "").partition("//")
    amount = _minor(matched[5], currency, line=line, field=":61: amount")
    return Movement(
        line=line,
        amount_minor=_SIGNS[matched[3]] * amount,
        booking_date=_entry_date(matched[2], value_date, line=line),
        value_date=value_date,
        customer_reference=customer.strip(),
        bank_reference=bank.strip(),
        supplement=" ".join(lines[used:]).strip(),
    )


def _entry_date(text: str | None, value_date: date, *, line: int) -> date:
    """Return MMDD in the year nearest to the value date: 1231 of a value date in January is last year's."""
    if text is None or not text.strip():
        return value_date
    month, day = int(text[:2]), int(text[2:])
    near: list[date] = []
    for year in (value_date.year - 1, value_date.year, value_date.year + 1):
        try:
            near.append(date(year, month, day))
        except ValueError:
            continue  # 29 February is there in a leap year only
    if not near:
        raise FileRejected(f"{shown(text)} is not a day of the form MMDD", line=line, field=":61: entry date")
    return min(near, key=lambda candidate: abs(candidate - value_date))


def details_of(lines: list[str]) -> Details:
    """Return the text under a movement, with what the German (?20) and the SWIFT (/EREF/) structures name in it."""
    joined = "".join(lines)  # a field wraps after 65 characters, wherever that is
    parts = dict(_subfields(joined))
    if parts:
        purpose = _purpose(parts)
        counterparty = (parts.get("32", "") + parts.get("33", "")).strip() or None
        text = " ".join(filter(None, (parts.get("00", "").strip(), " ".join(purpose.split("\n")).strip())))
        keywords = dict(_keyed(_SEPA_KEYWORD, purpose))
    else:
        keywords = dict(_keyed(_SWIFT_KEYWORD, joined))
        counterparty = keywords.get("NAME") or None
        text = " ".join(line.strip() for line in lines)
        keywords = keywords or dict(_keyed(_SEPA_KEYWORD, joined))
    return Details(text, _reference(keywords, "EREF"), _reference(keywords, "KREF"), counterparty)


def _reference(keywords: dict[str, str], name: str) -> str | None:
    found = unique([keywords.get(name, "").split("\n")[0].strip().strip("/")])
    return found[0] if found else None


def _purpose(parts: dict[str, str]) -> str:
    """Join the purpose's subfields: a full one goes on in the next number, any other ends a line of it."""
    text = ""
    for number, following in zip(_PURPOSE, (*_PURPOSE[1:], ""), strict=True):
        part = parts.get(number, "")
        goes_on = len(part) >= SUBFIELD_CHARACTERS and following in parts
        text += part if goes_on or not part else part + "\n"
    return text


def _subfields(text: str) -> Iterator[tuple[str, str]]:
    pieces = _SUBFIELD.split(text)
    yield from zip(pieces[1::2], pieces[2::2], strict=True)


def _keyed(keyword: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    pieces = keyword.split(text)
    for name, value in zip(pieces[1::2], pieces[2::2], strict=True):
        yield name, value.strip().strip("/")
