"""Calibrates per merchant the window within which an equal charge counts as a double. Integers and fractions only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any, Protocol

from payonce.domain.durations import SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Braintree refuses equal charges within 30 s, Authorize.Net within 2 min and, at most, 8 h, Helcim within 5 min, NMI
# within 20 min (their documentation of duplicate checking): the ladder spans what the field uses.
WINDOWS_SECONDS = (30, 60, 120, 300, 600, 1_200, 3_600, 7_200, 28_800)
DEFAULT_WINDOW_SECONDS = 30  # the shortest in the field, for a merchant whose history can't justify a longer one
PER_CHARGES = 10_000
TARGET_PER_10_000 = 10  # one false alarm in 1,000 charges, which a person can still review
Z = Fraction(1645, 1000)  # one-sided 95 %
# So few can be read whatever they are of, and among few charges two real doubles already look like a habit.
READABLE_PAIRS = 50
MIN_HISTORY = 3_000  # with fewer charges even a spotless history can't prove the target at 95 %
SQRT_SCALE = 10**9


class Basis(StrEnum):
    """The reason for a window's length."""

    HISTORY = "history"
    DEFAULT = "default"
    TOO_NOISY = "too_noisy"


class Charge(Protocol):
    """A charge as ``sweep`` needs it: its time, and the ids that tell a repeated posting from a repeated sale."""

    @property
    def at_ms(self) -> int:
        """Return when it was booked, in epoch milliseconds."""
        ...

    @property
    def payment_id(self) -> str:
        """Return the id of its payment."""
        ...

    @property
    def reference(self) -> str:
        """Return the reference sent to the gateway."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One merchant's window. ``window_seconds`` is 0 if equal charges are too common for any to be suspect.

    ``false_positives_per_10_000`` is the rate of repeats within the window, ``pairs`` in ``history_charges`` charges;
    ``upper_bound_per_10_000`` is its one-sided 95 % Wilson bound. For ``too_noisy`` they are those of the shortest
    window.
    """

    merchant_id: str
    window_seconds: int
    basis: Basis
    history_charges: int
    pairs: int
    false_positives_per_10_000: Fraction
    upper_bound_per_10_000: Fraction

    def to_document(self) -> dict[str, Any]:
        """Return the window as plain JSON, with the rates as decimals, rounded up to hundredths."""
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
    """Return a rate with two decimals, rounded up so that it never understates the measured one."""
    scaled = -(-rate.numerator * 100 // rate.denominator)
    return f"{scaled // 100}.{scaled % 100:02d}"


def sweep[C: Charge](charges: Iterable[C], window_ms: int) -> Iterator[tuple[C, C]]:
    """Yield the pairs (anchor, surplus) among one payer's equal charges, sorted by time.

    An anchor is a charge that is surplus to no other. Charges within ``window_ms`` after it are surplus and not anchors
    themselves, so that three copies are two pairs. The same payment or reference booked again within the window is
    skipped: it is a duplicate posting, which the rules find by its key.
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
    """Return for each window of the ladder how many of one payer's equal charges, sorted by time, are surplus."""
    return {window: sum(1 for _ in sweep(charges, window * SECOND_MS)) for window in WINDOWS_SECONDS}


def calibrate(merchant_id: str, charges: int, pairs: Mapping[int, int]) -> Calibration:
    """Return the largest window whose rate of repeats in the merchant's history is, at 95 %, below the target.

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
