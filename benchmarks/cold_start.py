"""Processor time of a cold start, on the layers as they are built: each function beside bare boto3 with its client.

The layers are built by their Makefiles into a folder of their own, in which nothing is written while it is measured, as
on Lambda. What the runtime brings (boto3) is copied beside them, compiled. A start is the import of the function's
module, and the making of what its first request needs: the database's client, and for payments engine and router.
Stripe's SDK is loaded by the first charge of a stack that has it, and has a line of its own. The cases take turns, and
each figure is a median. Run ``python benchmarks/cold_start.py``.
"""

from __future__ import annotations

import compileall
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3
from rich.console import Console
from rich.table import Table

from tests.support.aws import FAKE_CREDENTIALS

REPOSITORY = Path(__file__).resolve().parents[1]
LAYERS = {"dependencies": "build-DependenciesLayer", "payonce": "build-PayonceLayer"}
OF_THE_RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
FUNCTIONS = ("payments", "payment_reads", "authorize", "predict_routes", "recover_payments", "ask_gateways")
RUNS = 9
BARE = "import boto3; boto3.client('dynamodb')"
START = """
import importlib.util
spec = importlib.util.spec_from_file_location("app", {path!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
from payonce.wiring.application import bootstrap
application = bootstrap()
application.database
"""
ENGINE = "application.engine; application.router\n"
STRIPE = ENGINE + "import payonce.gateways.stripe_gateway\n"


def cpu_ms(folders: list[Path], code: str) -> float:
    """Return the processor time of a fresh process that runs ``code``, in milliseconds."""
    environment = {
        **os.environ,
        **FAKE_CREDENTIALS,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PAYONCE_GATEWAYS": '[{"name":"stripe","kind":"stripe"}]',
        "PAYONCE_DEFAULT_GATEWAY": "stripe",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def build(folder: Path) -> tuple[list[Path], list[Path]]:
    """Build the layers in ``folder`` and return the search paths of a process with their bytecode, and without."""
    built, bare = [], []
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    for layer, target in LAYERS.items():
        make = ["make", "-s", "-C", str(REPOSITORY / "layers" / layer), target, f"PYTHON={sys.executable}"]
        subprocess.run([*make, f"ARTIFACTS_DIR={folder / layer}", f"PAYONCE_ARCHITECTURE={machine}"], check=True)
        built.append(folder / layer / "python")
        bare.append(folder / "bare" / layer)
        shutil.copytree(built[-1], bare[-1], ignore=shutil.ignore_patterns("__pycache__"))
    packages = Path(boto3.__file__).parents[1]
    runtime = folder / "runtime"
    runtime.mkdir()
    for one in OF_THE_RUNTIME:
        copy = shutil.copytree if (packages / one).is_dir() else shutil.copy
        copy(packages / one, runtime / one)
    compileall.compile_dir(runtime, quiet=1)
    return [*built, runtime], [*bare, runtime]


def main() -> None:
    """Build, measure, print."""
    starts = {name: START.format(path=str(REPOSITORY / "functions" / name / "app.py")) for name in FUNCTIONS}
    starts["payments, and Stripe's SDK"] = starts["payments"] + STRIPE
    starts["payments"] += ENGINE
    with tempfile.TemporaryDirectory() as name:
        with_bytecode, without = build(Path(name))
        cases = {"boto3 and a DynamoDB client": (with_bytecode, BARE)}
        cases |= {label: (with_bytecode, code) for label, code in starts.items()}
        cases |= {f"{label}, no bytecode": (without, code) for label, code in starts.items() if "," not in label}
        spent: dict[str, list[float]] = {label: [] for label in cases}
        for _ in range(RUNS):
            for label, (folders, code) in cases.items():
                spent[label].append(cpu_ms(folders, code))
    table = Table("start", "CPU ms", "/ boto3", title="processor time of a fresh process, median")
    bare = statistics.median(spent["boto3 and a DynamoDB client"])
    for label, found in spent.items():
        table.add_row(label, f"{statistics.median(found):.0f}", f"{statistics.median(found) / bare:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
