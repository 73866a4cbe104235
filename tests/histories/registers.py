"""The sequential objects of the literature's histories: a register that compares and sets, and a queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from histories.operation import Operation


@dataclass(frozen=True, slots=True)
class Access:
    """``read`` returned ``value``; ``write`` wrote it; ``cas`` set it where ``expected`` was, if ``held``."""

    kind: Literal["read", "write", "cas"]
    value: int
    expected: int = 0
    held: bool = True


@dataclass(frozen=True, slots=True)
class Register:
    """A register. -1 stands for "nothing was ever written"."""

    initial: int = 0
    monotone: bool = False

    def step(self, state: int, action: Access) -> int | None:
        """See ``Model``."""
        if action.kind == "write":
            return action.value
        if action.kind == "read":
            return state if state == action.value else None
        if (state == action.expected) is not action.held:
            return None
        return action.value if action.held else state


@dataclass(frozen=True, slots=True)
class Queued:
    """``enq`` put ``item`` in; ``deq`` returned it, or "" for an empty queue."""

    kind: Literal["enq", "deq"]
    item: str


class Queue:
    """First in, first out."""

    initial: tuple[str, ...] = ()
    monotone = False

    def step(self, state: tuple[str, ...], action: Queued) -> tuple[str, ...] | None:
        """See ``Model``."""
        if action.kind == "enq":
            return (*state, action.item)
        if not state:
            return state if action.item == "" else None
        return state[1:] if state[0] == action.item else None


def access(
    process: str, began: int, ended: int | None, kind: Literal["read", "write", "cas"], value: int, **more: int
) -> Operation[Access]:
    """Return one access of a register."""
    return Operation(process, began, ended, Access(kind, value, **more))  # type: ignore[arg-type]


def queued(process: str, began: int, ended: int | None, kind: Literal["enq", "deq"], item: str) -> Operation[Queued]:
    """Return one access of a queue."""
    return Operation(process, began, ended, Queued(kind, item))
