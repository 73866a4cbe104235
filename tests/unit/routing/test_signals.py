"""What the book makes of a stream of claims and commits."""

from __future__ import annotations

import pytest

from payonce.routing.control.admission import Priority
from payonce.routing.control.routing_settings import SLO_MS
from payonce.routing.signals.book import EVERYONE_ELSE, FORGET_OPEN_SECONDS, MAX_MERCHANTS, Outcome, SignalBook
from payonce.routing.signals.observation import Cell, Observation
from payonce.routing.signals.windows import KEEP_SECONDS

CARD = Cell("alder", "card")
T0 = 1_000_000_000_000


def test_a_claim_without_a_commit_is_in_flight_and_overdue_before_any_timeout() -> None:
    """Fails when open claims are not counted as slow."""
    book = SignalBook()
    book.expect({CARD: 1000})
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    early = book.observe(T0 + 900)
    late = book.observe(T0 + 1500)
    assert (early.gateways["alder"].in_flight, early.gateways["alder"].overdue) == (1, 0)
    assert (late.gateways["alder"].in_flight, late.gateways["alder"].overdue) == (1, 1)
    assert early.cells[CARD].sketch.total == 0
    assert late.cells[CARD].sketch.quantile_ms(0.5) >= 1450


def test_a_commit_closes_its_claim() -> None:
    book = SignalBook()
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    book.committed(T0 + 300, "a", CARD, 300, Outcome.APPROVED)
    signals = book.observe(T0 + 1000).gateways["alder"]
    assert (signals.started, signals.answered, signals.technical, signals.in_flight) == (1, 1, 0, 0)


def test_what_has_ended_is_told_once() -> None:
    """Fails when the windows' overlap counts an answer twice: one good probe would be two of those in a row."""
    book = SignalBook()
    book.expect({CARD: 1000})
    for index, (latency_ms, outcome) in enumerate(
        [(300, Outcome.APPROVED), (SLO_MS + 1, Outcome.DECLINED), (10, Outcome.NEVER_SENT), (9, Outcome.UNKNOWN)]
    ):
        book.committed(T0, str(index), CARD, latency_ms, outcome)
    first, second = (book.observe(T0 + 100).cells[CARD] for _ in range(2))
    assert (first.good, first.bad, first.failed) == (1, 2, 1), "a refused connection moves on at once"
    assert (second.good, second.bad, second.failed) == (0, 0, 0)
    assert second.sketch.total == 3, "its latencies are in the window all the same"


def judged(book: SignalBook, at_ms: int) -> tuple[int, int, int]:
    """Return good, bad and failed of what was judged since the last time."""
    cell = book.observe(at_ms).cells[CARD]
    return cell.good, cell.bad, cell.failed


def test_a_late_attempt_is_judged_once_when_it_passes_the_slo() -> None:
    """Fails when it is judged at its end: one that hangs would be seen too late. Or at both: it would count twice."""
    book = SignalBook()
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    assert judged(book, T0 + SLO_MS) == (0, 0, 0), "it may still keep it"
    assert judged(book, T0 + SLO_MS + 1) == (0, 1, 0)
    assert judged(book, T0 + SLO_MS + 2000) == (0, 0, 0)
    book.committed(T0 + SLO_MS + 3000, "a", CARD, SLO_MS + 3000, Outcome.APPROVED)
    assert judged(book, T0 + SLO_MS + 3000) == (0, 0, 0)


def test_a_late_attempt_that_ends_without_an_answer_is_failed_too() -> None:
    """Fails when only what was not late can fail: a gateway that hangs would be called late, and be sent load."""
    book = SignalBook()
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    assert judged(book, T0 + SLO_MS + 1) == (0, 1, 0)
    book.committed(T0 + 10_000, "a", CARD, 10_000, Outcome.UNKNOWN)
    assert judged(book, T0 + 10_000) == (0, 0, 1)


def test_the_slo_is_that_of_the_settings() -> None:
    """Fails when the book judges by the default."""
    book = SignalBook(1000)
    book.claimed(T0, "open", CARD, "m", Priority.AUTHORIZATION)
    for attempt, latency_ms in (("good", 1000), ("bad", 1001)):
        book.committed(T0 + latency_ms, attempt, CARD, latency_ms, Outcome.APPROVED)
    assert judged(book, T0 + 1001) == (1, 2, 0)


