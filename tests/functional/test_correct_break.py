"""The state machine of template.yaml, walked with the function's own handler: every way from a break to its end.

The walker knows of the Amazon States Language what the state machine uses, and refuses all else. On the local cloud
the same is run by Step Functions' stand-in: tests/e2e/test_corrections.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from payonce.corrections.policy import CACHE_MS, POLICY_FILE
from payonce.corrections.record import CorrectionStatus
from payonce.domain.errors import MisconfiguredError, NotFound
from payonce.domain.gateway import OperationKind
from payonce.entrypoints.corrections import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, wait_seconds
from payonce.stores.memory_files import MemoryFiles
from payonce.stores.memory_workflows import MemoryWorkflows
from payonce.wiring.application import Application
from payonce.wiring.settings import load_settings
from tests.functional.conftest import load_handler
from tests.support.aws import REPOSITORY, load_template
from tests.support.corrections import check_corrected, double_charge, duplicate_capture, identity_of
from tests.support.events import Context
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payonce.reconciliation.model import Break

MACHINE = load_template()["Resources"]["CorrectionsWorkflow"]["Properties"]["Definition"]
HOUR_SECONDS = 3_600
MOST_STATES = 3_000
_S = CorrectionStatus


class Timeout(Exception):
    """States.Timeout."""


class Walker:
    """Executes the state machine. ``people`` is what they do while it waits, given how often it has waited."""

    def __init__(self, world: World, handler: Any, people: Callable[[int, str], bool]) -> None:
        self._world, self._handler, self._people = world, handler, people
        self.path: list[str] = []
        self.waits = 0

    def walk(self, execution: dict[str, Any]) -> dict[str, Any]:
        """Return the state's data at the end."""
        name: str | None = MACHINE["StartAt"]
        data: dict[str, Any] = execution
        while name is not None:
            assert len(self.path) < MOST_STATES
            self.path.append(name)
            state = MACHINE["States"][name]
            name, data = getattr(self, f"_{state['Type'].lower()}")(state, data)
        return data

    def _task(self, state: dict[str, Any], data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        waits = state["Resource"]["Sub"].endswith(".waitForTaskToken")
        token = f"token-{len(self.path)}"
        payload = {
            name.removesuffix(".$"): (token if value == "$$.Task.Token" else at(data, value))
            if name.endswith(".$")
            else value
            for name, value in state["Parameters"]["Payload"].items()
        }
        answer = self._handler(payload, Context())
        if waits:
            self.waits += 1
            try:
                self._await(state, token)
            except Timeout:
                (catch,) = state["Catch"]
                assert catch["ErrorEquals"] == ["States.Timeout"]
                return catch["Next"], data
            return state["Next"], data
        selected = {
            name.removesuffix(".$"): at({"Payload": answer}, value) for name, value in state["ResultSelector"].items()
        }
        assert state["ResultPath"] == "$.correction"
        return state["Next"], {**data, "correction": json.loads(json.dumps(selected))}

    def _await(self, state: dict[str, Any], token: str) -> None:
        if not self._people(self.waits, token):
            self._world.clock.ms += state["TimeoutSeconds"] * 1000
            raise Timeout

    def _choice(self, state: dict[str, Any], data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        for choice in state["Choices"]:
            value = at(data, choice["Variable"])
            if value == choice.get("BooleanEquals", choice.get("StringEquals")):
                return choice["Next"], data
        return state["Default"], data

    def _wait(self, state: dict[str, Any], data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        self._world.clock.ms += at(data, state["SecondsPath"]) * 1000
        return state["Next"], data

    def _succeed(self, _state: dict[str, Any], data: dict[str, Any]) -> tuple[None, dict[str, Any]]:
        return None, data


def at(data: Any, path: str) -> Any:
    """Return what a plain JSONPath names."""
    for name in path.removeprefix("$.").split("."):
        data = data[name]
    return data


class Stage:
    """A world with its application, and the machine over it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = World()
        self.files = MemoryFiles()
        self.workflows = MemoryWorkflows()
        self.application = Application(
            load_settings({}),
            clock=self.world.clock,
            database=self.world.database,
            gateways={"bank": self.world.gateway},
            workflows=self.workflows,
            files=self.files,
        )
        self.handler = load_handler("correct_break", self.application, monkeypatch)  # type: ignore[arg-type]

    def policy(self, text: str) -> None:
        """Store the policy."""
        self.files.stored[POLICY_FILE] = text.encode()

    def walk(self, found: Break, people: Callable[[int, str], bool] = lambda _waits, _token: False) -> Walker:
        """Execute the workflow of a break."""
        walker = Walker(self.world, self.handler, people)
        walker.walk({"break_id": found.break_id, "attempt": 1})
        return walker

    def status(self, found: Break) -> CorrectionStatus:
        """Return where the correction stands."""
        return self.application.corrections.load(identity_of(found)).status


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


AUTOMATIC = "[automatic.duplicate_capture]\nEUR = 5000\n[automatic.double_charge]\nEUR = 5000\n"


@pytest.mark.parametrize("make", [duplicate_capture, double_charge])
def test_what_the_policy_lets_pass_waits_for_nobody(stage: Stage, make: Callable[[World], Break]) -> None:
    stage.policy(AUTOMATIC)
    found = make(stage.world)
    assert stage.walk(found).path == [
        "Start",
        "Reread",
        "WasReread",
        "Decide",
        "WasDecided",
        "Execute",
        "WasExecuted",
        "Ended",
    ]
    check_corrected(stage.world, found)
    stage.walk(found)
    check_corrected(stage.world, found)


def test_without_a_policy_it_waits_and_a_second_person_lets_it_pass(stage: Stage) -> None:
    found = duplicate_capture(stage.world)

    def approve(_waits: int, token: str) -> bool:
        stage.application.corrections.approve(identity_of(found), proposal_version=1, actor="key_2")
        return stage.workflows.woken == [token]

    assert stage.walk(found, approve).path[4:] == [
        "WasDecided",
        "AwaitApproval",
        "Reconsider",
        "WasDecided",
        "Execute",
        "WasExecuted",
        "Ended",
    ]
    check_corrected(stage.world, found)


def test_a_lost_wake_up_costs_an_hour_and_nothing_else(stage: Stage) -> None:
    """Fails when the workflow waits for its token alone."""
    found = duplicate_capture(stage.world)

    def approve_unheard(_waits: int, _token: str) -> bool:
        stage.application.corrections.approve(identity_of(found), proposal_version=1, actor="key_2")
        return False

    walker = stage.walk(found, approve_unheard)
    assert walker.waits == 1
    check_corrected(stage.world, found)


def test_what_nobody_decides_expires_after_the_policys_time(stage: Stage) -> None:
    """Fails when a new hour of waiting makes the proposal younger."""
    stage.policy("approval_seconds = 86400")
    found = duplicate_capture(stage.world)
    walker = stage.walk(found)
    assert (walker.waits, walker.path[-1], stage.status(found)) == (25, "Ended", _S.EXPIRED)
    assert stage.world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_rejected_one_ends(stage: Stage) -> None:
    found = duplicate_capture(stage.world)

    def reject(_waits: int, _token: str) -> bool:
        stage.application.corrections.reject(identity_of(found), proposal_version=1, actor="key_2")
        return True

    assert stage.walk(found, reject).path[-1] == "Ended"
    assert stage.status(found) is _S.REJECTED
    assert stage.world.gateway.succeeded(OperationKind.REFUND) == []


def test_a_gateway_that_is_down_is_asked_less_and_less_often(stage: Stage) -> None:
    stage.policy(AUTOMATIC)
    found = duplicate_capture(stage.world)
    stage.world.gateway.lookup_fails = True
    began_ms = stage.world.clock.ms
    handler, calls = stage.handler, []

    def failing(event: dict[str, Any], context: Any) -> Any:
        calls.append(event)
        stage.world.gateway.lookup_fails = len(calls) < 8
        return handler(event, context)

    stage.handler = failing
    walker = stage.walk(found)
    assert walker.path.count("WaitToReread") == 6
    waited = (stage.world.clock.ms - began_ms) // 1000
    assert waited == sum(FIRST_WAIT_SECONDS << number for number in range(6))
    check_corrected(stage.world, found)


def test_the_kill_switch_holds_what_is_approved_until_it_is_off(stage: Stage) -> None:
    """Fails when the switch is looked at once, ends the workflow, or lets the policy approve."""
    stage.policy("enabled = false\n" + AUTOMATIC)
    found = duplicate_capture(stage.world)
    handler, executions = stage.handler, []

    def people(_waits: int, _token: str) -> bool:
        stage.application.corrections.approve(identity_of(found), proposal_version=1, actor="key_2")
        return True

    def watching(event: dict[str, Any], context: Any) -> Any:
        if event["step"] == "execute":
            executions.append(stage.world.gateway.succeeded(OperationKind.REFUND))
            if len(executions) == 4:
                stage.policy(AUTOMATIC)
        return handler(event, context)

    stage.handler = watching
    assert stage.walk(found, people).waits == 1
    assert executions == [[]] * 4
    check_corrected(stage.world, found)


def test_what_the_policy_lets_pass_no_more_waits_for_a_person(stage: Stage) -> None:
    """Fails when the policy's word of yesterday counts: the limit was lowered while the kill switch was on."""
    stage.policy(AUTOMATIC)
    found = duplicate_capture(stage.world)
    handler, seen = stage.handler, []

    def people(_waits: int, _token: str) -> bool:
        seen.append(stage.status(found))
        assert stage.world.gateway.succeeded(OperationKind.REFUND) == []
        stage.application.corrections.approve(identity_of(found), proposal_version=1, actor="key_2")
        return True

    def watching(event: dict[str, Any], context: Any) -> Any:
        if event["step"] == "execute" and not seen:
            stage.world.clock.ms += CACHE_MS
            stage.policy("enabled = false" if not event["tries"] else "enabled = true")
        return handler(event, context)

    stage.handler = watching
    assert stage.walk(found, people).path[-6:] == [
        "AwaitApproval",
        "Reconsider",
        "WasDecided",
        "Execute",
        "WasExecuted",
        "Ended",
    ]
    assert seen == [_S.AWAITING_APPROVAL]
    check_corrected(stage.world, found)


def test_a_claim_that_the_policy_let_pass_is_carried_on_under_any_other(stage: Stage) -> None:
    """Fails when a refund in doubt goes back to its approval: its commit would find no approved correction."""
    stage.policy(AUTOMATIC)
    found = duplicate_capture(stage.world)
    stage.world.gateway.script = ["booked_lost"]
    stage.world.gateway.visible_after_ms = 10_000
    handler = stage.handler

    def watching(event: dict[str, Any], context: Any) -> Any:
        if event["step"] == "execute" and event["tries"]:
            stage.world.clock.ms += CACHE_MS
            stage.policy("enabled = true")
        return handler(event, context)

    stage.handler = watching
    assert stage.walk(found).waits == 0
    check_corrected(stage.world, found)


def test_a_policy_that_is_none_stops_the_step_with_the_setting_named(stage: Stage) -> None:
    found = duplicate_capture(stage.world)
    stage.policy("automatik = 1")
    with pytest.raises(MisconfiguredError, match="automatik"):
        stage.walk(found)
    assert stage.status(found) is _S.CHECKED


def test_waits_grow_to_an_hour() -> None:
    waits = [wait_seconds(tries) for tries in range(1, 40)]
    assert waits[0] == FIRST_WAIT_SECONDS
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_SECONDS == HOUR_SECONDS


def test_an_unknown_step_or_break_is_an_error_of_the_workflow(stage: Stage) -> None:
    found = duplicate_capture(stage.world)
    with pytest.raises(MisconfiguredError, match="reread"):
        stage.handler({"step": "refund", "break_id": found.break_id}, Context())
    event = json.loads((REPOSITORY / "events/correct_break/start.json").read_text())
    with pytest.raises(NotFound):
        stage.handler(event, Context())


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "events/correct_break").glob("*.json")), ids=lambda path: path.stem
)
def test_every_event_is_one_that_the_state_machine_sends(stage: Stage, path: Path) -> None:
    """Fails when an event of ``sam local invoke`` is none of the workflow's."""
    event = json.loads(path.read_text())
    payloads = [
        {name.removesuffix(".$") for name in state["Parameters"]["Payload"]}
        for state in MACHINE["States"].values()
        if state["Type"] == "Task" and state["Parameters"]["Payload"]["step"] == event["step"]
    ]
    assert payloads == [set(event)]
    found = duplicate_capture(stage.world)
    stage.handler({"step": "start", "break_id": found.break_id, "attempt": 1}, Context())
    answer = stage.handler({**event, "break_id": found.break_id}, Context())
    assert answer["status"] in {_S.OPEN.value, _S.CHECKED.value}


def test_every_task_is_tried_again_and_none_of_its_results_is_the_truth() -> None:
    """Fails when a state lacks its retries, or hands on more than where the correction stands."""
    tasks = {name: state for name, state in MACHINE["States"].items() if state["Type"] == "Task"}
    assert len(tasks) == 6
    for name, state in tasks.items():
        (retry,) = state["Retry"]
        assert retry["ErrorEquals"] == ["States.TaskFailed"]  # never a timeout: that is an hour without a decision
        assert state["Parameters"]["Payload"]["break_id.$"] == "$.break_id"
        assert set(state["Parameters"]["Payload"]) <= {"step", "break_id.$", "attempt.$", "tries.$", "task_token.$"}
        if name != "AwaitApproval":
            assert set(state["ResultSelector"]) == {"status.$", "retry_later.$", "wait_seconds.$", "tries.$"}
