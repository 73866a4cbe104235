"""The width of a lane follows the receiver: up while it is quick, down when it slows or fails, always within bounds."""

from __future__ import annotations

from payonce.webhooks.pace import FIRST_WIDTH, MOST_WIDTH, Pace

QUICK_MS, SLOW_MS = 100, 1_000


def answered(pace: Pace, latency_ms: int, times: int) -> Pace:
    for _ in range(times):
        pace.accepted(latency_ms)
    return pace


def test_it_grows_by_one_for_each_quick_answer_up_to_the_bound() -> None:
    pace = answered(Pace(), QUICK_MS, 5)
    assert (pace.width, pace.reduced) == (FIRST_WIDTH + 5, False)
    assert answered(pace, QUICK_MS, 1_000).width == MOST_WIDTH


def test_ordinary_variation_does_not_reduce_it() -> None:
    """Fails without the slack: 2 ms and 9 ms are both quick."""
    pace = answered(Pace(), 2, 1)
    assert answered(pace, 9, 3).width == FIRST_WIDTH + 4


def test_an_answer_in_between_changes_nothing() -> None:
    pace = answered(Pace(), QUICK_MS, 1)
    pace.accepted(3 * QUICK_MS)
    assert (pace.width, pace.reduced) == (FIRST_WIDTH + 1, False)


def test_slow_answers_and_failures_reduce_it_to_one_and_no_further() -> None:
    """Fails when a receiver that queues what it gets is given as much as ever."""
    pace = answered(answered(Pace(), QUICK_MS, 10), SLOW_MS, 5)
    assert (pace.width, pace.reduced) == (FIRST_WIDTH + 10 - 5, True)
    pace.failed()
    assert pace.width == (FIRST_WIDTH + 5) // 2
    for _ in range(10):
        pace.failed()
    assert pace.width == 1


def test_a_receiver_that_is_slow_for_good_is_not_held_down_for_ever() -> None:
    """Fails when the quickest answer is never forgotten."""
    pace = answered(answered(Pace(), QUICK_MS, 1), SLOW_MS, 50)
    assert pace.width == 1
    assert answered(pace, SLOW_MS, 2_000).width == MOST_WIDTH


def test_a_session_begins_with_a_quarter_and_with_what_was_the_quickest() -> None:
    """Fails when a receiver's queue, which our own load has made, counts as its ordinary latency."""
    pace = Pace.after(MOST_WIDTH, QUICK_MS)
    assert (pace.width, pace.quickest_ms) == (MOST_WIDTH // 4, QUICK_MS)
    assert answered(pace, SLOW_MS, 1).width == MOST_WIDTH // 4 - 1
    assert Pace.after(1, QUICK_MS).width == 1


def test_a_receiver_that_becomes_quick_gets_more_at_once() -> None:
    pace = answered(Pace(width=1), SLOW_MS, 1)
    assert answered(pace, QUICK_MS, 20).width == 22
