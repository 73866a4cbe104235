"""Amounts, currencies, dates and texts as files write them. Each refuses what it can't read exactly."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from payonce.domain.currencies import MINOR_UNIT_EXPONENTS
from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.limits import MAX_AMOUNT_DIGITS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from decimal import Decimal

# OWASP's list for CSV injection: what a spreadsheet takes for a formula, and blanks it skips before looking.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MAX_RATE = 10**9  # of any two currencies in use
REPLACEMENT = "\ufffd"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]*))?", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_DATE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?", re.ASCII)
_INSTANT = re.compile(_DATE_TIME.pattern + r"(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)

_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[.,][0-9]{3})+", re.ASCII)
_BLANKS = str.maketrans("\u2019", "'", " \u00a0\u202f\u2009")


def neutralised(text: str) -> str:
    """Return ``text`` as a spreadsheet shows it and never runs it: a leading quote before a formula's start.

    The rows keep what the file says, because matching needs it; whatever shows or exports a text calls this.
    Source: OWASP, CSV Injection.
    """
    return "'" + text if text.lstrip(" \u00a0").startswith(FORMULA_STARTS) or text.startswith(FORMULA_STARTS) else text


def plain(text: str) -> str:
    """Return a text of a file as people may be shown it, and copy it into a spreadsheet: no formula, nothing invisible.

    Control and direction characters could make a text look like another one, and rewrite what a terminal has written.
    Escaping for HTML is the template's.
    """
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else REPLACEMENT for letter in text)
    return neutralised(text)


def shown(text: str) -> str:
    """Return a short, quoted form of a field for an error's message: a file must not write a page into it."""
    return repr(text if len(text) <= 40 else text[:40] + "…")


def currency_of(text: str, *, line: int, field: str) -> str:
    """Return an ISO 4217 code in use, in capitals."""
    code = text.strip().upper()
    if code not in MINOR_UNIT_EXPONENTS:
        raise FileRejected(f"{shown(text)} is not an ISO 4217 currency in use", line=line, field=field)
    return code


def minor_of(text: str, currency: str, *, line: int, field: str, decimal_sign: str = ".") -> int:
    """Return a decimal in major units as an integer in minor units, exactly.

    Zeros after the currency's last decimal are accepted (``18.150`` EUR); another digit there is not.
    """
    plain = text.strip()
    if decimal_sign != ".":
        plain = "refused" if "." in plain else plain.replace(decimal_sign, ".")
    matched = _NUMBER.fullmatch(plain)
    if matched is None:
        raise FileRejected(
            f"{shown(text)} is not an amount with the decimal sign {decimal_sign!r}", line=line, field=field
        )
    sign, whole, fraction = matched[1], matched[2], matched[3] or ""
    exponent = MINOR_UNIT_EXPONENTS[currency]
    kept, rest = fraction[:exponent].ljust(exponent, "0"), fraction[exponent:]
    if rest.strip("0"):
        raise FileRejected(
            f"{shown(text)} has more decimals than {currency}, which has {exponent}", line=line, field=field
        )
    digits = (whole + kept).lstrip("0")
    if len(digits) > MAX_AMOUNT_DIGITS:
        raise FileRejected(f"the amount has more than {MAX_AMOUNT_DIGITS} digits", line=line, field=field)
    return int(sign + (digits or "0"))


def number_text(text: str, *, decimal_sign: str) -> str:
    """Return an amount of a spreadsheet or an export with a point and without its thousands, else as it is.

    Thousands are told apart by the other sign, a blank or an apostrophe, in groups of three. A sign may stand behind
    the number, and brackets say minus; what is none of that is left for ``minor_of`` to refuse.
    """
    plain = text.translate(_BLANKS).replace("\u2212", "-")
    if plain.startswith("(") and plain.endswith(")"):
        plain = f"-{plain[1:-1]}"
    elif plain.endswith(("-", "+")) and plain[:1].isdigit():
        plain = plain[-1] + plain[:-1]
    other = "." if decimal_sign == "," else ","
    whole, sign, fraction = plain.partition(decimal_sign)
    if other in whole or "'" in whole:
        grouped_digits = _THOUSANDS.fullmatch(whole.replace("'", other))
        if grouped_digits is None:
            return text
        whole = whole.replace(other, "").replace("'", "")
    return whole + ("." if sign else "") + fraction


