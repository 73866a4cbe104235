"""One step of the workflow that corrects a break. The state machine in template.yaml says which comes when."""

from __future__ import annotations

from typing import Any

from payonce.entrypoints.corrections import correct
from payonce.ports import Deadline
from payonce.wiring.application import bootstrap

APPLICATION = bootstrap()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the step; return where the correction stands."""
    deadline = Deadline(APPLICATION.clock.now_ms() + context.get_remaining_time_in_millis())
    return correct(APPLICATION, event, deadline)
