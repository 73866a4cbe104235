"""How long after a charge an equal one is taken for its double, per merchant. Integers and fractions only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SECOND_MS = 1_000
# Braintree refuses equal charges within 30 s, Authorize.Net within 2 min and, at most, 8 h, Helcim within 5 min, NMI
# within 20 min (their documentation of duplicate checking): the ladder spans what the field uses.
WINDOWS_SECONDS = (30, 60, 120, 300, 600, 1_200, 3_600, 7_200, 28_800)
DEFAULT_WINDOW_SECONDS = 30  # the shortest of the field, where history can't justify more
PER_CHARGES = 10_000
TARGET_PER_10_000 = 10  # one false alarm in 1,000 charges is what a person can still read through
Z = Fraction(1645, 1000)  # one-sided 95 %
# So few can be read whatever they are of, and among few charges two real doubles already look like a habit.
READABLE_PAIRS = 50
MIN_HISTORY = 3_000  # with fewer charges even a spotless history can't prove the target at 95 %
SQRT_SCALE = 10**9


class Basis(StrEnum):
    """What a window rests on."""

    HISTORY = "history"
    DEFAULT = "default"
    TOO_NOISY = "too_noisy"


class Charge(Protocol):
    """What the sweep looks at: a charge's time, and what tells a posting repeated from a sale repeated."""

    @property
    def at_ms(self) -> int:
        """When it was booked."""
        ...

    @property
    def payment_id(self) -> str:
        """Its payment."""
        ...

    @property
    def reference(self) -> str:
        """What the gateway was given."""
        ...


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

    def to_document(self) -> dict[str, Any]:
        """Return it as plain JSON; the rates as decimals, rounded up to hundredths."""
        return {
            "merchant_id": self.merchant_id,
            "window_seconds": self.window_seconds,
            "basis": self.basis.value,
            "history_charges": self.history_charges,
            "pairs": self.pairs,
            "false_positives_per_10_000": hundredths(self.false_positives_per_10_000),
            "upper_bound_per_10_000": hundredths(self.upper_bound_per_10_000),
        }


def hundredths(rate: Fraction) -> str:
    """Return a rate with two decimals, rounded up: what is promised is never less than what was measured."""
    scaled = -(-rate.numerator * 100 // rate.denominator)
    return f"{scaled // 100}.{scaled % 100:02d}"


def sweep[C: Charge](charges: Iterable[C], window_ms: int) -> Iterator[tuple[C, C]]:
    """Yield (anchor, surplus) among one payer's equal charges, sorted by time.

    An anchor is the first charge that is nobody's double; what follows within ``window_ms`` of it is surplus, and no
    anchor of its own, so three copies are two pairs. One payment or reference booked again within the window is a
    duplicate posting, which the keys do show: it is passed over.
    """
    anchor: C | None = None
    payments: set[str] = set()
    references: set[str] = set()
    for charge in charges:
        if anchor is not None and charge.at_ms - anchor.at_ms <= window_ms:
            if charge.payment_id in payments or charge.reference in references:
                continue
            payments.add(charge.payment_id)
            references.add(charge.reference)
            yield anchor, charge
        else:
            anchor, payments, references = charge, {charge.payment_id}, {charge.reference}


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


def pairs_per_window(charges: Sequence[Charge]) -> dict[int, int]:
    """Return how many of one payer's equal charges, sorted by time, are surplus, per window of the ladder."""
    return {window: sum(1 for _ in sweep(charges, window * SECOND_MS)) for window in WINDOWS_SECONDS}


def calibrate(merchant_id: str, charges: int, pairs: Mapping[int, int]) -> Calibration:
    """Return the largest window whose rate of repeats in the merchant's history is surely below the target.

    ``charges``: how many there were that were not given back, all earlier than what is judged; ``pairs``: how many of
    them are surplus by each window. Doubles nobody gave back count as legitimate: they can only shorten the window.
    Where no window is surely below the target, the default is used, unless it is surely above and would hit more than
    ``READABLE_PAIRS``; then there is none.
    """
    target = Fraction(TARGET_PER_10_000, PER_CHARGES)

    def result(window: int, basis: Basis) -> Calibration:
        repeats = pairs.get(window or DEFAULT_WINDOW_SECONDS, 0)
        return Calibration(
            merchant_id=merchant_id,
            window_seconds=window,
            basis=basis,
            history_charges=charges,
            pairs=repeats,
            false_positives_per_10_000=Fraction(repeats * PER_CHARGES, charges) if charges else Fraction(0),
            upper_bound_per_10_000=wilson(repeats, charges, upper=True) * PER_CHARGES,
        )

    if charges >= MIN_HISTORY:
        for window in reversed(WINDOWS_SECONDS):
            if wilson(pairs.get(window, 0), charges, upper=True) <= target:
                return result(window, Basis.HISTORY)
    repeats = pairs.get(DEFAULT_WINDOW_SECONDS, 0)
    if repeats > READABLE_PAIRS and wilson(repeats, charges, upper=False) > target:
        return result(0, Basis.TOO_NOISY)
    return result(DEFAULT_WINDOW_SECONDS, Basis.DEFAULT)