def decimal_text(amount_minor: int, currency: str) -> str:
    """Return an amount in major units with exactly the currency's decimals."""
    exponent = MINOR_UNIT_EXPONENTS[currency]
    digits = str(abs(amount_minor)).rjust(exponent + 1, "0")
    sign = "-" if amount_minor < 0 else ""
    return sign + (f"{digits[:-exponent]}.{digits[-exponent:]}" if exponent else digits)


def grouped(amount_minor: int, currency: str) -> str:
    """Return an amount in major units for people, its thousands apart: ``1,234,567.89``."""
    whole, point, fraction = decimal_text(abs(amount_minor), currency).partition(".")
    return f"{'-' if amount_minor < 0 else ''}{int(whole):,}{point}{fraction}"


def minor_rate_millionths(rate: Decimal, presented_currency: str, currency: str) -> int | None:
    """Return a rate of major units as millionths between the minor units; ``None`` for what is no rate."""
    exponent = MINOR_UNIT_EXPONENTS[currency] - MINOR_UNIT_EXPONENTS[presented_currency]
    if not rate.is_finite() or not 0 < rate < MAX_RATE:
        return None
    return round(rate.scaleb(exponent + 6)) or None


def date_of(text: str, *, line: int, field: str) -> date:
    """Return an ISO 8601 calendar date (``2026-02-28``)."""
    plain = text.strip()
    try:
        if _DATE.fullmatch(plain):
            return date.fromisoformat(plain)
    except ValueError:
        pass
    raise FileRejected(f"{shown(text)} is not a date of the form 2026-02-28", line=line, field=field)


def six_digit_date(text: str, *, line: int, field: str) -> date:
    """Return ``YYMMDD`` as a date: 80 to 99 are of the last century, as SWIFT reads them.

    29 and 30 February are real value dates of banks that count 30 days to a month; they become the month's last day.
    """
    try:
        if len(text) != 6 or not (text.isascii() and text.isdigit()):
            raise ValueError
        year, month, day = int(text[:2]), int(text[2:4]), int(text[4:])
        year += 1900 if year >= 80 else 2000
        if month == 2 and day in (29, 30):
            return date(year, 3, 1) - timedelta(days=1)
        return date(year, month, day)
    except ValueError:
        raise FileRejected(f"{shown(text)} is not a date of the form YYMMDD", line=line, field=field) from None


def instant_ms(
    text: str, *, line: int, field: str, utc_offset_minutes: int | None = None, zone: tzinfo | None = None
) -> int:
    """Return epoch milliseconds UTC of an ISO 8601 date and time.

    The text carries its offset (``Z``, ``+02:00``), unless the column or the file says which it is in
    (``utc_offset_minutes``), or somebody who knows (``zone``). A local
    time of no stated zone is refused: an hour's error would look like a break.
    """
    plain = text.strip()
    of_zone = utc_offset_minutes is not None or zone is not None
    pattern = _DATE_TIME if of_zone else _INSTANT
    try:
        if pattern.fullmatch(plain) is None:
            raise ValueError
        moment = datetime.fromisoformat(plain)
        if utc_offset_minutes is not None:
            moment = moment.replace(tzinfo=timezone(timedelta(minutes=utc_offset_minutes)))
        elif zone is not None:
            moment = moment.replace(tzinfo=zone)
        return (moment - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        wanted = "without an offset" if of_zone else "with its offset from UTC (2026-02-28T09:30:00Z)"
        raise FileRejected(f"{shown(text)} is not a date and time {wanted}", line=line, field=field) from None


def instant_text(at_ms: int | None) -> str:
    """Return an instant as the CSV formats write it, in UTC to the millisecond; "" where there is none."""
    return "" if at_ms is None else (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")


def unique(texts: Sequence[str | None]) -> tuple[str, ...]:
    """Return the texts that say something, each once, in order."""
    return tuple(dict.fromkeys(text for text in texts if text and text not in ("NONREF", "NOTPROVIDED")))
