"""The mutants of a module, each a change of one place of its source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, CodeRange, MetadataWrapper, PositionProvider

from tools.mutants.operators import FALSE, OPERATORS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = Path("layers/payonce/payonce")  # what ``module`` is relative to
# What says nothing at run time, and what is said to people or to a log and decides nothing. The extra that ``needs``
# names is a part of its import: tests/infrastructure/test_extras.py reads it in the source.
LEFT_OUT: Final = (
    m.Import()
    | m.ImportFrom()
    | m.Annotation()
    | m.Decorator()
    | m.TypeAlias()
    | m.Assert()
    | m.Assign(targets=[m.AssignTarget(target=m.Name("__all__"))])
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.SimpleStatementLine(body=[m.Expr(m.SimpleString() | m.ConcatenatedString())])
    | m.Call(func=m.Name("needs"))
    | m.Call(func=m.Attribute(value=m.Name("_logger") | m.Name("logger") | m.Name("_log")))
)
UNTESTED: Final = "# pragma: no cover"  # the project's mark for what no test can reach, with its reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A change of a module, in its ``line``: ``before`` becomes ``after``.

    ``function`` is the outermost function or method around it, "" outside of functions. Only a test that executes a
    line from the first to the last of ``executed`` can see it. ``owner`` is the class or function whose field or
    default it changes, "" elsewhere. ``text`` is the line, for people, and ``statement`` the first line of its
    statement, with what it is indented by.
    """

    module: str
    function: str
    owner: str
    operator: str
    line: int
    executed: tuple[int, int]
    text: str
    statement: str
    before: str
    after: str
    start: int
    stop: int

    def applied(self, source: bytes) -> bytes:
        """Return the module's source with the change."""
        return source[: self.start] + self.after.encode() + source[self.stop :]

    def __str__(self) -> str:
        before, after = self.change
        return f"{self.module}:{self.line} [{self.operator}] {before} -> {after or 'nothing'} in {self.text}"

    @property
    def change(self) -> tuple[str, str]:
        """Return what is replaced and by what, without the parts that stay as they are."""
        if self.operator in {"argument", "operand", "caught", "case"}:
            return change_of(self.before, self.after)
        return plain(self.before), plain(self.after)


def constant_of(mutant: Mutant) -> str:
    """Return the name of the module's constant whose value the mutant changes, or ""."""
    found = re.match(r"([A-Z_][A-Z0-9_]*)\b(:[^=]*)? = ", mutant.statement)
    return found[1] if found and not mutant.function else ""


def plain(text: str) -> str:
    """Return the text in one line, without blanks that say nothing."""
    return re.sub(r",(?=[)\]}])", "", re.sub(r"(?<=[(\[{]) | (?=[)\]}])", "", re.sub(r"\s+", " ", text).strip()))


def change_of(before: str, after: str) -> tuple[str, str]:
    """Return both without what they have in common at their ends, down to whole words: what a person has to see."""
    old, new = (re.findall(r"\w+|\s+|[^\w\s]", plain(text)) for text in (before, after))
    head = next(
        (at for at, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new))
    )
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    shown = ["".join(words[head : len(words) - tail]).strip(", ") for words in (old, new)]
    return shown[0], shown[1]


