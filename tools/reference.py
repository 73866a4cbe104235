"""Writes docs/reference.md, the reference of the library, from ``payonce.public`` and the docstrings of what it names.

``python -m tools.reference`` writes, ``--check`` says whether the page is not current and leaves with 1.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import textwrap
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from payonce.public import PUBLIC

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
HEAD = """# Reference

The public names of the package `payonce`, from its docstrings. They keep their meaning within a major version;
everything else may change. What the operator's command takes is in [command](command.md), the HTTP API in
[openapi.json](../openapi.json).

<!-- Made by tools/reference.py. -->
"""
WIDTH = 100
SAME_METHODS = {"AsyncClient": "Client"}  # a class whose methods are those of another one, awaited
_LITERAL = re.compile(r"^(?P<before>.*)::\n\n(?P<block>(?:    .*\n?|\n)+)", re.MULTILINE)


def page() -> str:
    """Return the page."""
    home: dict[int, str] = {}  # where a name that two modules have is described
    parts = [HEAD]
    for title, modules in PUBLIC.items():
        parts.append(f"## {title}\n")
        for module, names in modules.items():
            if module != "payonce":
                parts.append(f"### {module}\n")
                parts.extend(_summary_of(module))
            else:
                parts.append("### payonce\n")
            for name in names:
                thing = getattr(import_module(module), name)
                first = home.setdefault(id(thing), f"{module}.{name}")
                if first == f"{module}.{name}":
                    parts.extend(_entry(name, thing))
                else:
                    parts.append(f"#### {name}\n\nThe same as `{first}`.\n")
    return "\n".join(parts).rstrip() + "\n"


def _summary_of(module: str) -> Iterator[str]:
    text = inspect.getdoc(import_module(module)) or ""
    if text:
        yield _markdown(text.partition("\n\n")[0]) + "\n"


def _entry(name: str, thing: Any) -> Iterator[str]:
    yield f"#### {name}\n"
    if inspect.isclass(thing):
        bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
        shown = f"class {name}({bases})" if issubclass(thing, BaseException) else _signature(f"class {name}", thing)
        yield _code(shown) + _markdown(_docstring(thing)) + "\n"
        if name in SAME_METHODS:
            yield f"Its methods are those of `{SAME_METHODS[name]}`, each awaited; `each_…` are for `async for`.\n"
        else:
            yield from _methods(thing)
    elif callable(thing):
        yield _code(_signature(f"def {name}", thing)) + _markdown(_docstring(thing)) + "\n"
    else:  # a name of a type
        value = re.sub(r"\b[\w.]+\.(?=\w)", "", str(getattr(thing, "__value__", thing)))
        yield _code(f"type {name} = {value}").rstrip() + "\n"


def _docstring(thing: Any) -> str:
    own = thing.__doc__ if inspect.isclass(thing) else inspect.getdoc(thing)
    generated = dataclasses.is_dataclass(thing) and own is not None and own.startswith(f"{thing.__name__}(")
    return inspect.cleandoc(own) if own and not generated else ""


def _methods(cls: type) -> Iterator[str]:
    seen: dict[str, Any] = {}
    for owner in cls.__mro__:
        if owner.__module__.startswith("payonce.") and not issubclass(owner, BaseException):
            for name, member in vars(owner).items():
                seen.setdefault(name, member)
    for name, member in seen.items():
        if name.startswith("_") and name != "__call__":
            continue
        if isinstance(member, property):
            text = _docstring(member.fget)
            yield f"**`{name}`**: {_markdown(text)}\n" if text else f"**`{name}`**\n"
        elif inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
            function = member if inspect.isfunction(member) else member.__func__
            yield (
                _code(_signature(f"def {name}", function, bound=not isinstance(member, staticmethod)))
                + _markdown(_docstring(function))
                + "\n"
            )


def _signature(begin: str, thing: Any, *, bound: bool = False) -> str:
    is_async = inspect.iscoroutinefunction(thing) or inspect.isasyncgenfunction(thing)
    begin = begin.replace("def ", "async def ") if is_async else begin
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return begin
    parameters = [*found.parameters.values()][1 if bound else 0 :]
    if begin.startswith("class ") and [each.name for each in parameters] == ["args", "kwargs"]:
        return begin  # a protocol
    found = found.replace(
        parameters=[each.replace(default=_Default(each.default)) if _has(each) else each for each in parameters],
        return_annotation=inspect.Signature.empty if begin.startswith("class ") else found.return_annotation,
    )
    text = re.sub(r": '([^']*)'", r": \1", re.sub(r"-> '([^']*)'", r"-> \1", f"{begin}{found}"))
    return text if len(text) <= WIDTH else _in_lines(begin, found)


def _has(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty


class _Default:
    """Shows a default the same on every machine and in every run: no address of an object."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __repr__(self) -> str:
        value = self._value
        plain = value is None or isinstance(value, bool | int | float | str | tuple)
        return repr(value) if plain else getattr(value, "__name__", "…")


def _in_lines(begin: str, signature: inspect.Signature) -> str:
    lines, starred = [], False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not starred:
            lines.append("*")
        starred = starred or each.kind in {each.KEYWORD_ONLY, each.VAR_POSITIONAL}
        lines.append(re.sub(r": '([^']*)'", r": \1", str(each)))
    empty = signature.return_annotation is inspect.Signature.empty
    end = "" if empty else f" -> {str(signature.return_annotation).strip(chr(39))}"
    return f"{begin}(\n" + "".join(f"    {line},\n" for line in lines) + f"){end}"


def _code(text: str) -> str:
    return f"```\n{text}\n```\n\n"


def _markdown(text: str) -> str:
    """Return a docstring as Markdown: its literals are code, and what comes after ``::`` is a block."""

    def block(found: re.Match[str]) -> str:
        before = found["before"].strip()
        return (f"{before}:\n\n" if before else "") + f"```\n{textwrap.dedent(found['block']).strip()}\n```\n\n"

    pieces = re.split(r"(^```\n.*?^```$)", _LITERAL.sub(block, f"{text}\n").strip(), flags=re.MULTILINE | re.DOTALL)
    for at in range(0, len(pieces), 2):
        pieces[at] = re.sub(r"``([^`]*)``", r"`\1`", pieces[at]).replace("<", "&lt;")
    return "".join(pieces)


def main(arguments: list[str]) -> int:
    """Write or check; return the exit code."""
    text = page()
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    if "--check" in arguments:
        print("docs/reference.md is not as the docstrings are. Run: python -m tools.reference")
        return 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
