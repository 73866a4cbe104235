"""A checker of linearizability: Wing and Gong's search with Lowe's memory of configurations.

Wing and Gong, "Testing and verifying concurrent objects" (JPDC 17, 1993): take an operation that began before any other
of the rest has ended, apply it to the model, go on with the rest, and come back to try another if that leads nowhere.
Lowe, "Testing for linearizability" (CCPE 29, 2017): never try a configuration twice, which is the set of operations
taken and the state they lead to. Horn and Kroening, "Faster linearizability checking via P-compositionality" (FORTE
2015): the history of each object by itself. The callers do that: one key's history at a time.

What is our own keeps one hot key's thousands of operations from being permuted, for objects of which no state comes
back (``Model.monotone``). There an operation that leaves the state as it is, and may be taken, is taken for good: what
can follow without it can follow with it. An operation whose answer never came is only taken where it changes the state,
for any object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from histories.operation import Operation

CALL, RETURN = 0, 1  # at the same moment calls come first: such operations count as concurrent


class Model[S: Hashable, A](Protocol):
    """The sequential object that the real one should look like."""

    @property
    def initial(self) -> S:
        """The state before the first operation."""
        ...

    @property
    def monotone(self) -> bool:
        """Whether an action that changes nothing in a state changes nothing in any state after it either."""
        ...

    def step(self, state: S, action: A) -> S | None:
        """Return the state after the action, or ``None`` if its answer is wrong in this state."""
        ...


def linearize[S: Hashable, A](operations: Sequence[Operation[A]], model: Model[S, A]) -> list[int] | None:
    """Return the indices of the operations in an order that explains all answers, or ``None`` if there is none.

    The order agrees with time: of two operations of which one had ended before the other began, it comes first. It has
    every operation that has ended; of the others, those that took effect.
    """
    return _Search(operations, model).run()


class _Search[S: Hashable, A]:
    """Depth first. ``_state`` is what the operations in ``_path`` lead to; ``_taken`` is the set of them, as bits."""

    def __init__(self, operations: Sequence[Operation[A]], model: Model[S, A]) -> None:
        self._operations = operations
        self._model = model
        self._timeline = _Timeline(operations)
        self._state = model.initial
        self._taken = 0
        self._left = sum(operation.ended_ns is not None for operation in operations)
        self._path: list[tuple[int, S]] = []  # each operation with the state before it
        self._seen: set[tuple[int, S]] = set()
        self._tried: set[tuple[int, S, S]] = set()

    def run(self) -> list[int] | None:
        """See ``linearize``."""
        timeline = self._timeline
        position = timeline.after[0]
        while self._left:
            index = timeline.operations[position]
            if timeline.kinds[position] == RETURN:
                # An operation ended here that is not in the order: nothing that began later may come before it.
                position = self._back()
            elif self._may_take(index):
                position = timeline.after[0]
            elif self._is_quiet(index):
                position = self._back()  # it would be taken for good, and that has led nowhere before
            else:
                position = timeline.after[position]
            if position < 0:
                return None
        return [index for index, _ in self._path]

    def _is_quiet(self, index: int) -> bool:
        ends = self._operations[index].ended_ns is not None
        return (
            self._model.monotone
            and ends
            and self._model.step(self._state, self._operations[index].action) == self._state
        )

    def _may_take(self, index: int) -> bool:
        """Take the operation, unless it is wrong here, without use, or known to lead nowhere. Return whether it was."""
        action, ends = self._operations[index].action, self._operations[index].ended_ns is not None
        following = self._model.step(self._state, action)
        if following is None or (following == self._state and not ends):
            return False
        if self._model.monotone and following != self._state and self._model.step(following, action) == following:
            # Of several that lead to the same state, and change nothing there, the first decides for all: an order
            # that begins with another one could as well begin with the first, and have the other next.
            attempt = (self._taken, self._state, following)
            if attempt in self._tried:
                return False
            self._tried.add(attempt)
        taken = self._taken | 1 << index
        if (taken, following) in self._seen:
            return False
        self._seen.add((taken, following))
        self._path.append((index, self._state))
        self._state, self._taken, self._left = following, taken, self._left - ends
        self._timeline.lift(index)
        return True

    def _back(self) -> int:
        """Give back the last operation that may be tried elsewhere, and what came after; return the position behind it.

        -1 if there is none: no order is left to try.
        """
        while self._path:
            index, before = self._path.pop()
            may_move = not self._model.monotone or before != self._state
            self._state, self._taken = before, self._taken ^ 1 << index
            self._left += self._operations[index].ended_ns is not None
            self._timeline.put_back(index)
            if may_move:
                return self._timeline.after[self._timeline.calls[index]]
        return -1


class _Timeline:
    """Calls and returns in order of time, doubly linked, so that an operation is lifted out in constant time.

    Position 0 is the head. An operation without an end has no return.
    """

    def __init__(self, operations: Sequence[Operation[object]]) -> None:
        moments = [(operation.began_ns, CALL, index) for index, operation in enumerate(operations)]
        moments += [
            (operation.ended_ns, RETURN, index)
            for index, operation in enumerate(operations)
            if operation.ended_ns is not None
        ]
        moments.sort()
        self.kinds = [CALL, *(kind for _, kind, _ in moments)]
        self.operations = [-1, *(index for _, _, index in moments)]
        self.after = list(range(1, len(moments) + 2))
        self._before = list(range(-1, len(moments) + 1))
        self.calls = [0] * len(operations)
        self._returns = [0] * len(operations)
        for position in range(1, len(moments) + 1):
            places = self.calls if self.kinds[position] == CALL else self._returns
            places[self.operations[position]] = position

    def lift(self, index: int) -> None:
        """Take an operation's call and return out."""
        for position in (self.calls[index], self._returns[index]):
            if position:
                before, after = self._before[position], self.after[position]
                self.after[before] = after
                self._before[after] = before

    def put_back(self, index: int) -> None:
        """Undo the last ``lift``, which was this operation's."""
        for position in (self._returns[index], self.calls[index]):
            if position:
                self.after[self._before[position]] = position
                self._before[self.after[position]] = position
