"""The smallest counterexample of a history that is not linearizable, in words that a person can read.

To leave an operation out of a history may make a good one bad: without the first write, nothing explains what was read.
To *forget its answer* can't. So the answers are forgotten, as many as the contradiction does without (delta debugging,
Zeller and Hildebrandt 2002). What remains contradicts each other whatever became of all the other requests.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from histories.checker import linearize
from histories.key_model import Asked, Counted, KeyModel, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from histories.key_model import Action
    from histories.operation import Operation

MS = 1_000_000
SHOWN_OTHERS = 12  # enough to see how it came about
SHOWN_CHARACTERS = 160  # of an answer: enough to see in what two differ, short enough for a line


def smallest[A](
    operations: Sequence[Operation[A]],
    forget: Callable[[Operation[A]], Operation[A]],
    is_bad: Callable[[Sequence[Operation[A]]], bool],
) -> list[Operation[A]]:
    """Return operations whose answers contradict each other, none of which can be forgotten. ``operations`` are bad."""
    kept = list(range(len(operations)))

    def bad_with(indices: Sequence[int]) -> bool:
        known = set(indices)
        return is_bad([operation if i in known else forget(operation) for i, operation in enumerate(operations)])

    parts = 2
    while len(kept) > 1:
        size = -(-len(kept) // parts)
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if bad_with(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(kept))
    return [operations[index] for index in kept]


def is_linearizable(operations: Sequence[Operation[Action]]) -> bool:
    """Return whether some order explains all answers of one key."""
    return linearize(operations, KeyModel()) is not None


def contradiction(operations: Sequence[Operation[Action]]) -> list[Operation[Action]]:
    """Return the smallest counterexample of one key's history, in order of time."""
    found = smallest(operations, _forget, lambda tried: not is_linearizable(tried))
    return _by_time(found)


def _by_time(operations: Sequence[Operation[Action]]) -> list[Operation[Action]]:
    return sorted(operations, key=lambda operation: operation.began_ns)


def _forget(operation: Operation[Action]) -> Operation[Action]:
    if isinstance(operation.action, Counted):
        return replace(operation, ended_ns=None)
    return replace(operation, ended_ns=None, action=replace(operation.action, outcome=Outcome.UNKNOWN))


def describe(key: str, operations: Sequence[Operation[Action]], found: Sequence[Operation[Action]]) -> str:
    """Return the counterexample ``found`` in the history of ``key`` as text."""
    start_ns = min(operation.began_ns for operation in operations)
    lines = [
        f"Key {key}: {headline(found)}",
        f"{len(found)} of {len(operations)} operations contradict each other, whatever became of the others:",
    ]
    lines += [_line(operation, start_ns) for operation in found]
    others = [operation for operation in operations if operation not in found]
    if others:
        lines.append("The others:" if len(others) <= SHOWN_OTHERS else f"The first {SHOWN_OTHERS} of the others:")
        lines += [_line(operation, start_ns) for operation in _by_time(others)[:SHOWN_OTHERS]]
    return "\n".join(lines)


def headline(found: Sequence[Operation[Action]]) -> str:
    """Return in a sentence what a counterexample shows."""
    counted = next((one.action for one in found if isinstance(one.action, Counted)), None)
    asked = [one.action for one in found if isinstance(one.action, Asked)]
    answered = [action for action in asked if action.outcome is Outcome.ANSWERED]
    refused = {action.outcome for action in asked} - {Outcome.ANSWERED, Outcome.UNKNOWN}
    if counted is not None and len(counted.bodies) > 1:
        return f"it was executed {len(counted.bodies)} times."
    if len({action.body for action in answered}) > 1:
        return "two different bodies were both accepted."
    if len({action.answer for action in answered}) > 1:
        return "the same request got two different answers."
    if counted is not None and answered and not counted.bodies:
        return "it was acknowledged, and never executed."
    if counted is not None and answered:
        return "what was executed is not what was acknowledged."
    if counted is not None:
        return "it was executed, and nobody can have asked for it."
    if Outcome.BUSY in refused:
        return "it was said to be still under way, when it was not."
    return "a body was refused for another one, which the key did not belong to."


def _line(operation: Operation[Action], start_ns: int) -> str:
    began = f"{(operation.began_ns - start_ns) / MS:10,.1f}"
    ended = "     never" if operation.ended_ns is None else f"{(operation.ended_ns - start_ns) / MS:10,.1f}"
    action = operation.action
    if isinstance(action, Counted):
        said = ", ".join(action.bodies) if action.bodies else "nothing"
        return f"  {began} ms                  {operation.process:10} counted what was executed: {said}"
    told = {
        Outcome.ANSWERED: f"answered: {_short(action.answer)}",
        Outcome.REUSED: "refused: the key belongs to another body",
        Outcome.BUSY: "refused: still under way",
        Outcome.NOT_EXECUTED: "refused: nothing was executed",
        Outcome.UNKNOWN: "no answer, or an unknown outcome",
    }[action.outcome]
    return f"  {began} to {ended} ms  {operation.process:10} body {action.body} - {told}"


def _short(answer: str) -> str:
    text = answer.replace("\n", " | ")
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