def test_an_attempt_of_a_lagging_shard_is_not_late_before_its_shard_says_so() -> None:
    """Fails when lateness is measured by the newest event of all: the commit may be on its way."""
    book = SignalBook()
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION, shard="two")
    book.claimed(T0 + SLO_MS + 1000, "b", CARD, "m", Priority.AUTHORIZATION, shard="one")
    assert judged(book, T0 + SLO_MS + 1000) == (0, 0, 0)
    book.claimed(T0 + SLO_MS + 500, "c", CARD, "m", Priority.AUTHORIZATION, shard="two")
    assert judged(book, T0 + SLO_MS + 1000) == (0, 1, 0)


def test_repeated_and_reordered_events_count_once() -> None:
    """Fails when a repeated claim opens the attempt again: it would be in flight for ever."""
    book = SignalBook()
    for _ in range(2):
        book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    for _ in range(2):
        book.committed(T0 + 300, "a", CARD, 300, Outcome.APPROVED)
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    book.committed(T0 + 100, "b", CARD, 100, Outcome.APPROVED)
    book.claimed(T0, "b", CARD, "m", Priority.AUTHORIZATION)
    signals = book.observe(T0 + 1000).gateways["alder"]
    assert (signals.started, signals.answered, signals.in_flight) == (1, 2, 0)


def test_a_decline_is_an_answer_and_an_unknown_outcome_is_not() -> None:
    """Fails when declines count as technical errors."""
    book = SignalBook()
    for index, outcome in enumerate(Outcome):
        book.claimed(T0, str(index), CARD, "m", Priority.AUTHORIZATION)
        book.committed(T0 + 10, str(index), CARD, 10, outcome)
    cell = book.observe(T0 + 100).cells[CARD]
    assert (cell.good, cell.bad, cell.failed) == (2, 1, 1)
    assert cell.sketch.total == 3, "what was never sent has no latency"


def test_nothing_is_kept_for_ever() -> None:
    book = SignalBook()
    for second in range(3 * KEEP_SECONDS):
        book.claimed(T0 + 1000 * second, f"open{second}", CARD, "m", Priority.AUTHORIZATION)
        book.committed(T0 + 1000 * second, f"gone{second}", CARD, 5, Outcome.APPROVED)
        book.observe(T0 + 1000 * second)
    end = book.observe(T0 + 3000 * KEEP_SECONDS)
    route = book._routes[CARD]
    assert end.gateways["alder"].in_flight <= KEEP_SECONDS + 1
    assert len(route.slots) <= KEEP_SECONDS
    assert len(route.late) <= KEEP_SECONDS + 1
    assert len(book._closed) <= FORGET_OPEN_SECONDS + 1


def test_demand_counts_the_refused_and_is_a_rate() -> None:
    book = SignalBook()
    for index in range(30):
        book.claimed(T0 + index * 100, f"a{index}", CARD, "small", Priority.AUTHORIZATION)
        book.refused(T0 + index * 100, CARD, "big", Priority.AUTHORIZATION)
        book.refused(T0 + index * 100, CARD, "big", Priority.AUTHORIZATION)
    seen = book.observe(T0 + 3000)
    assert seen.recent_seconds == 3.0
    assert seen.demand == {"card": 30.0}
    assert seen.merchants == {"small": 10.0, "big": 20.0}


def test_a_claim_is_overdue_by_its_own_shard_alone() -> None:
    """Fails when its age is measured by the newest event of all: a shard that lags makes its gateway look hung."""
    book = SignalBook()
    book.expect({CARD: 1000})
    for number in range(20):
        book.claimed(T0, f"lagging{number}", CARD, "m", Priority.AUTHORIZATION, shard="two")
    book.claimed(T0, "hung", CARD, "m", Priority.AUTHORIZATION, shard="one")
    book.claimed(T0 + 5000, "now", CARD, "m", Priority.AUTHORIZATION, shard="one")
    lagging = book.observe(T0 + 5000)
    assert (lagging.gateways["alder"].in_flight, lagging.gateways["alder"].overdue) == (22, 1)
    assert lagging.cells[CARD].sketch.total == 1
    assert lagging.cells[CARD].bad == 1
    book.claimed(T0 + 4000, "later", CARD, "m", Priority.AUTHORIZATION, shard="two")
    assert book.observe(T0 + 5000).gateways["alder"].overdue == 21


