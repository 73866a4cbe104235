"""The zones that reports name beside a time, and the forms in which gateways write times."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from payonce.domain.errors import FileRejected
from payonce.reconciliation.readers.values import instant_ms, shown

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

# IST (India, Israel, Ireland) and CST (Chicago, China) are not here: nobody can tell which one is meant, unless the
# zone of the account is given.
UTC_OFFSET_MINUTES = MappingProxyType(
    {
        "UTC": 0,
        "GMT": 0,
        "WET": 0,
        "BST": 60,
        "WEST": 60,
        "CET": 60,
        "CEST": 120,
        "EET": 120,
        "EEST": 180,
        "HKT": 480,
        "KST": 540,
        "NZST": 720,
        "NZDT": 780,
        "MSK": 180,
        "BRT": -180,
        "MST": -420,
        "MDT": -360,
        "CDT": -300,
        "AKST": -540,
        "AKDT": -480,
        "HST": -600,
        "EST": -300,
        "EDT": -240,
        "PST": -480,
        "PDT": -420,
        "SGT": 480,
        "JST": 540,
        "AEST": 600,
        "AEDT": 660,
    }
)
_OFFSET = re.compile(r"(?:GMT|UTC)?([+-])([0-9]{1,2}):?([0-9]{2})", re.ASCII)
_WRITTEN = re.compile(
    r"(?P<day>[0-9]{4}[-/][0-9]{2}[-/][0-9]{2})"
    r"(?:[T ]+(?P<time>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?))?\s*(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_DAY_AND_MONTH = re.compile(r"([0-9]{1,2})([/.])([0-9]{1,2})\2([0-9]{4})", re.ASCII)


@lru_cache(maxsize=256)
def zone_named(name: str) -> tzinfo | None:
    """Return the zone of an abbreviation of one offset, an offset, or a name of the IANA; ``None`` for another."""
    if name.upper() in UTC_OFFSET_MINUTES:
        return timezone(timedelta(minutes=UTC_OFFSET_MINUTES[name.upper()]))
    if (matched := _OFFSET.fullmatch(name)) is not None:
        minutes = int(matched[2]) * 60 + int(matched[3])
        return timezone(timedelta(minutes=-minutes if matched[1] == "-" else minutes)) if minutes < 24 * 60 else None
    return known_zone(name) if "/" in name else None


def known_zone(name: str) -> ZoneInfo | None:
    """Return the zone of a name of the IANA, or ``None``."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def states_zone(text: str) -> bool:
    """Return whether a time has an offset of its own."""
    matched = _WRITTEN.fullmatch(text)
    return matched is not None and matched["zone"] is not None


def instant_of(text: str, *, line: int, field: str, zone: tzinfo | None) -> int:
    """Return epoch milliseconds UTC of a gateway's time, in its own offset or else in ``zone``.

    A day alone is its midnight. Read are ISO 8601, slashes for hyphens, seconds left out, an offset after a blank.
    """
    matched = _WRITTEN.fullmatch(text)
    if matched is None:
        raise FileRejected(f"{shown(text)} is not a date and time", line=line, field=field)
    stated = (
        None if matched["zone"] is None else (UTC if matched["zone"] in ("Z", "UTC") else zone_named(matched["zone"]))
    )
    if (known := stated or zone) is None:
        problem = "the file does not say the zone of its times; give the zone of the account"
        raise FileRejected(problem, line=line, field=field)
    hours, _, rest = (matched["time"] or "00:00").partition(":")
    seconds, point, fraction = (rest if ":" in rest else rest + ":00").partition(".")
    whole = f"{matched['day'].replace('/', '-')} {hours.rjust(2, '0')}:{seconds}{point}{fraction[:6]}"
    return instant_ms(whole, line=line, field=field, zone=known)


def day_first(texts: Iterable[str]) -> bool | None:
    """Return whether dates such as 31/12/2026 begin with the day, as all of a file do; ``None`` if nobody can tell.

    Points do (31.12.2026), a number over 12 does; failing that the order of the rows, which are sorted by time, where
    one reading has one.
    """
    matches = [matched for text in texts if (matched := _DAY_AND_MONTH.match(text))]
    if all(matched[2] == "." for matched in matches):
        return True
    found = [(int(matched[1]), int(matched[3]), int(matched[4])) for matched in matches]
    readings = {
        True: [(year, month, day) for day, month, year in found],
        False: [(year, month, day) for month, day, year in found],
    }
    possible = {first: days for first, days in readings.items() if all(month <= 12 for _, month, _ in days)}
    if len({tuple(days) for days in possible.values()}) > 1:
        sorted_ones = {first: days for first, days in possible.items() if sorted(days) in (days, days[::-1])}
        possible = sorted_ones if len(sorted_ones) == 1 else {}
    return next(iter(possible), None)


def with_year_first(text: str, first: bool | None, *, line: int, field: str) -> str:
    """Return ``31/12/2026 …`` as ``2026-12-31 …``, and any other text as it is."""
    matched = _DAY_AND_MONTH.match(text)
    if matched is None:
        return text
    if first is None:
        problem = f"of {shown(text)} nobody can tell the month; take a report with a day after the 12th"
        raise FileRejected(problem, line=line, field=field)
    day, month = (matched[1], matched[3]) if first else (matched[3], matched[1])
    return f"{matched[4]}-{month.rjust(2, '0')}-{day.rjust(2, '0')}{text[matched.end() :]}"
