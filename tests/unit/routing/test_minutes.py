"""What routing keeps of each minute, for people: complete whichever run leads, and one write in ten seconds."""

from __future__ import annotations

from payonce.domain.durations import MINUTE_MS
from payonce.ports import Table, Write
from payonce.routing.decision.minutes import MinuteKeeper, read_minutes
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Ended
from payonce.routing.signals.observation import Cell
from payonce.stores.memory import MemoryDatabase
from tests.support.routing_world import PER_SECOND, RoutingWorld

CELL = Cell("alder", "card")
MINUTE = 29_925_437
T0 = MINUTE * MINUTE_MS


class Counting(MemoryDatabase):
    """Counts the writes of minutes."""

    writes = 0

    def write(self, writes: list[Write]) -> None:  # type: ignore[override]
        self.writes += sum(getattr(one, "key", {}).get("pk") == "MINUTES" for one in writes)
        super().write(writes)


def ended(at_ms: int, latency_ms: int = 200, outcome: Outcome = Outcome.APPROVED) -> Ended:
    return Ended(at_ms, f"a{at_ms}", CELL, latency_ms, outcome)


def test_a_minute_is_complete_although_runs_take_turns_in_it() -> None:
    """Fails when a run that begins within a minute forgets what ended before, or counts it twice."""
    world = RoutingWorld(Counting())
    world.warm_up()
    world.start_traffic(200)
    for number in range(4):
        world.start_predictor(f"run {number}", after=45 * number, seconds=50)
    world.run_until(230)
    kept = read_minutes(world.database, 0, 10**9)
    whole = sorted(kept)[1:-1]  # the traffic begins and ends within the others
    assert len(whole) >= 2
    for minute in whole:
        counted = sum(cell.total for cell in kept[minute].cells.values())
        assert abs(counted - 60 * PER_SECOND) <= PER_SECOND  # a payment that ends in the next minute is counted there
        assert kept[minute].weights["card"].keys() == {"alder", "birch"}
        assert kept[minute].epoch > 0
        assert all(cell.expected is not None for cell in kept[minute].cells.values())
    assert world.database.writes <= 200 / 10 * 2 + 10  # type: ignore[attr-defined]


def test_what_is_bad_is_what_the_forecast_calls_bad() -> None:
    """Fails when a refused connection counts as bad, which it is not for the forecast."""
    database = MemoryDatabase()
    keeper = MinuteKeeper(database, slo_ms=1_000)
    for one in (
        ended(T0 + 1),
        ended(T0 + 2, 1_001),
        ended(T0 + 3, 30, Outcome.UNKNOWN),
        ended(T0 + 4, 2, Outcome.NEVER_SENT),
        ended(T0 + 5, 300, Outcome.DECLINED),
    ):
        keeper.heard(one)
    keeper.keep(T0 + 10_000)
    kept = read_minutes(database, MINUTE, MINUTE)
    assert list(kept) == [MINUTE]
    cell = kept[MINUTE].cells["alder|card"]
    assert (cell.total, cell.bad, cell.sketch.total) == (5, 2, 4)
    assert cell.ends == {"approved": 2, "unknown": 1, "never_sent": 1, "declined": 1}


def test_a_minute_that_was_seen_in_part_is_not_written() -> None:
    """Fails when a new run writes what it saw of a minute's end over the whole minute of the run before."""
    database = MemoryDatabase()
    first = MinuteKeeper(database, slo_ms=1_000)
    for second in range(60):
        first.heard(ended(T0 + second * 1_000))
    first.keep(T0 + 59_000, all_of_it=True)
    second_run = MinuteKeeper(database, slo_ms=1_000)
    for second in range(30, 90):  # a minute back from the newest
        second_run.heard(ended(T0 + second * 1_000))
    second_run.keep(T0 + 90_000, all_of_it=True)
    kept = read_minutes(database, MINUTE, MINUTE + 1)
    assert [kept[minute].cells["alder|card"].total for minute in (MINUTE, MINUTE + 1)] == [60, 30]


def test_it_writes_now_and_then_and_forgets() -> None:
    database = Counting()
    keeper = MinuteKeeper(database, slo_ms=1_000)
    for second in range(600):
        keeper.heard(ended(T0 + second * 1_000))
        keeper.keep(T0 + second * 1_000)
    assert 60 <= database.writes <= 75
    assert len(keeper._minutes) <= 4
    items = database._tables[Table.ROUTING].values()
    assert all(item["purge_at"] == int(item["sk"]) * 60 + 2 * 86_400 for item in items)


def test_an_item_that_does_not_parse_is_left_out() -> None:
    database = MemoryDatabase()
    keeper = MinuteKeeper(database, slo_ms=1_000)
    keeper.heard(ended(T0))
    keeper.keep(T0, all_of_it=True)
    item = next(iter(database._tables[Table.ROUTING].values()))
    database._tables[Table.ROUTING]["MINUTES", "0029925438"] = {**item, "sk": "0029925438", "told": b"x"}
    assert list(read_minutes(database, MINUTE, MINUTE + 1)) == [MINUTE]
