"""Charges that the gateway converted: several a day and pair of currencies, close to the day's rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.reconciliation_injector.model import DAY_MS, HOUR_MS, Payment, Shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.reconciliation_injector.maker import Maker

CHARGES_A_DAY = 7  # one that is off leaves the median of the others
SPREAD_BASIS_POINTS = 30  # of a clean world; two such charges are less than the tolerance of 100 apart
# gateway, presented, settled in, minor units settled of a billion presented, usual amounts presented
PAIRS = (
    ("northpay", "USD", "EUR", 915_000_000, (9_000, 90_000)),
    ("northpay", "JPY", "EUR", 612_000_000, (9_000, 400_000)),
    ("southpay", "KWD", "GBP", 257_000_000, (30_000, 900_000)),
)


def converted_days(maker: Maker, count: int) -> Iterator[list[Payment]]:
    """Yield ``count`` times the charges of one day and pair; no day and pair comes twice."""
    days = range(1, 37)
    cells = [(day, pair) for day in days for pair in PAIRS]
    for day, pair in maker.rng.sample(cells, min(count, len(cells))):
        rate = pair[3] + pair[3] * maker.rng.randrange(-300, 300) // 10_000
        start = maker.window.start_ms + day * DAY_MS
        yield [_charge(maker, pair, rate, start) for _ in range(CHARGES_A_DAY)]


def _charge(maker: Maker, pair: tuple[str, str, str, int, tuple[int, int]], rate: int, start_ms: int) -> Payment:
    gateway, presented, settled_in, _, (least, most) = pair
    payment = maker.payment(Shape.CONVERTED, gateway, presented)
    amount = maker.rng.randrange(least, most)
    at = start_ms + maker.rng.randrange(HOUR_MS, 23 * HOUR_MS)
    reference = maker.posted(payment, amount, at).reference
    own = rate + rate * maker.rng.randrange(-SPREAD_BASIS_POINTS, SPREAD_BASIS_POINTS) // 10_000
    settled = (amount * own + 500_000_000) // 1_000_000_000
    maker.report(payment, reference, settled, at + 2_000, currency=settled_in)
    payment.reported[-1] = replace(payment.reported[-1], presented_minor=amount, presented_currency=presented)
    return payment
