"""The pace of a lane: what it does when the gateway answers, refuses, is silent, and comes back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from payonce.recovery.lanes import (
    AHEAD_SECONDS,
    FIRST_PAUSE_MS,
    LONGEST_PAUSE_MS,
    MOST_REQUESTS,
    OUTAGE_MS,
    SILENT_AFTER,
    Asked,
    Lane,
)

START_MS = 1_800_000_000_000
BOUND = 150.0


class Hand:
    """Plays the feeder and a gateway by hand: a second at a time."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.now_ms = START_MS
        self.total = Asked()

    def second(self, *, requests_per_claim: int = 2, unanswered_share: float = 0.0) -> int:
        """Release, ask all of it, report, and let a second pass; return how many claims there were."""
        claims = self.lane.allowance(self.now_ms)
        self.lane.release(claims, self.now_ms)
        requests = requests_per_claim * claims
        self.report(claims, requests, round(requests * unanswered_share))
        return claims

    def report(self, claims: int, requests: int, unanswered: int) -> None:
        self.now_ms += 1_000
        before = self.total
        self.total = Asked(before.claims + claims, before.requests + requests, before.unanswered + unanswered)
        self.lane.hear(self.total, self.now_ms)


def answering() -> Hand:
    """Return a lane at its full pace."""
    hand = Hand(Lane(BOUND))
    for _ in range(30):
        hand.second()
    assert hand.lane.pace == BOUND
    return hand


def test_a_lane_that_nobody_has_heard_of_is_asked_with_one_claim_first() -> None:
    """Fails when a gateway that may be down is met by the whole backlog."""
    hand = Hand(Lane(BOUND))
    assert hand.lane.allowance(hand.now_ms) == 1
    hand.lane.release(1, hand.now_ms)
    assert hand.lane.allowance(hand.now_ms + FIRST_PAUSE_MS - 1) == 0
    assert hand.lane.allowance(hand.now_ms + FIRST_PAUSE_MS) == 1


def test_the_pace_grows_to_the_bound_and_never_beyond() -> None:
    """Fails when a recovered gateway gets its whole backlog at once, or ever more than what it takes."""
    hand = Hand(Lane(BOUND))
    claims = [hand.second() for _ in range(30)]
    assert claims[1] <= BOUND / 8
    assert all(later <= 2 * earlier + 2 for earlier, later in pairwise(claims[1:]))
    assert sum(claims[10:]) * MOST_REQUESTS <= 20 * BOUND + BOUND / 2
    assert sum(claims[10:]) * MOST_REQUESTS >= 20 * BOUND * 0.97


def test_claims_that_take_one_request_come_at_twice_the_pace() -> None:
    """Fails when a backlog of executed payments, which are only asked about, is drained at half the gateway's rate."""
    hand = answering()
    claims = [hand.second(requests_per_claim=1) for _ in range(20)]
    assert sum(claims[5:]) >= 15 * BOUND * 0.9


@pytest.mark.parametrize("bound", [1.0, 3.0, 7.5, 25.0])
def test_no_second_has_more_than_the_pace_and_a_tenth(bound: float) -> None:
    """Fails when a slow gateway gets what it could not be asked a second before, and refuses it."""
    hand = Hand(Lane(bound))
    for _ in range(60):
        hand.second()
    claims = [hand.second() for _ in range(60)]
    assert 2 * max(claims) <= max(1.1 * bound, 2)
    assert 2 * sum(claims) >= 0.6 * 60 * bound


def test_requests_that_go_unanswered_slow_it_down_and_it_comes_back_in_steps() -> None:
    """Fails when a gateway that refuses a third goes on being asked as before."""
    hand = answering()
    before = hand.second()
    hand.second(unanswered_share=0.3)
    hand.second(unanswered_share=0.3)
    assert hand.second() < 0.8 * before
    assert hand.lane.pace < BOUND
    paces = []
    while hand.lane.pace < BOUND:
        hand.second()
        paces.append(hand.lane.pace)
    assert 5 < len(paces) < 30


def test_a_few_unanswered_requests_are_no_trouble() -> None:
    """Fails when a gateway that leaves one in twenty unanswered, or has one bad second, is asked ever more slowly."""
    hand = answering()
    for _ in range(60):
        hand.second(unanswered_share=0.05)
    hand.second(unanswered_share=0.2)
    assert hand.lane.pace == BOUND


def test_a_gateway_that_falls_silent_is_only_probed_and_ever_more_seldom() -> None:
    """Fails when a gateway that is down is hammered: in an hour of silence it gets less than a probe every 14 s."""
    hand = answering()
    hand.second(unanswered_share=1.0)
    assert not hand.lane.answers
    probes = 0
    for _ in range(3_600):
        probes += hand.second(unanswered_share=1.0)
    assert 200 < probes < 3_600 * 1_000 / LONGEST_PAUSE_MS + 10


