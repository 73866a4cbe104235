"""Processor time of a cold start's imports, on the layers as they are built, with their bytecode and without it.

The layers are built by their Makefiles into a folder of their own, in which nothing is written while it is measured, as
on Lambda. What the runtime brings (boto3) is copied beside them, compiled. Run ``python benchmarks/cold_start.py``.
"""

from __future__ import annotations

import compileall
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[1]
LAYERS = {"dependencies": "build-DependenciesLayer", "payonce": "build-PayonceLayer"}
OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
FUNCTIONS = ("payments", "predict_routes", "recover_payments", "ask_gateways")
RUNS = 5  # the least is shown: other work on the machine only adds to it
LOAD = """
import boto3, importlib.util
if {path!r}:
    spec = importlib.util.spec_from_file_location("app", {path!r})
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


def cpu_ms(folders: list[Path], path: str) -> float:
    """Return the least processor time of a process that imports boto3 and the module at ``path``, in milliseconds."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PAYONCE_GATEWAYS": '[{"name":"stripe","kind":"stripe"}]',
        "PAYONCE_DEFAULT_GATEWAY": "stripe",
    }
    found = []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", LOAD.format(path=path)], env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found) * 1000


def main() -> None:
    """Build, measure, print."""
    table = Table("function", "boto3 alone", "beyond it, with bytecode", "without", title="processor time, ms")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime, bare = folder / "runtime", folder / "bare"
        for layer, target in LAYERS.items():
            make = ["make", "-s", "-C", str(REPOSITORY / "layers" / layer), target, f"PYTHON={sys.executable}"]
            subprocess.run([*make, f"ARTIFACTS_DIR={folder / layer}"], check=True)
            shutil.copytree(folder / layer, bare / layer, ignore=shutil.ignore_patterns("__pycache__"))
        packages = Path(boto3.__file__).parents[1]
        for one in OF_THE_RUNTIME:
            copy = shutil.copytree if (packages / one).is_dir() else shutil.copy
            runtime.mkdir(exist_ok=True)
            copy(packages / one, runtime / one)
        compileall.compile_dir(runtime, quiet=1)
        alone = cpu_ms([runtime], "")
        for function in FUNCTIONS:
            path = str(REPOSITORY / "functions" / function / "app.py")
            built, stripped = (
                cpu_ms([*(root / layer / "python" for layer in LAYERS), runtime], path) for root in (folder, bare)
            )
            table.add_row(function, f"{alone:.0f}", f"{built - alone:.0f}", f"{stripped - alone:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
