"""The watch as the predictor keeps it: over runs, past a store that fails, and past a state that is damaged."""

from __future__ import annotations

import json
import math
import random
from typing import TYPE_CHECKING, Any

import pytest

from payonce.domain.errors import StoreUnavailable
from payonce.ports import Adjust, Table
from payonce.routing.signals.book import Outcome
from payonce.routing.signals.events import Ended
from payonce.routing.signals.observation import Cell
from payonce.routing.signals.packed import packed, unpacked
from payonce.routing.watch.route_watch import PERIOD_MS
from payonce.routing.watch.stored_watch import MAX_STATE_BYTES, MESSAGE, Watching
from payonce.stores.memory import MemoryDatabase
from tests.support.routing_world import Lines, RoutingWorld

if TYPE_CHECKING:
    from payonce.ports import Database

ALDER = Cell("alder", "card")
MAX_PACKED_BYTES = 20_000
START_MS = 1_772_323_200_000 // PERIOD_MS * PERIOD_MS
KEY = {"pk": "PREDICTOR", "sk": "WATCH#alder|card"}


def periods(watching: Watching, numbers: range, median_ms: float, outcome: Outcome = Outcome.APPROVED) -> None:
    for number in numbers:
        draw = random.Random(number)
        for index in range(50):
            latency_ms = round(median_ms * draw.lognormvariate(0, 0.2))
            at_ms = START_MS + number * PERIOD_MS + index
            watching.heard(Ended(at_ms, f"{number}-{index}", ALDER, latency_ms, outcome))


def runs(database: Database, log: Lines, numbers: range, median_ms: float) -> None:
    """A new watch for each period, as every run of the predictor has one."""
    for number in numbers:
        watching = Watching(database, log)
        periods(watching, range(number, number + 1), median_ms)
        watching.keep()


def unusual(log: Lines) -> list[dict[str, Any]]:
    return [extra for message, extra in log.lines if message == MESSAGE]


def test_over_many_runs_an_unusual_route_is_one_line_with_what_is_unusual() -> None:
    """Fails when a run does not go on from the stored state: a new detector is silent for its first day."""
    database, log = MemoryDatabase(), Lines()
    runs(database, log, range(400), 400)
    before = len(unusual(log))
    runs(database, log, range(400, 406), 2_000)
    (line,) = unusual(log)[before:]
    assert (line["gateway"], line["payment_method_type"], line["series"]) == ("alder", "card", "p95_ms")
    assert line["usual_low"] < 560 < line["usual_high"] < 800 < line["value"]
    assert line["answers"] == 50


def test_a_state_is_small() -> None:
    """Fails when a route's item costs more write units than the predictor's own state."""
    database, log = MemoryDatabase(), Lines()
    watching = Watching(database, log)
    periods(watching, range(15 * 96), 400)
    watching.keep()
    item = database.get(Table.ROUTING, KEY)
    assert item is not None
    assert len(item["state"]) < MAX_PACKED_BYTES


def test_what_can_not_be_read_is_not_written_over() -> None:
    """Fails when a store that fails is taken for an empty one: weeks of learning would be replaced by a minute's."""
    database, log = MemoryDatabase(), Lines()
    runs(database, log, range(5), 400)
    stored = database.get(Table.ROUTING, KEY)

    class Unreadable:
        def get(self, *_key: Any) -> None:
            raise StoreUnavailable("not now")

        def write(self, writes: Any) -> None:
            database.write(writes)

    runs(Unreadable(), log, range(5, 7), 400)  # type: ignore[arg-type]
    assert database.get(Table.ROUTING, KEY) == stored


class Failing:
    """A store that answers nothing, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def get(self, *_key: Any) -> None:
        self.asked += 1
        raise StoreUnavailable("not now")

    def write(self, _writes: Any) -> None:
        self.asked += 1
        raise StoreUnavailable("not now")


def test_a_store_that_fails_is_not_asked_at_every_answer() -> None:
    """Fails when it is: each takes seconds to fail, there are hundreds in a step, and nothing is decided meanwhile."""
    database = Failing()
    watching = Watching(database, Lines())  # type: ignore[arg-type]
    for index in range(1_000):
        watching.heard(Ended(START_MS + index * 50, str(index), ALDER, 400, Outcome.APPROVED))
    assert database.asked == 2


def test_a_store_that_fails_is_not_waited_for_at_every_route() -> None:
    """Fails when it is: a run with many routes would be cut off before it gives up the lead."""
    watching = Watching(MemoryDatabase(), Lines())
    for gateway in ("alder", "birch", "cedar"):
        watching.heard(Ended(START_MS, gateway, Cell(gateway, "card"), 400, Outcome.APPROVED))
    database = watching._database = Failing()  # type: ignore[assignment]
    watching.keep()
    assert database.asked == 1


def test_a_damaged_state_begins_anew_and_says_so() -> None:
    database, log = MemoryDatabase(), Lines()
    database.write([Adjust(table=Table.ROUTING, key=KEY, set={"state": b"garbage"}, upsert=True)])
    runs(database, log, range(2), 400)
    assert [message for message, _ in log.lines] == ["watch begins anew"]
    item = database.get(Table.ROUTING, KEY)
    assert item is not None
    assert item["state"] != b"garbage"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sketch",), [[10**6, 50]]),
        (("answers",), [1, -1, 0]),
        (("approval",), math.nan),
        (("failure",), 1e308),
        (("failure",), [200, 0, 0, 0, 0]),
        (("latency",), [[0], [1], [0]]),
        (("episodes", "p95_ms"), [-5, 0, 0, 0]),
        (("episodes",), {}),
        (("period",), 10**12),
        (("newest_ms",), 10**18),
    ],
)
def test_numbers_that_can_not_be_stop_no_run_and_no_watch(path: tuple[str, ...], value: Any) -> None:
    """Fails when the watch raises: the run ends, and so does every run after it, as the state stays as it is."""
    database, log = MemoryDatabase(), Lines()
    runs(database, log, range(150), 400)
    item = database.get(Table.ROUTING, KEY)
    assert item is not None
    stored = json.loads(unpacked(item["state"], MAX_STATE_BYTES))
    *way, last = path
    at = stored
    for name in way:
        at = at[name]
    at[last] = spoiled(at[last], value) if isinstance(value, float) else value
    damaged = packed(json.dumps(stored).encode())
    database.write([Adjust(table=Table.ROUTING, key=KEY, set={"state": damaged}, upsert=True)])
    runs(database, log, range(150, 154), 400)
    item = database.get(Table.ROUTING, KEY)
    assert item is not None
    kept = json.loads(unpacked(item["state"], MAX_STATE_BYTES), parse_constant=pytest.fail)
    assert kept["period"] == START_MS // PERIOD_MS + 153


def spoiled(stored: Any, number: float) -> Any:
    """Return ``stored`` with ``number`` in the place of every fraction."""
    if isinstance(stored, dict):
        return {name: spoiled(value, number) for name, value in stored.items()}
    if isinstance(stored, list):
        return [spoiled(value, number) for value in stored]
    return number if isinstance(stored, float) else stored


def test_a_run_of_the_predictor_keeps_what_it_watched() -> None:
    """Fails when the feed does not tell the watch, or the run does not keep it."""
    world = RoutingWorld()
    world.start_traffic(60)
    world.start_predictor("run_1", seconds=50)
    world.run_until(55)
    assert world.database.get(Table.ROUTING, KEY) is not None
