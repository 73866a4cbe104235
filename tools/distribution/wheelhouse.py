"""Fills .cache/wheelhouse with a wheel of each package that an extra of payonce brings, at the locked version.

``python -m tools.distribution.wheelhouse``: part of ``make setup``. Afterwards the tests install the wheel of the
checkout with each extra into an empty environment, without network.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[2]
WHEELHOUSE = REPOSITORY / ".cache" / "wheelhouse"
LOCK = REPOSITORY / "requirements" / "dev.txt"
NAME = "payonce"
LEFT_OUT = frozenset({"spark"})  # 400 MB and Java: `make spark` installs it
_LOCKED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def extras() -> dict[str, list[Requirement]]:
    """Return what each extra of pyproject.toml names, without those that are left out here."""
    named = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return {name: [Requirement(line) for line in lines] for name, lines in named.items() if name not in LEFT_OUT}


def brought_by(extra: str) -> set[str]:
    """Return the canonical names of all packages that the extra brings, as this environment's packages name them.

    Raises ``PackageNotFoundError`` when one of them is not installed: ``make lock`` and requirements/dev.in add it.
    """
    own, found = extras(), set[str]()
    waiting = list(own[extra])
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == NAME:
            waiting += [one for inner in requirement.extras for one in own[inner]]
            continue
        asked = ["", *requirement.extras]
        if name in found and not requirement.extras:
            continue
        found.add(name)
        for line in requires(name) or []:
            inner_requirement = Requirement(line)
            marker = inner_requirement.marker
            if marker is None or any(marker.evaluate({"extra": one}) for one in asked):
                waiting.append(inner_requirement)
    return found


def locked(names: set[str]) -> str:
    """Return the lines of the lock file, with their hashes, for these packages. Raises ``KeyError`` for one without."""
    lines = {canonicalize_name(found[1]): found[0] for found in _LOCKED.finditer(LOCK.read_text())}
    return "".join(lines[name] for name in sorted(names))


def main() -> int:
    """Fill the wheelhouse anew and return the exit code."""
    try:
        names = set().union(*(brought_by(extra) for extra in extras()))
    except PackageNotFoundError as error:
        sys.stderr.write(f"{error.name} is in an extra of payonce, and not in requirements/dev.in.\n")
        return 1
    shutil.rmtree(WHEELHOUSE, ignore_errors=True)
    WHEELHOUSE.mkdir(parents=True)
    wanted = WHEELHOUSE / "requirements.txt"
    wanted.write_text(locked(names))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-qq", "--no-deps", "--require-hashes")
    subprocess.run([*pip, "-r", wanted, "-w", WHEELHOUSE], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
