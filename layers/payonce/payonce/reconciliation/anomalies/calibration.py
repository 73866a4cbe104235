"""How long after a charge an equal one is taken for its double, per merchant. Integers and fractions only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECOND_MS = 1_000
# Braintree refuses equal charges within 30 s, Authorize.Net within 2 min and, at most, 8 h, Helcim within 5 min, NMI
# within 20 min (their documentation of duplicate checking): the ladder spans what the field uses.
WINDOWS_SECONDS = (30, 60, 120, 300, 600, 1_200, 3_600, 7_200, 28_800)
DEFAULT_WINDOW_SECONDS = 30  # the shortest of the field, where history can't justify more
PER_CHARGES = 10_000
TARGET_PER_10_000 = 10  # one false alarm in 1,000 charges is what a person can still read through
Z = Fraction(1645, 1000)  # one-sided 95 %
MIN_HISTORY = 3_000  # with fewer charges even a spotless history can't prove the target at 95 %
SQRT_SCALE = 10**9


class Basis(StrEnum):
    """What a window rests on."""

    HISTORY = "history"
    DEFAULT = "default"
    TOO_NOISY = "too_noisy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One merchant's window. ``window_seconds`` 0: equal charges are too usual here for any to be suspect.

    ``false_positives_per_10_000`` is the rate of repeats within the window in ``history_charges`` charges, which holds
    ``pairs`` of them; ``upper_bound_per_10_000`` is its one-sided 95 % Wilson bound. For ``too_noisy`` they are those
    of the shortest window.
    """

    merchant_id: str
    window_seconds: int
    basis: Basis
    history_charges: int
    pairs: int
    false_positives_per_10_000: Fraction
    upper_bound_per_10_000: Fraction


def flagged(times_ms: Sequence[int], window_ms: int) -> int:
    """Return how many of one payer's equal charges, sorted by time, fall within ``window_ms`` after their anchor.

    An anchor is the first charge that is nobody's double; this is the sweep of the detector itself.
    """
    count, anchor = 0, None
    for at in times_ms:
        if anchor is not None and at - anchor <= window_ms:
            count += 1
        else:
            anchor = at
    return count


def wilson(successes: int, trials: int, *, upper: bool) -> Fraction:
    """Return the one-sided 95 % bound of a rate, rounded outwards (Wilson 1927, score interval)."""
    if trials == 0:
        return Fraction(1 if upper else 0)
    z2 = Z * Z
    under = Fraction(successes * (trials - successes), trials) + z2 / 4
    floor = isqrt(int(under * SQRT_SCALE**2))
    root = Z * Fraction(floor + 1, SQRT_SCALE)
    centre = successes + z2 / 2
    bound = (centre + root if upper else centre - root) / (trials + z2)
    return max(Fraction(0), min(Fraction(1), bound))


def calibrate(merchant_id: str, history: Iterable[Sequence[int]]) -> Calibration:
    """Return the largest window whose rate of repeats in ``history`` is surely below the target.

    ``history``: for each (payer, currency, amount) the sorted times of charges that were not given back. All must be
    earlier than what is judged. Doubles nobody gave back count as legitimate: they can only shorten the window. Where
    no window is surely below the target, the default is used unless it is surely above; then there is none.
    """
    groups = list(history)
    charges = sum(len(times) for times in groups)
    repeating = [times for times in groups if len(times) > 1]
    target = Fraction(TARGET_PER_10_000, PER_CHARGES)

    def result(window: int, basis: Basis, pairs: int) -> Calibration:
        rate = Fraction(pairs * PER_CHARGES, charges) if charges else Fraction(0)
        bound = wilson(pairs, charges, upper=True) * PER_CHARGES
        return Calibration(
            merchant_id=merchant_id,
            window_seconds=window,
            basis=basis,
            history_charges=charges,
            pairs=pairs,
            false_positives_per_10_000=rate,
            upper_bound_per_10_000=bound,
        )

    def pairs_in(window: int) -> int:
        return sum(flagged(times, window * SECOND_MS) for times in repeating)

    if charges >= MIN_HISTORY:
        for window in reversed(WINDOWS_SECONDS):
            pairs = pairs_in(window)
            if wilson(pairs, charges, upper=True) <= target:
                return result(window, Basis.HISTORY, pairs)
    pairs = pairs_in(DEFAULT_WINDOW_SECONDS)
    if wilson(pairs, charges, upper=False) > target:
        return result(0, Basis.TOO_NOISY, pairs)
    return result(DEFAULT_WINDOW_SECONDS, Basis.DEFAULT, pairs)
