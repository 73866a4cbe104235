"""Measures what each extra costs, and writes the table of docs/installing.md: ``make package-page``."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.distribution.environments import build_wheel, empty_environment, install, site_packages
from tools.distribution.examples import PAGE, Example, examples
from tools.distribution.wheelhouse import NAME

RUNS = 9
_TABLE = re.compile(r"(?<=<!-- table -->\n).*?(?=<!-- /table -->)", re.DOTALL)
_TIMED = "import sys, time\nbegan = time.process_time()\nexec(sys.argv[1])\nprint(time.process_time() - began)"


def megabytes(folder: Path) -> float:
    """Return the size of all files below the folder, in megabytes (10^6 bytes)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def import_ms(python: Path, statements: str) -> int:
    """Return the processor time of the imports in milliseconds, the smallest of some runs."""
    runs = [
        # -I: without PYTHONPATH, which leads to the checkout.
        subprocess.run([str(python), "-I", "-c", _TIMED, statements], capture_output=True, text=True, check=True)
        for _ in range(RUNS)
    ]
    return round(min(float(run.stdout) for run in runs) * 1000)


def row(example: Example, wheel: Path, folder: Path) -> str:
    """Install the extra and return its line of the table."""
    python = empty_environment(folder)
    install(python, wheel, example.extra, compiled=True)
    packages = len(list(site_packages(python).glob("*.dist-info")))
    name = f"{NAME}[{example.extra}]" if example.extra else NAME
    cost_ms = import_ms(python, example.imports)
    return f"| `{name}` | {packages} | {megabytes(site_packages(python)):.1f} | {cost_ms} |\n"


def main() -> int:
    """Write the table."""
    lines = ["| installed | packages | MB | CPU of the imports, ms |\n", "|---|---:|---:|---:|\n"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build_wheel(folder)
        for example in examples().values():
            lines.append(row(example, wheel, folder / (example.extra or "none")))
            sys.stderr.write(lines[-1])
    PAGE.write_text(_TABLE.sub(lambda _match: "".join(lines), PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
