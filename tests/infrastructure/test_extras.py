"""Each import of another's package stands under the extra that brings it."""

from __future__ import annotations

import ast
import sys
import tokenize
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
OLDEST = (3, 12)
# What Python 3.13 and 3.14 have added to modules that payonce uses, by "module.name". From the "What's New" pages:
# https://docs.python.org/3/whatsnew/3.13.html and https://docs.python.org/3/whatsnew/3.14.html
NEWER_NAMES = {
    "annotationlib", "compression", "concurrent.interpreters", "string.templatelib",
    "argparse.ArgumentParser.suggest_on_error", "asyncio.QueueShutDown", "asyncio.capture_call_graph",
    "base64.z85decode", "base64.z85encode", "copy.replace", "dbm.sqlite3", "functools.Placeholder",
    "heapq.heapify_max", "heapq.heappop_max", "heapq.heappush_max", "os.process_cpu_count", "os.readinto",
    "os.reload_environ", "pathlib.UnsupportedOperation", "pathlib.types", "queue.ShutDown", "typing.NoDefault",
    "typing.ReadOnly", "typing.TypeIs", "typing.evaluate_forward_ref", "typing.get_protocol_members",
    "typing.is_protocol", "uuid.MAX", "uuid.NIL", "uuid.uuid6", "uuid.uuid7", "uuid.uuid8", "warnings.deprecated",
}  # fmt: skip
NEWER_BUILTINS = {"PythonFinalizationError", "_IncompleteInputError"}


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
    """Return every module of the package, parsed as the oldest supported Python does."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        with tokenize.open(path) as opened:
            found.append((path, ast.parse(opened.read(), str(path), feature_version=OLDEST)))
    return found


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


def test_no_module_needs_a_newer_python_than_the_oldest() -> None:
    """Fails for syntax after 3.12 (``modules`` parses by it), and for what the standard library has gained since.

    test_installing.py runs the library on the Pythons that the machine has; this looks at every line.
    """
    for path, tree in modules():
        for module, name, under in imports(tree):
            if "types" not in under:
                assert not {module, f"{module}.{name}"} & NEWER_NAMES, f"{path}: {module}.{name}"
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name(id=module), attr=name):
                    assert f"{module}.{name}" not in NEWER_NAMES, f"{path}:{node.lineno}"
                case ast.Name(id=name):
                    assert name not in NEWER_BUILTINS, f"{path}:{node.lineno}"
                case ast.TypeVar(name=name) | ast.ParamSpec(name=name) | ast.TypeVarTuple(name=name):
                    assert getattr(node, "default_value", None) is None, f"{path}:{node.lineno}: a default is of 3.13"


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
