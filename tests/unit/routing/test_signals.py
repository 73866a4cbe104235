"""What the book makes of a stream of claims and commits."""

from __future__ import annotations

from payonce.routing.admission import Priority
from payonce.routing.observation import Cell, Observation
from payonce.routing.signals import KEEP_SECONDS, Outcome, SignalBook

CARD = Cell("alder", "card")
T0 = 1_000_000_000_000


def test_a_claim_without_a_commit_is_in_flight_and_overdue_before_any_timeout() -> None:
    """Fails when open claims are not counted as slow."""
    book = SignalBook()
    book.expect(CARD, 1000)
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    early = book.observe(T0 + 900, forecast=True)
    late = book.observe(T0 + 1500, forecast=True)
    assert (early.gateways["alder"].in_flight, early.gateways["alder"].overdue) == (1, 0)
    assert (late.gateways["alder"].in_flight, late.gateways["alder"].overdue) == (1, 1)
    assert early.cells[CARD].sketch.total == 0
    assert late.cells[CARD].sketch.quantile_ms(0.5) >= 1450


def test_a_commit_closes_its_claim() -> None:
    book = SignalBook()
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    book.committed(T0 + 300, "a", CARD, 300, Outcome.APPROVED)
    signals = book.observe(T0 + 1000, forecast=True).gateways["alder"]
    assert (signals.started, signals.answered, signals.technical, signals.in_flight) == (1, 1, 0, 0)


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
    signals = book.observe(T0 + 1000, forecast=False).gateways["alder"]
    assert (signals.started, signals.answered, signals.in_flight) == (1, 2, 0)


def test_a_decline_is_an_answer_and_an_unknown_outcome_is_not() -> None:
    """Fails when declines count as technical errors."""
    book = SignalBook()
    for index, outcome in enumerate(Outcome):
        book.claimed(T0, str(index), CARD, "m", Priority.AUTHORIZATION)
        book.committed(T0 + 10, str(index), CARD, 10, outcome)
    cell = book.observe(T0 + 100, forecast=True).cells[CARD]
    assert (cell.answered, cell.technical) == (2, 2)
    assert cell.sketch.total == 3, "what was never sent has no latency"


def test_nothing_is_kept_for_ever() -> None:
    book = SignalBook()
    for second in range(3 * KEEP_SECONDS):
        book.claimed(T0 + 1000 * second, f"open{second}", CARD, "m", Priority.AUTHORIZATION)
        book.committed(T0 + 1000 * second, f"gone{second}", CARD, 5, Outcome.APPROVED)
        book.observe(T0 + 1000 * second, forecast=True)
    end = book.observe(T0 + 3000 * KEEP_SECONDS, forecast=True)
    assert end.gateways["alder"].in_flight <= KEEP_SECONDS + 1
    assert end.cells[CARD].answered <= KEEP_SECONDS


def test_demand_counts_the_refused_and_is_a_rate() -> None:
    book = SignalBook()
    for index in range(30):
        book.claimed(T0 + index * 100, f"a{index}", CARD, "small", Priority.AUTHORIZATION)
        book.refused(T0 + index * 100, CARD, "big", Priority.AUTHORIZATION)
        book.refused(T0 + index * 100, CARD, "big", Priority.AUTHORIZATION)
    seen = book.observe(T0 + 3000, forecast=False)
    assert seen.recent_seconds == 3.0
    assert seen.demand == {"card": 30.0}
    assert seen.merchants == {"small": 10.0, "big": 20.0}


def test_an_observation_is_stored_whole() -> None:
    book = SignalBook()
    book.expect(CARD, 100)
    book.claimed(T0, "a", CARD, "m", Priority.AUTHORIZATION)
    book.claimed(T0, "b", Cell("birch", "wallet"), "n", Priority.AUTHORIZATION)
    book.committed(T0 + 120, "a", CARD, 120, Outcome.APPROVED)
    seen = book.observe(T0 + 500, forecast=True)
    assert Observation.from_json(seen.to_json()).to_json() == seen.to_json()