def test_a_claim_is_closed_by_the_shard_that_its_own_was_split_into() -> None:
    """Fails when a commit is only looked for on its own shard: the attempt would be in flight for a minute."""
    book = SignalBook()
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION, shard="parent")
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION, shard="child")
    book.committed(T0 + 300, "a", CARD, 300, Outcome.APPROVED, shard="child")
    signals = book.observe(T0 + 1000).gateways["alder"]
    assert (signals.started, signals.in_flight) == (1, 0)


def test_an_event_from_the_future_hides_nothing_that_comes_after_it() -> None:
    """Fails when it keeps its time: for two minutes all events are counted in its slot, and none is ever old."""
    book = SignalBook()
    book.expect({CARD: 1000})
    book.claimed(T0 + 120_000, "ahead", CARD, "m", Priority.AUTHORIZATION)
    book.committed(T0 + 120_000, "gone", CARD, 40, Outcome.APPROVED)
    ended = 0
    for second in range(30):
        at_ms = T0 + 1000 * second
        book.claimed(at_ms, f"open{second}", CARD, "m", Priority.AUTHORIZATION)
        book.committed(at_ms, f"done{second}", CARD, 40, Outcome.APPROVED)
        seen = book.observe(at_ms)
        ended += seen.cells[CARD].good
    assert seen.gateways["alder"].answered == 4, "of the last seconds only"
    assert seen.merchants == {"m": 4 / 3}
    assert ended == 31, "counted once, when it came"
    assert seen.gateways["alder"].overdue == 29, "all but those of this second and the last"
    later = book.observe(T0 + 91_000)
    assert later.gateways["alder"].in_flight == 0


def test_a_shard_that_lags_is_not_hidden_by_an_event_from_the_future() -> None:
    """Fails when the newest event of all is believed: every other shard would seem to lag for minutes."""
    book = SignalBook()
    book.expect({CARD: 1000})
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION, shard="one")
    book.claimed(T0 + 120_000, "b", CARD, "m", Priority.AUTHORIZATION, shard="two")
    book.claimed(T0 + 3000, "c", CARD, "m", Priority.AUTHORIZATION, shard="one")
    assert book.observe(T0 + 3000).gateways["alder"].overdue == 1


def test_merchants_beyond_the_most_share_a_line_in_all_seconds_together() -> None:
    """Fails when only a second's merchants are bounded: four seconds of others are a record that fits no item."""
    book = SignalBook()
    for second in range(3):
        for number in range(MAX_MERCHANTS):
            book.refused(T0 + 1000 * second, CARD, f"m{second}.{number}", Priority.AUTHORIZATION)
        book.refused(T0 + 1000 * second, CARD, f"m{second}.7", Priority.AUTHORIZATION)
    merchants = book.observe(T0 + 3000).merchants
    assert len(merchants) == MAX_MERCHANTS
    assert [merchants[f"m{second}.7"] for second in range(3)] == pytest.approx([2 / 3] * 3), (
        "the busiest are told apart"
    )
    assert sum(merchants.values()) == pytest.approx(MAX_MERCHANTS + 1)
    assert merchants[EVERYONE_ELSE] > MAX_MERCHANTS / 3


def test_an_observation_is_stored_whole() -> None:
    book = SignalBook()
    book.expect({CARD: 100})
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    book.claimed(T0, "b", Cell("birch", "wallet"), "n", Priority.AUTHORIZATION)
    book.committed(T0 + 120, "a", CARD, 120, Outcome.APPROVED)
    seen = book.observe(T0 + 500)
    assert Observation.from_json(seen.to_json()).to_json() == seen.to_json()
