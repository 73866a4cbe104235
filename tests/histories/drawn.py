"""Histories drawn by Hypothesis: any at all, and such as a correct key gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from histories.key_model import Action, Asked, Counted, KeyModel, KeyState, Outcome, excuse
from histories.operation import Operation
from tests.histories.registers import Access

if TYPE_CHECKING:
    from collections.abc import Callable

MOMENTS = 12
CERTAIN = ("answer", "answer", "answer", "down", "busy")
ANY = (*CERTAIN, "late", "lost")


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int | None]:
    """Draw a call's moment, and its end's, which may be missing."""
    began = draw(st.integers(0, MOMENTS))
    return began, draw(st.none() | st.integers(began, MOMENTS + 2))


@st.composite
def registers(draw: st.DrawFn, most: int = 6) -> list[Operation[Access]]:
    """Draw any history of a register."""
    accesses = st.builds(
        Access,
        st.sampled_from(["read", "write", "cas"]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.booleans(),
    )
    return [Operation(str(number), *draw(spans()), draw(accesses)) for number in range(draw(st.integers(0, most)))]


def actions() -> st.SearchStrategy[Action]:
    """Draw what a client was told, or what was counted."""
    asked = st.builds(
        Asked,
        st.sampled_from("ab"),
        st.sampled_from(Outcome),
        st.sampled_from(["r", "s"]),
        st.integers(0, 1),
        st.booleans(),
    )
    counted = st.builds(Counted, st.lists(st.sampled_from("ab"), max_size=2).map(tuple))
    return asked | counted


@st.composite
def keys(draw: st.DrawFn, most: int = 6) -> list[Operation[Action]]:
    """Draw any history of a key, mostly a wrong one."""
    asked = st.builds(Asked, st.sampled_from("ab"), st.sampled_from(Outcome), st.sampled_from(["r", "s"]))
    operations: list[Operation[Action]] = []
    for number in range(draw(st.integers(0, most))):
        began, ended = draw(spans())
        action = draw(asked)
        if ended is None:
            action = replace(action, outcome=Outcome.UNKNOWN)
        operations.append(Operation(str(number), began, ended, action))
    if draw(st.booleans()):
        counted = Counted(tuple(draw(st.lists(st.sampled_from("ab"), max_size=2))))
        operations.append(Operation("count", MOMENTS + 3, MOMENTS + 3, counted))
    return excuse(operations)


@st.composite
def correct_keys(draw: st.DrawFn, fates: tuple[str, ...] = ANY, most: int = 40) -> list[Operation[Action]]:
    """Draw the history of a correct key: each request takes effect at a moment within it, one after the other."""
    state = KeyModel.initial
    operations: list[Operation[Action]] = []
    for number in range(draw(st.integers(1, most))):
        moment = 100 * (number + 1)
        began = max(0, moment - draw(st.integers(1, 500)))
        ended: int | None = moment + draw(st.integers(1, 500))
        body = draw(st.sampled_from("aab"))
        state, told = FATES[draw(st.sampled_from(fates))](state, body)
        if told.outcome is Outcome.UNKNOWN:
            ended = None
        operations.append(Operation(f"client {number}", began, ended, told))
    last = max(operation.ended_ns or operation.began_ns for operation in operations)
    counted: tuple[str, ...] = () if state.body is None else (state.body,)
    operations.append(Operation("count", last + 1, last + 1, Counted(counted)))
    return [_without_busy(operation) for operation in excuse(operations)]


def _without_busy(operation: Operation[Action]) -> Operation[Action]:
    """A correct key tells nobody that he is not the first who is."""
    action = operation.action
    if isinstance(action, Asked) and action.outcome is Outcome.BUSY and not action.excused:
        return replace(operation, action=replace(action, outcome=Outcome.NOT_EXECUTED))
    return operation


def _answer(state: KeyState, body: str) -> tuple[KeyState, Asked]:
    if state.body not in (None, body):
        return state, Asked(body, Outcome.REUSED)
    return KeyState(body, "the answer", 1), Asked(body, Outcome.ANSWERED, "the answer")


def _late(state: KeyState, body: str) -> tuple[KeyState, Asked]:
    """It is executed, and its client gets no answer."""
    owned = KeyState(body, state.answer, 1) if state.body in (None, body) else state
    return owned, Asked(body, Outcome.UNKNOWN)


def _busy(state: KeyState, body: str) -> tuple[KeyState, Asked]:
    can_be = state.answer is None and state.body in (None, body)
    return state, Asked(body, Outcome.BUSY if can_be else Outcome.NOT_EXECUTED)


FATES: dict[str, Callable[[KeyState, str], tuple[KeyState, Asked]]] = {
    "answer": _answer,
    "late": _late,
    "lost": lambda state, body: (state, Asked(body, Outcome.UNKNOWN)),
    "down": lambda state, body: (state, Asked(body, Outcome.NOT_EXECUTED)),
    "busy": _busy,
}
