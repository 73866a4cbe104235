"""docs/reference.md has each public name, and the pages of the documentation import no other."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from payonce.public import PUBLIC
from tests.support.aws import REPOSITORY
from tools import reference

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = [(module, name) for modules in PUBLIC.values() for module, names in modules.items() for name in names]
# Shown in docs/installing.md to prove that an extra is complete: what the functions and the sidecar are made of.
INNER = {("payonce.entrypoints.openapi", "build_openapi"), ("payonce.proxy.config_load", "load_file")}
INNER |= {("payonce.wiring.sidecar", "run")}
# What the page on extras imports to show that the console's packages are there.
INNER |= {("payonce.console.filters", "money"), ("payonce.console.rendering", "environment")}


def test_the_page_is_as_the_docstrings_are() -> None:
    assert reference.PAGE.read_text() == reference.page(), "run: python -m tools.reference"


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda part: part)
def test_each_public_name_is_there_and_described(module: str, name: str) -> None:
    """Fails when a name is declared that is not there, has no docstring, or is not on the page."""
    thing = getattr(import_module(module), name)
    section = reference.PAGE.read_text().partition(f"\n### {module}\n")[2].partition("\n### ")[0]
    assert f"\n#### {name}\n" in section
    is_type = not callable(thing)
    assert is_type or (thing.__doc__ and not thing.__doc__.startswith(f"{name}(")), f"{module}.{name} says nothing"


@pytest.mark.parametrize("module", ["payonce", "payonce.client", "payonce.client.webhooks"])
def test_what_a_module_exports_is_declared(module: str) -> None:
    """Fails when a package's __all__ and the one declared place differ."""
    [names] = [names for modules in PUBLIC.values() for name, names in modules.items() if name == module]
    assert sorted(names) == sorted(import_module(module).__all__)


def imported() -> Iterator[tuple[str, str, str]]:
    """Yield page, module and name of each import from payonce in the documentation and its examples."""
    pages = [
        REPOSITORY / "README.md",
        *(REPOSITORY / "docs").rglob("*.md"),
        *(REPOSITORY / "docs/examples").glob("*.py"),
    ]
    for path in pages:
        text = path.read_text()
        blocks = re.findall(r"^```python[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for block in [text] if path.suffix == ".py" else blocks:
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "payonce":
                    yield from ((path.name, str(node.module), each.name) for each in node.names)


def test_the_documentation_imports_public_names_alone() -> None:
    """Fails when a reader is shown a name that may change, or a public one is not declared."""
    found = list(imported())
    modules = {module for module, _ in NAMES}
    unknown = [
        (page, module, name)
        for page, module, name in found
        if (module, name) not in {*NAMES, *INNER} and f"{module}.{name}" not in modules
    ]
    assert unknown == []
    assert len({(module, name) for _, module, name in found}) > 40
