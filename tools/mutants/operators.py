"""Small changes of a module's code: mutmut's operators, and those of our own that take out a guard.

mutmut turns a condition round (``<`` to ``<=``, ``==`` to ``!=``). A guard that no test needs passes that, since all
tests that go past it fail. So a condition is here also made constant, an operand of it is left out, a statement is
left out, and an exception is no longer caught.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

import libcst as cst
import libcst.matchers as m
from mutmut.mutation import mutators

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FALSE: Final = cst.Name("False")
TRUE: Final = cst.Name("True")
SMALLEST_LIMIT: Final = 2  # a smaller number says how often or which one; a larger is a limit, in some unit
SWAPPED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


def _numbers(node: cst.BaseNumber) -> Iterator[cst.CSTNode]:
    """A limit one larger is the same limit for every purpose: it becomes 0. Smaller numbers grow by one."""
    value = ast.literal_eval(node.value) if isinstance(node, cst.Integer | cst.Float) else 0
    if value > SMALLEST_LIMIT:
        yield cst.Integer("0")
    else:
        yield from mutators.operator_number(node)


def _names(node: cst.SimpleString) -> Iterator[cst.CSTNode]:
    """A text for people has blanks: none of its words is a promise."""
    text = node.evaluated_value
    if text and " " not in text if isinstance(text, str) else text:
        yield from list(mutators.operator_string(node))[:1]


def _arguments(node: cst.Call) -> Iterator[cst.CSTNode]:
    """Leave out one that has a name, or the last one: to leave out another shifts those after it, which any call shows.

    mutmut's ``None`` for each is left out: mypy refuses it wherever the parameter is not optional.
    """
    if m.matches(node.func, m.Name("cast") | m.Name("isinstance")):
        return
    shorter = [each for each in mutators.operator_arg_removal(node) if len(each.args) < len(node.args)]
    for argument, call in zip(node.args, shorter, strict=False):
        if argument.keyword is not None or argument is node.args[-1]:
            yield call


def _functions(node: cst.Call) -> Iterator[cst.CSTNode]:
    if isinstance(node.func, cst.Name) and node.func.value in SWAPPED:
        yield node.with_changes(func=cst.Name(SWAPPED[node.func.value]))


def _conditions(node: cst.If | cst.While | cst.IfExp | cst.CompIf) -> Iterator[cst.CSTNode]:
    yield FALSE
    if not isinstance(node, cst.While):
        yield TRUE


def _operands(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    for operand in (node.left, node.right):
        yield operand if operand.lpar else operand.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _comparisons(node: cst.ComparisonTarget) -> Iterator[cst.CSTNode]:
    if isinstance(node.operator, cst.Is | cst.IsNot | cst.In | cst.NotIn):
        yield from (node.with_changes(operator=each) for each in mutators.operator_keywords(node.operator))
    else:
        yield from mutators.operator_swap_op(node)


def _statements(node: cst.SimpleStatementLine) -> Iterator[cst.CSTNode]:
    """Leave out a call, a raise, a ``return`` without a value, and whatever changes an object or counts."""
    effect = (
        m.Expr(m.Call() | m.Yield() | m.Await())
        | m.Raise()
        | m.Return(value=None)
        | m.AugAssign()
        | m.Assign(targets=[m.AssignTarget(m.Attribute() | m.Subscript())])
    )
    if len(node.body) == 1 and m.matches(node.body[0], effect):
        yield cst.Pass()


def _caught(node: cst.ExceptHandler) -> Iterator[cst.CSTNode]:
    if isinstance(node.type, cst.Tuple):
        for left_out in node.type.elements:
            yield node.type.with_changes(elements=[each for each in node.type.elements if each is not left_out])
    elif node.type is not None:
        yield cst.Tuple([])


def _whole(node: cst.CSTNode) -> cst.CSTNode:
    return node


def _test(node: Any) -> cst.CSTNode:
    return node.test


# (kind of node, name of the operator, its changes, what they replace)
type Operator = tuple[type[Any], str, Callable[[Any], Iterable[cst.CSTNode]], Callable[[Any], cst.CSTNode]]
OPERATORS: Final[tuple[Operator, ...]] = (
    (cst.BaseNumber, "number", _numbers, _whole),
    (cst.SimpleString, "name", _names, _whole),
    (cst.Name, "truth", mutators.operator_name, _whole),
    (cst.AugAssign, "assignment", mutators.operator_augmented_assignment, _whole),
    (cst.UnaryOperation, "not", mutators.operator_remove_unary_ops, _whole),
    (cst.UnaryOperation, "arithmetic", mutators.operator_swap_op, _whole),
    (cst.BinaryOperation, "arithmetic", mutators.operator_swap_op, _whole),
    (cst.AugAssign, "arithmetic", mutators.operator_swap_op, _whole),
    (cst.ComparisonTarget, "comparison", _comparisons, _whole),
    (cst.BooleanOperation, "operand", _operands, _whole),
    (cst.Call, "argument", _arguments, _whole),
    (cst.Call, "string", mutators.operator_symmetric_string_methods_swap, _whole),
    (cst.Call, "function", _functions, _whole),
    (cst.Break, "loop", mutators.operator_keywords, _whole),
    (cst.Continue, "loop", mutators.operator_keywords, _whole),
    (cst.Match, "case", mutators.operator_match, _whole),
    (cst.If, "condition", _conditions, _test),
    (cst.While, "condition", _conditions, _test),
    (cst.IfExp, "condition", _conditions, _test),
    (cst.CompIf, "condition", _conditions, _test),
    (cst.SimpleStatementLine, "statement", _statements, lambda node: node.body[0]),
    (cst.ExceptHandler, "caught", _caught, lambda node: node.type),
)
