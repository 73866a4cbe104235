"""A checker of linearizability that is slow, and too simple to be wrong: it tries every order."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from histories.checker import Model
    from histories.operation import Operation


def is_linearizable[S: Hashable, A](operations: Sequence[Operation[A]], model: Model[S, A]) -> bool:
    """Return whether some order of some of the operations, and of all that have ended, explains all answers."""
    return any(_explains(order, model) for order in _orders(operations))


def explains[S: Hashable, A](order: Sequence[int], operations: Sequence[Operation[A]], model: Model[S, A]) -> bool:
    """Return whether this order is an explanation: complete, in accordance with time, and with the model."""
    ended = {index for index, operation in enumerate(operations) if operation.ended_ns is not None}
    chosen = [operations[index] for index in order]
    return ended <= set(order) and len(set(order)) == len(order) and _keeps_time(chosen) and _explains(chosen, model)


def _orders[A](operations: Sequence[Operation[A]]) -> Iterator[Sequence[Operation[A]]]:
    ended = [operation for operation in operations if operation.ended_ns is not None]
    open_ended = [operation for operation in operations if operation.ended_ns is None]
    for size in range(len(open_ended) + 1):
        for chosen in combinations(open_ended, size):
            for order in permutations([*ended, *chosen]):
                if _keeps_time(order):
                    yield order


def _keeps_time[A](order: Sequence[Operation[A]]) -> bool:
    return not any(
        later.ended_ns is not None and later.ended_ns < earlier.began_ns
        for position, earlier in enumerate(order)
        for later in order[position + 1 :]
    )


def _explains[S: Hashable, A](order: Sequence[Operation[A]], model: Model[S, A]) -> bool:
    state = model.initial
    for operation in order:
        following = model.step(state, operation.action)
        if following is None:
            return False
        state = following
    return True
