"""The simulation's own machinery: time, interruptions, ends of executions, and faults on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payonce.domain.errors import OutcomeUnknown
from payonce.idempotency.open_claims import OpenPage
from payonce.idempotency.record_store import DatabaseIdempotencyStore
from payonce.ports import Insert, Table
from simulation.__main__ import main
from simulation.database import GIVES_UP_MS, SimulatedDatabase
from simulation.faults import Fates, Fault
from simulation.goals import Goal
from simulation.plan import draw_plan
from simulation.report import BEGIN, END, write_page
from simulation.scheduler import START_MS, Host, Scheduler
from simulation.seeds import Summary, run_seed
from simulation.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

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


def test_the_command_shows_what_it_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails with 1 for goals that are not reached, and for a promise that breaks, with its history."""
    assert main(["--seeds", "1", "--processes", "1"]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("1 seeds, none broke a promise.")
    assert "NEVER REACHED" in shown.out
    assert "1/1 seeds" in shown.err
    assert main(["--seed", "3"]) == 0
    assert "every promise is kept" in capsys.readouterr().out
    monkeypatch.setattr(DatabaseIdempotencyStore, "open_page", lambda *_args, **_more: OpenPage([], None))
    assert main(["--seeds", "20", "--processes", "1"]) == 1
    shown = capsys.readouterr()
    assert "broke a promise" in shown.out
    assert "VIOLATED settling" in shown.out


def test_the_page_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    summary = Summary()
    summary.add(run_seed(3))
    write_page(page, summary)
    lines = page.read_text("utf-8").splitlines()
    assert (lines[0], lines[1], lines[-2], lines[-1]) == ("before", BEGIN, END, "after")
    assert f"| {Goal.TAKEN_OVER.value} | {summary.reached_by[Goal.TAKEN_OVER]} |" in "\n".join(lines)
    assert "old" not in lines


def test_a_run_without_goals_is_no_proof() -> None:
    """The command fails when a goal is never reached: one seed can't reach all."""
    summary = Summary()
    summary.add(run_seed(3))
    assert summary.violations == {}
    assert len(summary.unreached) > 0
    assert draw_plan(3) == draw_plan(3) != draw_plan(4)