def test_a_silence_is_probed_after_2_4_8_and_then_every_15_seconds_and_each_silence_so() -> None:
    """Fails when the first probe is sent at once, when pauses grow otherwise, or a second silence starts with 15 s."""
    hand = answering()
    for _ in range(2):
        hand.report(0, SILENT_AFTER, SILENT_AFTER)
        pauses, last_ms = list[int](), hand.now_ms
        while len(pauses) < 5:
            hand.now_ms += 1
            if claims := hand.lane.allowance(hand.now_ms):
                assert claims == 1
                hand.lane.release(1, hand.now_ms)
                pauses.append(hand.now_ms - last_ms)
                last_ms = hand.now_ms
        assert pauses == [2_000, 2_000, 4_000, 8_000, 15_000]
        hand.report(1, 1, 0)
        assert hand.lane.answers


def test_a_gateway_that_is_back_begins_with_the_first_pace() -> None:
    """Fails when the first second has more than the start, when probes whose report was lost count as under way, or
    when what was unanswered before slows it down again.
    """
    hand = Hand(Lane(152.0))
    for _ in range(30):
        hand.second()
    hand.report(10, 100, 30)  # weighted, just tolerated
    hand.report(0, SILENT_AFTER, SILENT_AFTER)
    for _ in range(3):
        hand.now_ms = hand.lane.probe_at_ms
        hand.lane.release(hand.lane.allowance(hand.now_ms), hand.now_ms)
    hand.report(1, 2, 0)
    lane = hand.lane
    assert (lane.answers, lane.pace) == (True, 152.0 / 8)
    assert lane.allowance(hand.now_ms) == int(lane.pace / lane.cost)
    lane.limit = 3.0
    assert lane.allowance(hand.now_ms) == 3
    hand.report(5, 10, 2)
    assert lane.pace > 152.0 / 8


def test_fewer_than_five_in_a_row_are_no_silence() -> None:
    hand = answering()
    hand.report(0, 4, 4)
    assert hand.lane.answers
    hand.report(0, 1, 0)
    hand.report(0, 4, 4)
    assert hand.lane.answers
    hand.report(0, 1, 1)
    assert not hand.lane.answers


def test_only_a_silence_of_a_minute_is_an_outage() -> None:
    """What ends an outage begins the time in which claims could be asked about. Fails when a gateway that is full for
    seconds makes every payment in the queue older than it is, and an hour's queue ends them.
    """
    hand = answering()
    since_ms = hand.lane.answering_since_ms
    assert since_ms
    hand.second(unanswered_share=1.0)
    assert hand.lane.known_since_ms(hand.now_ms) == since_ms
    hand.report(1, 1, 0)
    assert (hand.lane.answers, hand.lane.answering_since_ms) == (True, since_ms)
    hand.second(unanswered_share=1.0)
    silent_since_ms = hand.now_ms
    while hand.now_ms < silent_since_ms + OUTAGE_MS:
        assert hand.lane.known_since_ms(hand.now_ms) == since_ms
        hand.report(1, 1, 1)
    assert hand.lane.known_since_ms(hand.now_ms) == 0
    hand.report(1, 1, 0)
    assert hand.lane.answering_since_ms == hand.now_ms


def test_what_is_under_way_is_bounded_and_so_is_what_a_limit_allows() -> None:
    """Nobody consumes the queue. Fails when the feeder goes on, and every claim is in it several times."""
    hand = answering()
    released = 0
    for _ in range(60):
        claims = hand.lane.allowance(hand.now_ms)
        hand.lane.release(claims, hand.now_ms)
        released += claims
        hand.now_ms += 1_000
    assert released <= BOUND / MOST_REQUESTS * AHEAD_SECONDS
    limited = answering()
    limited.lane.limit = 7.0
    claims = limited.lane.allowance(limited.now_ms)
    limited.lane.release(claims, limited.now_ms)
    limited.now_ms += 1_000
    assert claims + limited.lane.allowance(limited.now_ms) == 7


def test_what_is_allowed_comes_with_the_time_that_has_passed() -> None:
    """Fails when a tick that comes early gets a whole second's claims, or the first one more than a second's."""
    lane = Lane(BOUND, is_judged=False)
    assert lane.allowance(START_MS) == int(lane.pace / MOST_REQUESTS)
    lane.release(9, START_MS)
    assert lane.allowance(START_MS + 500) == 5  # half a second, and the rest of the first one
    lane.release(5, START_MS + 500)
    assert lane.allowance(START_MS) == 0  # the clock went back


