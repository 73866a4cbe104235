"""Which test files a change of files can reach: those that import what changed, and those that read it by its name."""

from __future__ import annotations

import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
PACKAGE_ROOTS: Final = {"payonce": ROOT / "layers" / "payonce"}
PACKAGES: Final = ("payonce", "tests", "local", "laboratory", "simulation", "histories", "spec", "benchmarks", "tools")
SUITES: Final = ("unit", "infrastructure", "functional", "simulation", "contract")  # the quick ones first
FIXTURE_DISTANCE: Final = 2  # of a test from its conftest: not each test takes what that imports


class Imports:
    """Who imports whom, among the package, the tests and the other Python code of the repository."""

    def __init__(self) -> None:
        sys.path[:0] = [path for path in (str(ROOT), str(PACKAGE_ROOTS["payonce"])) if path not in sys.path]
        self._graph = grimp.build_graph(*PACKAGES, cache_dir=str(ROOT / ".grimp_cache"))
        self._files = {module: file for module in self._graph.modules if (file := _file_of(module))}
        self._modules = {file: module for module, file in self._files.items()}

    def tests_reached(self, changed: Iterable[Path]) -> dict[Path, int]:
        """Return the test files that the changed files can reach, and over how many imports."""
        distances: dict[str, int] = {}
        waiting = deque((module, 0) for file in changed for module in self._seeds(file))
        while waiting:
            module, distance = waiting.popleft()
            if distances.get(module, distance + 1) <= distance:
                continue
            distances[module] = distance
            waiting.extend(
                (importer, distance + 1) for importer in self._graph.find_modules_that_directly_import(module)
            )
            if module.endswith(".conftest"):
                waiting.extend((test, distance + FIXTURE_DISTANCE) for test in self._below(module))
        return {self._files[module]: distance for module, distance in distances.items() if _is_test(module)}

    def _seeds(self, file: Path) -> Iterator[str]:
        """Return the module of the file; else the modules that name it, and its package."""
        if file in self._modules:
            yield self._modules[file]
            return
        yield from (module for module, path in self._files.items() if file.name in path.read_text("utf-8"))
        packages = (self._modules.get(folder / "__init__.py") for folder in file.parents)
        yield from [package for package in packages if package][:1]  # it lists its rules and templates by folder

    def _below(self, conftest: str) -> Iterator[str]:
        folder = conftest.removesuffix("conftest")
        return (module for module in self._files if module.startswith(folder) and _is_test(module))


def in_order(reached: dict[Path, int]) -> tuple[list[Path], list[Path]]:
    """Return the test files to run, the most telling first, and those of suites that take minutes."""

    def place(file: Path) -> tuple[bool, int, int, Path]:
        return reached[file] > 0, SUITES.index(_suite(file)), reached[file], file

    quick = [file for file in reached if _suite(file) in SUITES]
    return sorted(quick, key=place), sorted(set(reached) - set(quick))


def _suite(file: Path) -> str:
    return file.relative_to(ROOT / "tests").parts[0]


def _is_test(module: str) -> bool:
    return module.startswith("tests.") and module.rpartition(".")[2].startswith("test_")


def _file_of(module: str) -> Path | None:
    path = PACKAGE_ROOTS.get(module.partition(".")[0], ROOT).joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
