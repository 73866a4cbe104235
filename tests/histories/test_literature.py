"""Histories that the literature has judged, written down as ours: the checker says the same of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from histories.checker import linearize
from tests.histories.brute_force import explains
from tests.histories.registers import Queue, Register, access, queued

if TYPE_CHECKING:
    from histories.operation import Operation
    from tests.histories.registers import Access

# MIT 6.824, quiz 2 of 2017, question VII, as porcupine's TestRegisterModel and TestZeroDuration have it
# (https://github.com/anishathalye/porcupine, porcupine_test.go).
PORCUPINE = {
    "reads of the old and of the new value while a write goes on": (
        True,
        [access("0", 0, 100, "write", 100), access("1", 25, 75, "read", 100), access("2", 30, 60, "read", 0)],
    ),
    "a read of the old value after a read of the new one has ended": (
        False,
        [access("0", 0, 100, "write", 200), access("1", 10, 30, "read", 200), access("2", 40, 90, "read", 0)],
    ),
    "reads without duration, which are concurrent at the same moment": (
        True,
        [
            access("0", 0, 100, "write", 100),
            access("1", 25, 75, "read", 100),
            access("2", 30, 30, "read", 0),
            access("3", 30, 30, "read", 0),
        ],
    ),
    "reads without duration, and an old value long after them": (
        False,
        [
            access("0", 0, 100, "write", 200),
            access("1", 10, 10, "read", 200),
            access("2", 10, 10, "read", 200),
            access("3", 40, 90, "read", 0),
        ],
    ),
}
# Knossos' examples in data/cas-register (https://github.com/jepsen-io/knossos); times are places in the file.
KNOSSOS = {
    "bad-analysis: two concurrent reads of values that nobody wrote last, and a crashed write": (
        Register(0),
        False,
        [
            access("4", 0, 1, "write", 2),
            access("1", 3, 4, "write", 4),
            access("14", 5, 6, "read", 4),
            access("9", 7, 8, "write", 0),
            access("19", 9, 11, "read", 0),
            access("20", 10, None, "write", 1),
            access("22", 12, 15, "read", 3),
            access("21", 13, 14, "read", 2),
        ],
    ),
    "immediate-failure: a read of what a refused write would have written": (
        Register(0),
        False,
        [access("1", 0, 3, "read", 3)],
    ),
    "rethink-fail-minimal: a value out of nowhere, beside a write of another one": (
        Register(-1),
        False,
        [
            access("0", 0, 1, "write", 0),
            access("1", 2, 4, "read", 3),
            access("2", 3, 5, "write", 4),
            access("3", 6, 7, "read", 4),
        ],
    ),
    "cas-register-bug: one after the other": (
        Register(0),
        True,
        [
            access("4", 0, 1, "write", 2),
            access("1", 3, 4, "write", 4),
            access("14", 5, 6, "read", 4),
            access("9", 7, 8, "write", 0),
            access("19", 9, 10, "read", 0),
        ],
    ),
    "crash-test: a write that was never answered": (Register(0), True, [access("0", 0, None, "write", 1)]),
    "a crashed write that takes effect long after": (
        Register(0),
        True,
        [access("0", 0, None, "write", 1), access("1", 5, 6, "read", 0), access("2", 7, 8, "read", 1)],
    ),
    "a crashed write that takes effect, and then has not": (
        Register(0),
        False,
        [access("0", 0, None, "write", 1), access("1", 5, 6, "read", 1), access("2", 7, 8, "read", 0)],
    ),
    "of two that compare with the same value, both succeed": (
        Register(0),
        False,
        [access("0", 0, 5, "cas", 1, expected=0), access("1", 1, 6, "cas", 2, expected=0)],
    ),
    "of two that compare with the same value, one succeeds": (
        Register(0),
        True,
        [access("0", 0, 5, "cas", 1, expected=0), access("1", 1, 6, "cas", 2, expected=0, held=False)],
    ),
}
# The kinds of queue histories that Herlihy and Wing begin with ("Linearizability", TOPLAS 12, 1990, section 1).
QUEUES = {
    "two that were put in at the same time come out in either order": (
        True,
        [queued("A", 0, 10, "enq", "x"), queued("B", 1, 9, "enq", "y"), queued("A", 11, 12, "deq", "y")],
    ),
    "what was put in later comes out first": (
        False,
        [queued("A", 0, 1, "enq", "x"), queued("B", 2, 3, "enq", "y"), queued("A", 4, 5, "deq", "y")],
    ),
    "taken out while it is still being put in": (
        True,
        [queued("A", 0, 10, "enq", "x"), queued("B", 1, 9, "deq", "x")],
    ),
    "one item comes out twice": (
        False,
        [
            queued("A", 0, 10, "enq", "x"),
            queued("B", 1, 9, "enq", "y"),
            queued("A", 11, 20, "deq", "y"),
            queued("C", 12, 19, "deq", "y"),
        ],
    ),
}


@pytest.mark.parametrize("name", PORCUPINE)
def test_porcupines_registers(name: str) -> None:
    expected, operations = PORCUPINE[name]
    judge(operations, Register(0), expected)


@pytest.mark.parametrize("name", KNOSSOS)
def test_knossos_registers(name: str) -> None:
    model, expected, operations = KNOSSOS[name]
    judge(operations, model, expected)


@pytest.mark.parametrize("name", QUEUES)
def test_herlihys_and_wings_queues(name: str) -> None:
    expected, operations = QUEUES[name]
    order = linearize(operations, Queue())
    assert (order is not None) is expected
    assert order is None or explains(order, operations, Queue())


def judge(operations: list[Operation[Access]], model: Register, expected: bool) -> None:
    order = linearize(operations, model)
    assert (order is not None) is expected
    assert order is None or explains(order, operations, model)
