"""The shares' detector: the beta-binomial tail, what is sound with few answers, and what is kept over a restart."""

from __future__ import annotations

import json
import math
import random
from itertools import pairwise
from typing import Any

import pytest

from payonce.routing.watch.shares import UNUSUAL_DIGITS, WARM_UP, UsualShare, _tail_digits


def learned(share: float, answers: int, *, rising: bool, swing: float = 0.0, samples: int = 700) -> UsualShare:
    source, usual = random.Random(7), UsualShare(rising=rising)
    for i in range(samples):
        now = share + swing * math.sin(2 * math.pi * i / 96)
        usual.learn(sum(source.random() < now for _ in range(answers)), answers)
    return usual


def test_the_tail_of_a_binomial_is_exact() -> None:
    """By hand: 10 or more of 50 at 5 %, and all of 40 at 1 %. Fails with a normal approximation."""
    exact = sum(math.comb(50, k) * 0.05**k * 0.95 ** (50 - k) for k in range(10, 51))
    assert _tail_digits(10, 50, 0.05, 1e-9) == pytest.approx(-math.log10(exact), abs=1e-3)
    assert _tail_digits(40, 40, 0.01, 1e-9) == pytest.approx(80, abs=1e-2)


def test_the_tail_of_a_beta_binomial_is_exact() -> None:
    """By hand: with a = b = 1 every count of 0 .. 9 is as likely, so that 8 or 9 have a fifth."""
    assert _tail_digits(8, 9, 0.5, 1 / 3) == pytest.approx(-math.log10(0.2), abs=1e-9)


def test_the_tail_grows_with_the_count_and_is_nothing_on_the_usual_side() -> None:
    digits = [_tail_digits(count, 60, 0.1, 0.01) for count in range(61)]
    assert digits[:7] == [0.0] * 7
    assert all(later > earlier for earlier, later in pairwise(digits[7:]))


def test_a_fall_of_approval_is_unusual_and_a_rise_is_not() -> None:
    """Fails when the side is not looked at."""
    usual = learned(0.85, 100, rising=False)
    assert usual.digits(50, 100) >= UNUSUAL_DIGITS
    assert usual.digits(85, 100) < 1
    assert usual.digits(100, 100) == 0


def test_a_rise_of_technical_failures_is_unusual_and_a_fall_is_not() -> None:
    usual = learned(0.005, 100, rising=True)
    assert usual.digits(12, 100) >= UNUSUAL_DIGITS
    assert usual.digits(0, 100) == 0


def test_the_same_share_of_few_answers_is_less_unusual() -> None:
    """Fails when shares are compared and not counts: 4 unknown of 40 happen by chance, 40 of 400 do not."""
    usual = learned(0.01, 200, rising=True)
    assert usual.digits(4, 40) < UNUSUAL_DIGITS <= usual.digits(40, 400)


def test_what_swings_by_the_day_is_usual() -> None:
    """Fails with the binomial tail: of 1,000 answers each night's share would be an anomaly."""
    steady, swinging = (learned(0.8, 1_000, rising=False, swing=swing) for swing in (0.0, 0.1))
    assert steady.digits(700, 1_000) >= UNUSUAL_DIGITS
    assert swinging.digits(700, 1_000) < UNUSUAL_DIGITS
    assert swinging.digits(400, 1_000) >= UNUSUAL_DIGITS


def test_nothing_is_judged_before_a_day_was_learned() -> None:
    assert learned(0.9, 50, rising=False, samples=WARM_UP - 1).digits(0, 50) == 0
    assert learned(0.9, 50, rising=False, samples=WARM_UP).digits(0, 50) >= UNUSUAL_DIGITS


def test_the_past_is_forgotten() -> None:
    """Fails without FORGET_SAMPLES: after months a new usual share would take months to be learned."""
    usual = learned(0.5, 100, rising=False, samples=3_000)
    for _ in range(3_000):
        usual.learn(90, 100)
    assert usual.share > 0.88


def test_the_usual_range_is_wider_for_fewer_answers() -> None:
    usual = learned(0.9, 100, rising=False)
    (low, high), (low_of_few, high_of_few) = usual.usual_range(1_000), usual.usual_range(40)
    assert low_of_few < low < 0.9 < high <= high_of_few <= 1


def test_a_restart_changes_nothing() -> None:
    kept = learned(0.85, 77, rising=False, swing=0.05)
    restored = UsualShare.from_json(json.loads(json.dumps(kept.to_json())), rising=False)
    for usual in (kept, restored):
        usual.learn(60, 77)
    assert restored.to_json() == kept.to_json()
    assert restored.digits(50, 77) == kept.digits(50, 77)


@pytest.mark.parametrize(
    "stored",
    [
        [1, 2],
        [1.5, 1, 1, 1, 1],
        [1, 10, 11, 0, 0],
        [1, 10, -1, 0, 0],
        [-1, 1, 1, 1, 1],
        [1, 10, 1, math.nan, 0],
        [1, 10, 1, 0, math.nan],
        [1, 1, 1, "1", 1],
        [1, 1e300, 1, 1, 1],
    ],
)
def test_a_malformed_state_is_refused(stored: Any) -> None:
    with pytest.raises(ValueError):
        UsualShare.from_json(stored, rising=True)
