"""The concurrency limit: on evidence only, as much as the gateway still does, and more again when it can."""

from __future__ import annotations

from itertools import pairwise

from payonce.routing.decision.reflex import ALARM_COUNT, GROWTH, Limit, is_alarm, step
from payonce.routing.signals.observation import GatewaySignals

SECONDS = 3.0
T0 = 1_000_000_000_000


def signals(**counts: int) -> GatewaySignals:
    return GatewaySignals(**{"started": 60, "answered": 60, "in_flight": 13, **counts}, expects=True)


def run(limit: Limit, seen: GatewaySignals, *, second: int = 0, wanted: float = 20.0) -> Limit:
    return step(
        limit,
        seen,
        now_ms=T0 + 1000 * second,
        recent_seconds=SECONDS,
        mean_seconds=0.65,
        wanted_rate=wanted,
        probe_rate=0.2,
    )


def test_a_well_gateway_has_no_limit_and_proves_what_it_serves() -> None:
    limit = run(Limit(), signals())
    assert limit.rate is None
    assert limit.proven_rate == 20.0
    assert limit.headroom_rate == 40.0


def test_a_few_slow_ones_are_no_alarm() -> None:
    assert not is_alarm(signals(slow=ALARM_COUNT - 1, answered=ALARM_COUNT - 1))
    assert not is_alarm(signals(slow=6))
    assert is_alarm(signals(slow=25))
    assert is_alarm(signals(technical=25))


def test_overdue_ones_alarm_before_anything_has_ended() -> None:
    """Fails when only what has ended is counted: a gateway that hangs altogether never alarms."""
    assert is_alarm(signals(answered=0, overdue=ALARM_COUNT))


def test_nothing_is_slow_before_anything_is_expected() -> None:
    assert not is_alarm(GatewaySignals(answered=10, overdue=60, expects=False))


def test_a_gateway_that_lost_half_gets_the_half_it_does() -> None:
    limit = run(Limit(), signals(answered=30, slow=30, overdue=20, in_flight=12))
    assert limit.rate is not None
    assert 9 <= limit.rate <= 11


def test_a_gateway_that_hangs_is_left_with_probes() -> None:
    limit = Limit()
    for second in range(8):
        limit = run(limit, signals(answered=0, overdue=40, in_flight=50), second=second)
    assert limit.rate == 0.2


def test_a_false_alarm_limits_nothing() -> None:
    limit = run(Limit(), signals(slow=30))
    assert limit.rate is not None
    assert limit.rate > 20


def test_the_limit_goes_when_it_limits_nothing_and_all_is_calm() -> None:
    limit = run(Limit(), signals(answered=30, slow=30, overdue=20, in_flight=40))
    rates = []
    for second in range(1, 60):
        served = min(20.0, limit.rate or 20.0)
        limit = run(limit, signals(answered=round(served * SECONDS), in_flight=round(served * 0.65)), second=second)
        if limit.rate is None:
            break
        rates.append(limit.rate)
    assert limit.rate is None
    assert len(rates) > 3, "not before it is calm"
    assert all(after <= GROWTH * before + 0.2 + 1e-9 for before, after in pairwise(rates))


def test_nothing_is_given_back_right_after_a_cut() -> None:
    """Fails when the limit follows every count: it would swing with the delay of its own effect."""
    limit = run(Limit(), signals(answered=60, slow=60, in_flight=20))
    assert limit.rate is not None
    cut = run(limit, signals(answered=30, slow=30, in_flight=40), second=1)
    again = run(cut, signals(answered=60, in_flight=10), second=2)
    assert cut.rate is not None
    assert again.rate == cut.rate


def full(limit: Limit, second: int) -> Limit:
    return run(limit, signals(answered=30, slow=30, overdue=10, in_flight=40), second=second)


def test_what_a_full_gateway_serves_is_what_it_can_do() -> None:
    """Fails when its proven rate is all that is remembered: as soon as the queue is gone it would get twice of it."""
    limit = run(Limit(), signals())
    assert limit.headroom_rate == 40.0
    for second in range(1, 20):
        limit = full(limit, second)
    assert limit.ceiling is not None
    assert 10 <= limit.ceiling <= 11
    for second in range(20, 28):
        limit = run(limit, signals(answered=30, in_flight=5), second=second)
    assert limit.headroom_rate <= 11, "the queue is gone, and it is not forgotten"
    released = Limit(proven_rate=20.0, ceiling=limit.ceiling, full_at_ms=limit.full_at_ms)
    assert released.headroom_rate == limit.ceiling, "weights don't go beyond it without a limit either"
    assert released.untested_rate == 40.0, "but nothing is refused for it"


def test_a_gateway_that_is_well_again_outgrows_its_ceiling() -> None:
    """Fails when a ceiling stays: the gateway would never have its share back."""
    limit = run(Limit(), signals())
    for second in range(1, 20):
        limit = full(limit, second)
    for second in range(20, 120):
        served = min(20.0, limit.headroom_rate)
        limit = run(limit, signals(answered=round(served * SECONDS), in_flight=round(served * 0.65)), second=second)
    assert limit.headroom_rate >= 20


def test_what_is_answered_badly_at_a_low_rate_gets_no_more() -> None:
    """Fails when a limit grows by itself while the few answers are slow: the route would flip at once."""
    limit = Limit(rate=1.0, concurrency=2.0, proven_rate=20.0, ceiling=10.0, at_ms=T0, alarmed_at_ms=T0, full_at_ms=T0)
    slow = run(limit, signals(answered=3, slow=3, in_flight=0), second=5)
    well = run(limit, signals(answered=3, in_flight=0), second=5)
    assert slow.rate is not None
    assert well.rate is not None
    assert slow.rate <= 1.0 < well.rate
