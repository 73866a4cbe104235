"""The checker: against one that tries every order, and on histories of a correct key, mutated and not."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from histories.checker import linearize
from histories.counterexample import contradiction, is_linearizable
from histories.key_model import Action, Asked, Counted, KeyModel, Outcome, excuse
from histories.operation import Operation
from tests.histories import brute_force
from tests.histories.drawn import CERTAIN, actions, correct_keys, keys, registers
from tests.histories.registers import Access, Register, access

MANY = 3_000


@settings(max_examples=500)
@given(registers())
def test_registers_are_judged_as_by_trying_every_order(operations: list[Operation[Access]]) -> None:
    order = linearize(operations, Register())
    assert (order is not None) is brute_force.is_linearizable(operations, Register())
    assert order is None or brute_force.explains(order, operations, Register())


def test_a_write_that_changes_nothing_now_may_be_needed_later() -> None:
    """Fails when an operation without effect is taken for good in a register, too, whose states come back."""
    operations = [
        access("1", 0, 1, "write", 3),
        access("2", 2, 20, "write", 3),
        access("3", 4, 5, "write", 4),
        access("4", 6, 7, "read", 4),
        access("5", 10, 11, "read", 3),
    ]
    assert linearize(operations, Register()) == [0, 2, 3, 1, 4]


@settings(max_examples=300)
@given(keys())
def test_keys_are_judged_as_by_trying_every_order(operations: list[Operation[Action]]) -> None:
    order = linearize(operations, KeyModel())
    assert (order is not None) is brute_force.is_linearizable(operations, KeyModel())
    assert order is None or brute_force.explains(order, operations, KeyModel())


@given(correct_keys())
def test_a_correct_key_is_accepted(operations: list[Operation[Action]]) -> None:
    assert is_linearizable(operations)


def answered(operations: list[Operation[Action]]) -> list[int]:
    return [
        index
        for index, operation in enumerate(operations)
        if isinstance(operation.action, Asked) and operation.action.outcome is Outcome.ANSWERED
    ]


def changed(operations: list[Operation[Action]], index: int, action: Action) -> list[Operation[Action]]:
    return [replace(one, action=action) if number == index else one for number, one in enumerate(operations)]


@given(correct_keys(), st.data())
def test_one_answer_in_other_bytes_is_refused(operations: list[Operation[Action]], data: st.DataObject) -> None:
    assume(len(answered(operations)) > 1)
    index = data.draw(st.sampled_from(answered(operations)))
    wrong = changed(operations, index, replace(operations[index].action, answer="the answer, rendered anew"))  # type: ignore[arg-type]
    assert not is_linearizable(wrong)


@given(correct_keys(), st.sampled_from("ab"))
def test_one_execution_more_is_refused(operations: list[Operation[Action]], body: str) -> None:
    counted = operations[-1].action
    assert isinstance(counted, Counted)
    assume(counted.bodies or answered(operations))
    wrong = changed(operations, len(operations) - 1, Counted((*counted.bodies, body)))
    assert not is_linearizable(wrong)


@given(correct_keys())
def test_an_acknowledged_request_that_was_never_executed_is_refused(operations: list[Operation[Action]]) -> None:
    assume(answered(operations))
    assert not is_linearizable(changed(operations, len(operations) - 1, Counted(())))


@given(correct_keys(), st.data())
def test_an_answer_to_another_body_is_refused(operations: list[Operation[Action]], data: st.DataObject) -> None:
    assume(answered(operations))
    index = data.draw(st.sampled_from(answered(operations)))
    action = operations[index].action
    assert isinstance(action, Asked)
    other = "b" if action.body == "a" else "a"
    assert not is_linearizable(changed(operations, index, replace(action, body=other)))


@given(correct_keys(CERTAIN), st.sampled_from([Outcome.REUSED, Outcome.BUSY]))
def test_a_refusal_of_the_answered_request_is_refused(operations: list[Operation[Action]], told: Outcome) -> None:
    """It comes after the answer, so that nothing is under way any more that would explain it."""
    assume(answered(operations))
    action = operations[answered(operations)[0]].action
    assert isinstance(action, Asked)
    last = operations[-1].began_ns
    late: Operation[Action] = Operation("late", last + 1, last + 2, Asked(action.body, told))
    assert not is_linearizable(excuse([*operations, late]))


@given(keys(most=4))
def test_nothing_in_a_counterexample_can_be_forgotten(operations: list[Operation[Action]]) -> None:
    assume(not is_linearizable(operations))
    found = contradiction(operations)
    assert found

    def bad(known: list[Operation[Action]]) -> bool:
        return not brute_force.is_linearizable(
            [one if one in known else _forgotten(one) for one in operations], KeyModel()
        )

    assert bad(found)
    assert not any(bad([other for other in found if other is not one]) for one in found)


def _forgotten(operation: Operation[Action]) -> Operation[Action]:
    if isinstance(operation.action, Counted):
        return replace(operation, ended_ns=None)
    return replace(operation, ended_ns=None, action=replace(operation.action, outcome=Outcome.UNKNOWN))


def test_a_hot_keys_long_history_takes_no_search() -> None:
    """3,000 at once, and a count that is wrong: fails to end when operations without effect are permuted."""
    told = Asked("a", Outcome.ANSWERED, "r")
    operations: list[Operation[Action]] = [Operation(str(number), number, 10 * MANY, told) for number in range(MANY)]
    count: Operation[Action] = Operation("count", 11 * MANY, 11 * MANY, Counted(("a", "a")))
    assert is_linearizable(operations)
    assert not is_linearizable([*operations, count])


@given(st.lists(actions(), max_size=6), actions())
def test_no_state_of_a_key_comes_back(before: list[Action], action: Action) -> None:
    """What ``monotone`` promises: fails when an action without effect has one in a later state."""
    model, state = KeyModel(), KeyModel.initial
    was_quiet = False
    for step in before:
        was_quiet = was_quiet or model.step(state, action) == state
        state = model.step(state, step) or state
        assert not was_quiet or model.step(state, action) in (None, state)
