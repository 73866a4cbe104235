"""The workflows of corrections on Step Functions. Every AWS error is translated here, once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from payonce.domain.errors import MisconfiguredError, OutcomeUnknown, StoreUnavailable
from payonce.extras import needs

with needs("dynamodb"):
    from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.client import SFNClient

ALREADY_STARTED = "ExecutionAlreadyExists"
# The workflow waits with a new token by now, or has ended: it has read what is stored, or will read it.
UNTOLD = "The decision is stored, but its workflow may not have been told. Repeat it with the same key."
WAITS_NO_LONGER = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})


class StepFunctionsWorkflows:
    """``CorrectionStarter`` and ``ApprovalNotifier`` on Step Functions."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, break_id: str, attempt: int) -> None:
        """See ``CorrectionStarter``. Raises ``MisconfiguredError`` when no state machine is configured."""
        if not self._state_machine_arn:
            raise MisconfiguredError("PAYONCE_CORRECTIONS_ARN is not set: there is no workflow to start.")
        try:
            self._client.start_execution(
                stateMachineArn=self._state_machine_arn,
                name=execution_name(break_id, attempt),
                input=json.dumps({"break_id": break_id, "attempt": attempt}),
            )
        except ClientError as error:
            if _code(error) != ALREADY_STARTED:
                raise StoreUnavailable(f"The correction of {break_id} could not be started. Run again.") from error
        except BotoCoreError as error:
            raise StoreUnavailable(f"The correction of {break_id} could not be started. Run again.") from error

    def decided(self, task_token: str) -> None:
        """See ``ApprovalNotifier``. It does not send the decision: the workflow reads what is stored.

        It never raises ``StoreUnavailable``, which would mean that nothing happened: the decision is stored.
        """
        try:
            self._client.send_task_success(taskToken=task_token, output="{}")
        except ClientError as error:
            if _code(error) not in WAITS_NO_LONGER:
                raise OutcomeUnknown(UNTOLD) from error
        except BotoCoreError as error:
            raise OutcomeUnknown(UNTOLD) from error


def execution_name(break_id: str, attempt: int) -> str:
    """Return an execution's name, within Step Functions' limit of 80 characters."""
    return f"{break_id}-{attempt}"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