def mutants_of(module: str, root: Path = ROOT / SOURCES) -> list[Mutant]:
    """Return the mutants of a module (a path below ``root``) that are other programs, in the order of their lines."""
    source = (root / module).read_bytes()
    finder = _Finder(module, source)
    MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True).visit(finder)
    original = compile(source, module, "exec", dont_inherit=True)
    found: dict[tuple[int, int, str], Mutant] = {}
    for mutant in finder.mutants:
        try:
            is_same = compile(mutant.applied(source), module, "exec", dont_inherit=True) == original
        except SyntaxError:
            continue
        if not is_same:
            found.setdefault((mutant.start, mutant.stop, mutant.after), mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.line, mutant.start, mutant.stop, mutant.after))


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ByteSpanPositionProvider)

    def __init__(self, module: str, source: bytes) -> None:
        super().__init__()
        self._module, self._source = module, source
        self._lines = source.decode().splitlines()
        self._names: list[str] = []
        self._functions = 0  # how deep in functions
        self._statements: list[tuple[int, int]] = []
        self._raising = 0
        self._signature: cst.Parameters | None = None  # of the outermost function: its defaults are not its code
        self._in_signature = False
        self._bodies: dict[cst.CSTNode, CodeRange] = {}
        self._types: set[cst.CSTNode] = set()  # arguments that name a type
        self._empty = cst.Module([])
        self.mutants: list[Mutant] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        """Take the mutants of a node, and go on below it."""
        if m.matches(node, LEFT_OUT) or node in self._types:
            return False
        if m.matches(node, m.Call(func=m.Name("cast"))):
            self._types.add(cst.ensure_type(node, cst.Call).args[0])
        if isinstance(node, cst.BaseStatement):
            place = self.get_metadata(PositionProvider, node)
            last = place.end.line
            if isinstance(node, cst.BaseCompoundStatement):
                head = self.get_metadata(PositionProvider, node.body).start.line if hasattr(node, "body") else 0
                last = max(place.start.line, min(last, head))
            if UNTESTED in self._lines[place.start.line - 1]:
                return False
            self._statements.append((place.start.line, last))
        if isinstance(node, cst.ExceptHandler):
            line = self.get_metadata(PositionProvider, node.body.body[0]).start.line
            self._statements.append((line, line))
        self._in_signature = self._in_signature or node is self._signature
        if isinstance(node, cst.If | cst.While):
            self._bodies[node.test] = self.get_metadata(PositionProvider, node.body.body[0])
        self._mutate(node)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            if not self._functions:
                self._names.append(node.name.value)
                self._signature = getattr(node, "params", None)
            self._functions += isinstance(node, cst.FunctionDef)
        self._raising += isinstance(node, cst.Raise)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        """Leave what ``on_visit`` entered."""
        if m.matches(original_node, LEFT_OUT):
            return
        if isinstance(original_node, cst.BaseStatement):
            line = self.get_metadata(PositionProvider, original_node).start.line
            if UNTESTED in self._lines[line - 1]:
                return
            self._statements.pop()
        if isinstance(original_node, cst.ExceptHandler):
            self._statements.pop()
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._functions -= isinstance(original_node, cst.FunctionDef)
            if not self._functions:
                self._names.pop()
        self._raising -= isinstance(original_node, cst.Raise)
        self._in_signature = self._in_signature and original_node is not self._signature

    def _mutate(self, node: cst.CSTNode) -> None:
        for kind, operator, changes, replaced in OPERATORS:
            if isinstance(node, kind) and not (self._raising and operator in {"name", "argument"}):
                target = replaced(node)
                self.mutants.extend(self._changed(operator, target, changes(node)))

    def _executed(self, target: cst.CSTNode, change: cst.CSTNode) -> tuple[int, int]:
        """A branch that is no longer taken is seen by who took it; all else by who executes the statement."""
        body = self._bodies.get(target)
        return self._statements[-1] if body is None or change is not FALSE else (body.start.line, body.start.line)

    def _changed(self, operator: str, target: cst.CSTNode, changes: Iterator[cst.CSTNode]) -> Iterator[Mutant]:
        span = self.get_metadata(ByteSpanPositionProvider, target)
        is_executed = bool(self._functions) and not self._in_signature
        for change in changes:
            yield Mutant(
                module=self._module,
                function=".".join(self._names) if is_executed else "",
                owner="" if is_executed or not self._names else self._names[0],
                operator=operator,
                line=self.get_metadata(PositionProvider, target).start.line,
                executed=self._executed(target, change),
                text=self._lines[self.get_metadata(PositionProvider, target).start.line - 1].strip(),
                statement=self._lines[self._statements[-1][0] - 1],
                before=self._source[span.start : span.start + span.length].decode(),
                after=self._empty.code_for_node(change).strip(),
                start=span.start,
                stop=span.start + span.length,
            )
