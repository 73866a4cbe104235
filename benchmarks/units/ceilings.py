"""Every partition key that payments write, with the payments a second at which it reaches DynamoDB's limit."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.units.partitions import READ_UNITS_PER_SECOND, WRITE_UNITS_PER_SECOND
from benchmarks.units.shop import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.units.charges import Schema
    from benchmarks.units.traffic import Traffic

    type Place = tuple[str, str, str]  # table, index, and the partition key's form

# What differs from one key to the next: ids, hashes, uuids, dates and numbers.
_VARIABLE = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}|[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{16,}|[A-Za-z0-9_-]{40,}|\d+")
MERCHANT = "{merchant}"
OWN_SHARE = 0.5  # partitions for each payment from which on a key counts as a payment's own
HOT = 0.01  # units a payment on one partition, below which a key's limit is beyond 100,000 payments a second


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A form of partition key: how many there were, and the most units that one of them took for each payment."""

    table: str
    index: str
    form: str
    partitions: int
    units: float  # write units for each payment, of all partitions together
    hottest: float  # the share of its limit that one payment a second takes of the busiest partition

    @property
    def payments_per_second(self) -> float:
        """Return the rate at which the busiest partition is full."""
        return 1 / self.hottest if self.hottest else float("inf")


def ceilings(traffic: Traffic) -> dict[Place, Ceiling]:
    """Return the ceilings of all keys that ``traffic`` writes or reads."""
    write: dict[Place, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    read: dict[Place, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    merchant = re.compile("|".join(map(re.escape, traffic.names)) or r"(?!)")
    for timed in traffic.sent:
        for charge in timed.request.charges:
            named = merchant.sub(MERCHANT, charge.partition).replace(REFERENCE, "{reference}")
            place = (charge.table, charge.index, _VARIABLE.sub("*", named))
            write[place][charge.partition] += charge.write
            read[place][charge.partition] += charge.read
    return {
        place: Ceiling(
            *place,
            partitions=len(taken),
            units=sum(taken.values()) / traffic.payments,
            hottest=max(
                max(taken.values()) / WRITE_UNITS_PER_SECOND,
                max(read[place].values()) / READ_UNITS_PER_SECOND,
            )
            / traffic.payments,
        )
        for place, taken in write.items()
    }


def rows(one: Traffic, many: Traffic, schemas: Mapping[str, Schema]) -> list[tuple[str, ...]]:
    """Return the page's rows: place, key, units, the ceiling of one merchant and of all, and what answers more."""
    alone, together = ceilings(one), ceilings(many)
    made = []
    for place in sorted({*alone, *together}):
        first, all_ = alone.get(place), together.get(place)
        shown = first or all_
        assert shown is not None
        made.append(
            (
                shown.index or shown.table,
                f"`{shown.form}`",
                f"{shown.units:.1f}",
                _limit(first, one.payments),
                _limit(all_, many.payments, merchants=many.merchants),
                _answer(first, all_, one, many),
            )
        )
    untouched = sorted(_untouched({place[:2] for place in {*alone, *together}}, schemas))
    return [*made, *((name, "", "0", "-", "-", "Not written or read by these payments.") for name in untouched)]


def _untouched(touched: set[tuple[str, str]], schemas: Mapping[str, Schema]) -> Iterable[str]:
    for schema in schemas.values():
        for index in ("", *(one.name for one in schema.indexes)):
            if (schema.name, index) not in touched:
                yield index or schema.name


def _limit(ceiling: Ceiling | None, payments: int, merchants: int = 1) -> str:
    if ceiling is None:
        return "-"
    if ceiling.partitions >= payments * OWN_SHARE:
        return "no limit"
    if merchants > 1 and MERCHANT in ceiling.form:
        return "grows with the merchants"
    if ceiling.hottest * WRITE_UNITS_PER_SECOND < HOT:
        return "no limit"
    digits = 2 - len(str(int(ceiling.payments_per_second)))
    return f"{round(ceiling.payments_per_second, digits):,.0f}"


def _answer(first: Ceiling | None, all_: Ceiling | None, one: Traffic, many: Traffic) -> str:
    """Return what answers more than the limit."""
    limits = (_limit(first, one.payments), _limit(all_, many.payments, merchants=many.merchants))
    shown = first or all_
    assert shown is not None
    if shown.partitions >= (one if first else many).payments * OWN_SHARE:
        return "Nothing has to: each payment has its own."
    if set(limits) <= {"no limit", "-"}:
        return "Nothing has to: far from a limit."
    return "More partitions for the merchant." if MERCHANT in shown.form else "More shards, for all merchants."