def test_what_a_claim_did_not_ask_is_free_again() -> None:
    """Fails when requests that were reckoned with are lost, or what is heard of stays under way."""
    lane = Lane(BOUND, is_judged=False)
    lane.limit = 10.0
    lane.release(lane.allowance(START_MS), START_MS)
    lane.hear(Asked(claims=9, requests=9), START_MS)
    assert lane.allowance(START_MS) == 5  # 9 requests and the rest of the second, at 1.7 a claim
    lane.release(5, START_MS)
    lane.hear(Asked(claims=9 + 1, requests=9 + 1), START_MS)
    assert lane.allowance(START_MS + 60_000) == 10 - 4
    lane.hear(Asked(claims=10 + 50, requests=10 + 50), START_MS + 60_000)
    assert lane.allowance(START_MS + 120_000) == 10


def test_a_lane_that_is_almost_closed_still_gets_one_claim_and_only_one() -> None:
    """Fails when a bound below a claim's cost stops the lane, or lets a second claim wait behind the first."""
    lane = Lane(0.1, is_judged=False)
    assert lane.allowance(START_MS) == 0
    assert lane.allowance(START_MS + 20_000) == 1
    lane.release(1, START_MS + 20_000)
    assert lane.allowance(START_MS + 3_600_000) == 0


def test_one_bad_second_slows_it_down_once_and_never_below_one_request() -> None:
    """Fails when a second is held against a lane again and again, or a gateway is asked once in minutes."""
    hand = answering()
    hand.report(10, 100, 60)
    slower = hand.lane.pace
    assert slower < BOUND
    hand.report(10, 100, 0)
    assert hand.lane.pace > slower
    for _ in range(50):
        hand.report(10, 100, 60)
    assert hand.lane.pace == 1.0


def test_a_lane_that_nobody_has_heard_of_is_kept_as_one() -> None:
    """Fails when a gateway begins with a silence, a share of unanswered requests, or a pause that it never had."""
    assert Lane(BOUND).to_json() == {
        "pace": BOUND / 8,
        "cost": MOST_REQUESTS,
        "tokens": 0.0,
        "at_ms": 0,
        "answers": False,
        "is_steady": False,
        "unanswered_share": 0.0,
        "silent_since_ms": 0,
        "answering_since_ms": 0,
        "unanswered_in_row": 0,
        "probe_at_ms": 0,
        "probe_pause_ms": 0,
        "heard": {"claims": 0, "requests": 0, "unanswered": 0, "concluded": 0},
    }


def test_claims_that_were_left_alone_say_nothing_of_what_a_claim_takes() -> None:
    """Copies of a message, such as those of a lane in an outage. Fails when a turn of ten claims that asked nothing
    counts as one request a claim: the next ones, which ask and send, come at twice the pace.
    """
    lane = Lane(BOUND, is_judged=False)
    lane.hear(Asked(claims=10), START_MS)
    assert lane.cost == MOST_REQUESTS


def test_the_next_run_goes_on_where_this_one_ended() -> None:
    hand = answering()
    stored = hand.lane.to_json()
    again = Lane.restored(BOUND, True, stored)
    assert again.to_json() == stored
    assert again.allowance(hand.now_ms) > 1
    # Counters that were read before are not news.
    assert again.hear(hand.total, hand.now_ms) == Asked()


def test_a_lower_bound_holds_at_once_and_a_state_that_is_unreadable_begins_anew() -> None:
    stored = answering().lane.to_json()
    assert Lane.restored(10.0, True, stored).pace == 10.0
    assert Lane.restored(BOUND, True, {"pace": 1.0, "colour": "red"}) == Lane(BOUND)
    assert Lane.restored(BOUND, True, {"heard": [1]}) == Lane(BOUND)
    assert Lane.restored(BOUND, False, {"heard": [1]}) == Lane(BOUND, is_judged=False)
    assert Lane.restored(BOUND, True, {"pace": 20.0}).pace == 20.0  # as a release stored it that heard nothing


def test_a_lane_that_is_not_judged_is_never_silent() -> None:
    """Its requests go to gateways that have lanes of their own. Fails when one of them stops all the others' claims."""
    hand = Hand(Lane(BOUND, is_judged=False))
    for _ in range(3):
        hand.report(10, 10, 10)
    assert hand.lane.answers
    assert hand.lane.allowance(hand.now_ms) > 1


def test_counters_that_have_begun_anew_are_all_new() -> None:
    """Somebody has deleted the item. Fails when the lane then hears nothing until the old count is reached again."""
    assert Asked(5, 5, 0, 5).since(Asked(1_000, 1_000, 0, 1_000)) == Asked(5, 5, 0, 5)


def test_a_state_that_was_lost_stops_no_lane_for_long() -> None:
    """The counters of a year are then taken for what is new. Fails when their requests have to be made up for first."""
    hand = Hand(Lane(BOUND, is_judged=False))
    hand.report(0, 1_000_000, 0)
    assert sum(hand.second() for _ in range(10)) > 100
