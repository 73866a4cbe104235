"""Puts a mutant into a process: into functions that are imported already, or into a module that is not yet."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Final

from tools.mutants.lines import codes_in, functions_of
from tools.mutants.mutations import ROOT, SOURCES, Mutant, constant_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, FunctionType

GENERATORS: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class NotPlanted(Exception):
    """The mutant can't be planted in a process that has imported its module."""


class Planter:
    """Exchanges the code of functions that are imported already, and the values of constants."""

    def __init__(self, modules: Sequence[str]) -> None:
        self._functions = functions_of({str(ROOT / SOURCES / module) for module in modules})

    def plant(self, mutant: Mutant) -> None:
        """Give each function that the mutant changes its code, or a constant its value wherever it is imported.

        Raises ``NotPlanted`` for what only an import makes: classes, defaults, and the like.
        """
        path = ROOT / SOURCES / mutant.module
        source = mutant.applied(path.read_bytes())
        if not mutant.function:
            self._plant_constant(mutant, source)
            return
        changed = compile(source, str(path), "exec", dont_inherit=True)
        codes = {code.co_firstlineno: code for code in codes_in(changed) if code.co_qualname == mutant.function}
        functions = self._functions.get((str(path), mutant.function), ())
        if not sum(_exchange(function, codes) for function in functions):
            raise NotPlanted(str(mutant))

    @staticmethod
    def _plant_constant(mutant: Mutant, source: bytes) -> None:
        name = constant_of(mutant)
        module = sys.modules.get("payonce." + mutant.module.removesuffix(".py").replace("/", "."))
        if not name or module is None:
            raise NotPlanted(str(mutant))
        [value] = [
            statement.value
            for statement in ast.parse(source).body
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.lineno <= mutant.line <= _end(statement)
        ]
        assert value is not None  # noqa: S101 - narrows the type: a mutant is within it
        expression = compile(ast.Expression(value), mutant.module, "eval", dont_inherit=True)
        try:
            new = eval(expression, dict(vars(module)))  # noqa: S307 - the project's own source
        except Exception as error:
            raise NotPlanted(str(mutant)) from error  # an import would not pass it, either
        old = vars(module)[name]
        for other in list(sys.modules.values()):
            names = getattr(other, "__dict__", {})
            if names.get(name) is old:
                names[name] = new


def _end(statement: ast.stmt) -> int:
    return statement.end_lineno or statement.lineno


def _exchange(function: FunctionType, codes: dict[int, CodeType]) -> bool:
    new = codes.get(function.__code__.co_firstlineno)
    if new is None or len(new.co_freevars) != len(function.__code__.co_freevars):
        return False
    if (new.co_flags ^ function.__code__.co_flags) & GENERATORS:
        return False  # without its last ``yield`` a function is no generator: no other one's code may be given to it
    function.__code__ = new
    return True


def plant_at_import(mutant: Mutant) -> None:
    """Have the module imported with the mutant. It must not be imported yet."""
    path = str(ROOT / SOURCES / mutant.module)
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
        if self.path == path:
            source = mutant.applied((ROOT / SOURCES / mutant.module).read_bytes())
            return compile(source, path, "exec", dont_inherit=True)
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
