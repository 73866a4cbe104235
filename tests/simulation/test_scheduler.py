"""The simulation's own machinery: time, interruptions, ends of executions, and faults on their way."""

from __future__ import annotations

import pytest

from payonce.domain.errors import OutcomeUnknown
from payonce.ports import Insert, Table
from simulation.database import GIVES_UP_MS, SimulatedDatabase
from simulation.faults import Fates, Fault
from simulation.plan import draw_plan
from simulation.scheduler import START_MS, Host, Scheduler
from simulation.seeds import Summary, run_seed
from simulation.wire import Wire

ITEM = {"pk": "m", "sk": "1"}


def test_actors_run_in_the_order_of_their_times_and_nobody_waits() -> None:
    scheduler, seen = Scheduler(seed=1), []

    def work(name: str, seconds: float) -> None:
        scheduler.sleep(seconds)
        seen.append((name, scheduler.true_ms() - START_MS))

    scheduler.start("late", lambda: work("late", 3_600))
    scheduler.start("soon", lambda: work("soon", 1))
    scheduler.run_until(7_200)
    assert seen == [("soon", 1_000), ("late", 3_600_000)]
    assert scheduler.now_us == 7_200_000_000


@pytest.mark.parametrize(("host", "goes_on"), [(Host.LAMBDA, False), (Host.CONTAINER, True)])
def test_lambda_ends_what_a_container_lets_go_on(host: Host, goes_on: bool) -> None:
    scheduler, ends = Scheduler(seed=1), []

    def work() -> None:
        scheduler.sleep(26)
        ends.append("went on")

    scheduler.start("a", work, host=host, timeout_seconds=25, on_end=lambda finished: ends.append(str(finished)))
    scheduler.run_until(60)
    assert ends == (["went on", "True"] if goes_on else ["False"])


def test_an_actor_sees_the_clock_of_its_machine() -> None:
    scheduler, seen = Scheduler(seed=1), []
    scheduler.start("behind", lambda: seen.append(scheduler.now_ms() - scheduler.true_ms()), skew_ms=-2_000)
    scheduler.run_until(1)
    assert seen == [-2_000]


@pytest.mark.parametrize(
    ("kind", "stored_at_once", "stored_later"), [("lost", 0, 0), ("applied", 1, 1), ("late", 0, 1)]
)
def test_a_write_without_an_answer(kind: str, stored_at_once: int, stored_later: int) -> None:
    scheduler = Scheduler(seed=1)
    wire = Wire(scheduler, Fates({}, {("a", 1): Fault(kind, 5_000)}))
    database = SimulatedDatabase(wire, lambda _commit: None)
    raised: list[type[Exception]] = []

    def work() -> None:
        try:
            database.write([Insert(Table.MERCHANTS, ITEM)])
        except OutcomeUnknown as unknown:
            raised.append(type(unknown))

    scheduler.start("a", work)
    scheduler.run_until(GIVES_UP_MS / 1000 + 0.1)
    assert raised == [OutcomeUnknown]
    assert len(database.items(Table.MERCHANTS)) == stored_at_once
    scheduler.run_until(60)
    assert len(database.items(Table.MERCHANTS)) == stored_later


def test_what_was_sent_arrives_although_its_sender_was_killed() -> None:
    scheduler = Scheduler(seed=1)
    wire = Wire(scheduler, Fates({}, {("a", 1): Fault("killed_after")}))
    database = SimulatedDatabase(wire, lambda _commit: None)
    ends: list[bool] = []
    scheduler.start("a", lambda: database.write([Insert(Table.MERCHANTS, ITEM)]), on_end=ends.append)
    scheduler.run_until(1)
    assert (ends, len(database.items(Table.MERCHANTS))) == ([False], 1)


def test_a_run_without_goals_is_no_proof() -> None:
    """The command fails when a goal is never reached: one seed can't reach all."""
    summary = Summary()
    summary.add(run_seed(3))
    assert summary.violations == {}
    assert len(summary.unreached) > 0
    assert draw_plan(3) == draw_plan(3) != draw_plan(4)
