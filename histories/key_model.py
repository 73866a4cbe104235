"""The sequential object that an idempotency key should look like: one register for each key.

::

    free ── first accepted body ──▶ owned by that body ── its first answer ──▶ answered
              executed once             same body: that answer, in these bytes, from now on
                                        another body: refused, nothing executed

- An answer: the key belongs to this body from now on, and this is the only answer to it.
- *Reused* (422): the key belongs to another body. It may also be the claim of another body that was given back: then
  another request was under way at that time, which did nothing in the end, or about which nobody knows.
- *Busy* (409): the same request was still under way: somebody else had asked, and nobody had been answered before.
- *Not executed* (503, 429): nothing happened.
- No answer, or one that says "unknown": it took effect at some moment after it was sent, or never will.
- After the run, the executions of the key are counted where they happen. They are a read of the register, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histories.operation import Operation


class Outcome(StrEnum):
    """What a client was told. The value names it in files."""

    ANSWERED = "answered"
    REUSED = "reused"
    BUSY = "busy"
    NOT_EXECUTED = "not_executed"
    UNKNOWN = "unknown"


GIVEN_BACK = (Outcome.NOT_EXECUTED, Outcome.UNKNOWN)  # the ends of a claim that left the key free again


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with ``body`` under the key, and what it was told.

    ``answer``: its text, for ``ANSWERED``. ``effects``: the executions that such an answer speaks of, 1, or 0 for a
    final failure. ``excused``: others were under way that explain a refusal (see ``excuse``). ``attempt`` numbers the
    request in its history.
    """

    body: str
    outcome: Outcome
    answer: str = ""
    effects: int = 1
    excused: bool = False
    attempt: int = -1


@dataclass(frozen=True, slots=True)
class Counted:
    """The bodies that were executed under the key, one for each execution, as counted after the run."""

    bodies: tuple[str, ...]


type Action = Asked | Counted


@dataclass(frozen=True, slots=True)
class KeyState:
    """``body`` is the one that the key belongs to, and ``answer`` its answer, once somebody has seen it."""

    body: str | None = None
    answer: str | None = None
    effects: int = 0


class KeyModel:
    """``Model`` of one key."""

    initial = KeyState()
    monotone = True  # free, owned, answered: no way leads back

    def step(self, state: KeyState, action: Action) -> KeyState | None:
        """See ``Model``."""
        if isinstance(action, Counted):
            expected = (state.body,) * state.effects
            return state if action.bodies == expected else None
        match action.outcome:
            case Outcome.ANSWERED:
                return _answered(state, action)
            case Outcome.UNKNOWN:
                return KeyState(action.body, None, action.effects) if state.body is None else state
            case Outcome.REUSED:
                legal = action.excused or state.body not in (None, action.body)
            case Outcome.BUSY:
                legal = action.excused
            case Outcome.NOT_EXECUTED:
                legal = True
        return state if legal else None


def _answered(state: KeyState, action: Asked) -> KeyState | None:
    following = KeyState(action.body, action.answer, action.effects)
    if state.body not in (None, action.body) or (state.answer is not None and state != following):
        return None
    return following


def excuse(operations: Sequence[Operation[Action]]) -> list[Operation[Action]]:
    """Return the operations of one key, with ``excused`` set where other requests under way explain a refusal.

    A 422 is explained by a request with another body that did nothing in the end, or whose end nobody knows; a 409 by
    any request with the same body, unless the key had been answered before. Each must have been under way at some
    moment between the refused one's call and end. An execution claims the key, and completes it later: in between the
    key is owned, and has no answer yet. That is why a 409 is judged by these intervals, and not by the state.
    """
    return [
        replace(
            operation, action=replace(operation.action, excused=_is_excused(operation, operation.action, operations))
        )
        if isinstance(operation.action, Asked) and operation.action.outcome in (Outcome.REUSED, Outcome.BUSY)
        else operation
        for operation in operations
    ]


def _is_excused(refused: Operation[Action], action: Asked, operations: Sequence[Operation[Action]]) -> bool:
    is_busy, found = action.outcome is Outcome.BUSY, False
    for other in operations:
        asked = other.action
        if other is refused or not isinstance(asked, Asked):
            continue
        if is_busy and asked.outcome is Outcome.ANSWERED and _ended_before(other, refused):
            return False
        is_reason = asked.body == action.body if is_busy else asked.body != action.body and asked.outcome in GIVEN_BACK
        found = found or (is_reason and not _ended_before(other, refused) and not _ended_before(refused, other))
    return found


def _ended_before(one: Operation[Action], other: Operation[Action]) -> bool:
    return one.ended_ns is not None and one.ended_ns < other.began_ns
