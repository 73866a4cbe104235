"""Each import of another's package stands under the extra that brings it."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from payonce.domain.errors import PackageMissing, PayonceError
from payonce.extras import needs
from tests.support.aws import REPOSITORY
from tools.distribution.wheelhouse import LEFT_OUT, brought_by, extras

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGE = REPOSITORY / "layers" / "payonce" / "payonce"
OUR_OWN = sys.stdlib_module_names | {"payonce"}
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def imports(tree: ast.AST, under: tuple[str, ...] = ()) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Yield module, name or "", and what it stands under: the names of extras, "types" and "handled"."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from ((one.name, "", under) for one in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((module, one.name, under) for one in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from imports(node, (*under, "types"))
            case ast.Try(handlers=[ast.ExceptHandler(type=ast.Name(id="ModuleNotFoundError"))]):
                yield from imports(node, (*under, "handled"))
            case ast.With(items=[ast.withitem(ast.Call(ast.Name(id="needs"), [ast.Constant(value=str(extra))]))]):
                yield from imports(node, (*under, extra))
            case _:
                yield from imports(node, under)


def modules() -> list[tuple[Path, ast.Module]]:
    """Return every module of the package, parsed."""
    return [(path, ast.parse(path.read_text("utf-8"), str(path))) for path in sorted(PACKAGE.rglob("*.py"))]


def test_each_package_is_brought_by_the_extra_that_its_import_names() -> None:
    """Fails when a module imports a package outside of ``needs``, or under an extra that does not bring it."""
    distributions = packages_distributions()
    brought = {extra: brought_by(extra) for extra in extras()}
    seen = set[str]()
    for path, tree in modules():
        for module, _, under in imports(tree):
            package = module.partition(".")[0]
            if package in OUR_OWN or "types" in under or "handled" in under:
                continue
            assert under, f"{path} imports {package} outside of needs()"
            seen.add(under[-1])
            if under[-1] in LEFT_OUT:
                continue
            names = {canonicalize_name(name) for name in distributions[package]}
            assert names & brought[under[-1]], f"{path}: {under[-1]} does not bring {package}"
    assert seen <= {*brought, *LEFT_OUT}
    assert {"dynamodb", "redis", "stripe", "adyen", "reconcile", "sidecar", "functions"} <= seen


def test_every_line_is_checked_as_of_the_oldest_python() -> None:
    """Fails when the linters look at a newer Python: itertools.batched(strict=), of 3.13, would pass them again.

    test_installing.py runs the library on the Pythons that the machine has; `make lint` looks at what it does not run.
    """
    pythons = [line.rpartition(" :: ")[2] for line in PROJECT["project"]["classifiers"] if ":: Python :: 3." in line]
    oldest = min(pythons, key=lambda version: int(version.partition(".")[2]))
    assert PROJECT["project"]["requires-python"] == f">={oldest}"
    assert PROJECT["tool"]["mypy"]["python_version"] == oldest
    assert PROJECT["tool"]["ruff"]["per-file-target-version"] == {"layers/**": f"py{oldest.replace('.', '')}"}


def test_a_missing_package_is_an_error_of_both_families() -> None:
    """Fails when ``except ImportError`` or the command's ``except PayonceError`` lets it through."""
    with pytest.raises(PackageMissing) as raised, needs("redis"):
        import a_package_that_nobody_has.part  # type: ignore[import-not-found]  # noqa: F401
    assert isinstance(raised.value, PayonceError)
    assert isinstance(raised.value, ImportError)
    assert (raised.value.name, raised.value.extra) == ("a_package_that_nobody_has", "redis")
    assert raised.value.detail.endswith("pip install 'payonce[redis]'")


def test_the_outer_need_is_named_and_other_errors_pass() -> None:
    """Fails when `payonce sidecar` asks for the first package that is missing, instead of for its extra."""
    with pytest.raises(PackageMissing, match=r"payonce\[sidecar\]"), needs("sidecar"), needs("redis"):
        raise ModuleNotFoundError("No module named 'redis'", name="redis")
    with pytest.raises(ModuleNotFoundError, match=r"payonce\.nowhere") as raised, needs("redis"):
        import payonce.nowhere  # type: ignore[import-not-found]  # noqa: F401
    assert not isinstance(raised.value, PackageMissing)
    with pytest.raises(ImportError, match="cannot import name") as of_a_name, needs("redis"):
        from json import nothing  # type: ignore[attr-defined]  # noqa: F401
    assert not isinstance(of_a_name.value, PackageMissing)
