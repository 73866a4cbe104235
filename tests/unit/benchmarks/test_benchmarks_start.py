"""Every benchmark can be started: a benchmark that nobody runs for a while follows no change of the code by itself."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import benchmarks

MODULES = [found.name for found in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")]
# They need what only their own environments have: Spark, and the public series that are not in the repository.
ELSEWHERE = {"benchmarks.reconciliation_spark"}


@pytest.mark.parametrize("module", sorted({*MODULES} - ELSEWHERE))
def test_a_benchmark_names_nothing_that_is_gone(module: str) -> None:
    """Fails when what a benchmark imports was moved or removed. Each is imported in a process of its own."""
    done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
