"""The contract of the workflows' port, on Step Functions (moto) and in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from payonce.aws.step_functions import StepFunctionsWorkflows, execution_name
from payonce.domain.errors import MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.stores.memory_workflows import MemoryWorkflows
from tests.support.aws import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payonce.ports import Workflows

    type Started = Callable[[], list[tuple[str, int]]]

BREAK = "brk_" + "b7" * 32
DEFINITION = json.dumps({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 1, "End": True}}})


@pytest.fixture(params=["memory", "step_functions"])
def workflows(request: pytest.FixtureRequest) -> Iterator[tuple[Workflows, Started]]:
    """Every adapter, and a look at what was started."""
    if request.param == "memory":
        memory = MemoryWorkflows()
        yield memory, lambda: memory.started
        return
    with mock_aws():
        client = boto3.client("stepfunctions", region_name=REGION)
        role = "arn:aws:iam::123456789012:role/corrections"
        arn = client.create_state_machine(name="corrections", definition=DEFINITION, roleArn=role)["stateMachineArn"]

        def started() -> list[tuple[str, int]]:
            names = [each["name"] for each in client.list_executions(stateMachineArn=arn)["executions"]]
            return [(name.rpartition("-")[0], int(name.rpartition("-")[2])) for name in names]

        yield StepFunctionsWorkflows(client, arn), started


def test_the_same_break_and_attempt_is_started_once(workflows: tuple[Workflows, Started]) -> None:
    """Fails when an execution's name does not follow from break and attempt, or its repetition is an error."""
    port, started = workflows
    for attempt in (1, 1, 2, 1):
        port.start(BREAK, attempt)
    assert sorted(started()) == [(BREAK, 1), (BREAK, 2)]


class Client:
    """A Step Functions client that answers what a test says."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.sent: list[dict[str, Any]] = []

    def _take(self, **request: Any) -> Any:
        self.sent.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    start_execution = send_task_success = _take


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "SendTaskSuccess")


def adapter(answer: Any, arn: str = "arn:corrections") -> tuple[StepFunctionsWorkflows, Client]:
    client = Client(answer)
    return StepFunctionsWorkflows(client, arn), client  # type: ignore[arg-type]


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_workflow_that_waits_no_longer_is_none_to_be_told(code: str) -> None:
    """Fails when a decision whose workflow went on by itself is an error to whoever made it."""
    port, client = adapter(refused(code))
    port.decided("a-token")
    assert client.sent == [{"taskToken": "a-token", "output": "{}"}]


@pytest.mark.parametrize("error", [refused("AccessDeniedException"), EndpointConnectionError(endpoint_url="x")])
def test_every_other_error_is_translated(error: Exception) -> None:
    """Fails when a decision that is stored, but not told, is an error that says that nothing happened."""
    port, _ = adapter(error)
    with pytest.raises(OutcomeUnknown, match="Repeat it"):
        port.decided("a-token")
    with pytest.raises(StoreUnavailable, match="Run again"):
        port.start(BREAK, 1)


def test_what_was_started_already_is_no_error() -> None:
    port, client = adapter(refused("ExecutionAlreadyExists"))
    port.start(BREAK, 1)
    assert client.sent[0]["name"] == execution_name(BREAK, 1)


def test_a_name_fits_and_nothing_is_started_without_a_state_machine() -> None:
    assert len(execution_name(BREAK, 99_999_999_999)) <= 80
    port, client = adapter({}, arn="")
    with pytest.raises(MisconfiguredError, match="PAYONCE_CORRECTIONS_ARN"):
        port.start(BREAK, 1)
    assert client.sent == []
