"""Judges a history: each key by the checker, and each refusal by who really executed."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from histories.counterexample import contradiction, describe, is_linearizable
from histories.key_model import Asked, Outcome, excuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histories.history import Execution, History
    from histories.key_model import Action
    from histories.operation import Operation


@dataclass(slots=True)
class Findings:
    """What a history shows. ``problems`` has a text for each key that is wrong; ``outcomes`` counts the requests.

    ``survived``: keys whose first request got no answer, and a later one did. ``open``: keys of which nobody has got an
    answer.
    """

    problems: dict[str, str] = field(default_factory=dict)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    keys: int = 0
    most_operations: int = 0
    survived: int = 0
    open: int = 0
    seconds: float = 0.0


def judge(history: History) -> Findings:
    """Return the findings. ``seconds`` is the checker's own processor time."""
    began = time.process_time()
    findings = Findings()
    for key, recorded in history.operations().items():
        operations = excuse(recorded)
        executions = history.executions.get(key, [])
        asked = [operation.action for operation in operations if isinstance(operation.action, Asked)]
        asked.sort(key=lambda action: action.attempt)
        findings.keys += 1
        findings.most_operations = max(findings.most_operations, len(operations))
        findings.outcomes.update(action.outcome for action in asked)
        is_answered = any(action.outcome is Outcome.ANSWERED for action in asked)
        findings.open += not is_answered
        findings.survived += is_answered and asked[0].outcome is Outcome.UNKNOWN
        problem = _problem(key, operations, asked, executions)
        if problem:
            findings.problems[key] = problem
    findings.seconds = time.process_time() - began
    return findings


def _problem(key: str, operations: list[Operation[Action]], asked: list[Asked], executions: Sequence[Execution]) -> str:
    if not is_linearizable(operations):
        return describe(key, operations, contradiction(operations))
    caused = {execution.attempt for execution in executions} - {-1}
    for action in asked:
        if action.attempt in caused and action.outcome in (Outcome.NOT_EXECUTED, Outcome.REUSED):
            return (
                f"Key {key}: attempt {action.attempt} with body {action.body} was told that nothing was executed "
                f"({action.outcome.value}), and it was this very attempt that was executed."
            )
    return ""
