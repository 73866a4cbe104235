"""Days on which banks pay, hours in which customers buy, and the zones that reports are written in."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

BERLIN = ZoneInfo("Europe/Berlin")


def easter(year: int) -> date:
    """Give Easter Sunday of the Gregorian calendar."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)


def closed(day: date) -> bool:
    """Say whether T2 is closed: weekends, New Year, Good Friday, Easter Monday, 1 May, 25 and 26 December.

    https://www.ecb.europa.eu/paym/target/t2/html/index.en.html
    """
    sunday = easter(day.year)
    feasts = {sunday - timedelta(2), sunday + timedelta(1)}
    return day.weekday() > 4 or day in feasts or (day.month, day.day) in {(1, 1), (5, 1), (12, 25), (12, 26)}


def business(day: date, later: int = 0) -> date:
    """Give the business day that is so many business days after a day, or the next one if it is none."""
    while not later and closed(day):
        day += timedelta(1)
    for _ in range(later):
        day += timedelta(1)
        while closed(day):
            day += timedelta(1)
    return day


def days(first: date, last: date) -> list[date]:
    """Give every day from the first to the last."""
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def moment(rng: random.Random, first: date, last: date) -> datetime:
    """Give a time of purchase: peaks at lunch and in the evening, and Sundays with less trade."""
    while True:
        day = first + timedelta(rng.randrange((last - first).days + 1))
        if day.weekday() == 6 and rng.random() < 0.35:
            continue
        hour = rng.choice((rng.gauss(12.6, 1.4), rng.gauss(20.1, 1.7), rng.uniform(0, 24)))
        if 0 <= hour < 24:
            local = datetime(day.year, day.month, day.day, tzinfo=BERLIN) + timedelta(hours=hour)
            return local.astimezone(UTC).replace(microsecond=0)
