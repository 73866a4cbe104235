"""Holds the licences of locked packages to the lists of security/licences.toml, by what is said in their metadata.

``python -m tools.licences LOCK SITE_PACKAGES``: exits with 1 and a line for each package whose terms are on no list.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from email.message import Message

REPOSITORY = Path(__file__).resolve().parents[1]
LISTS = REPOSITORY / "security/licences.toml"
PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
# Trove classifiers that name one licence (https://pypi.org/classifiers/); "BSD License" names a family.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "Public-Domain",
    "Python Software Foundation License": "PSF-2.0",
}
SAYS_NOTHING = {"DFSG approved", "Freely Distributable", "OSI Approved"}


@dataclass(frozen=True, slots=True)
class Lists:
    """What is allowed. ``named`` is the licence of packages whose metadata does not say it."""

    allowed: frozenset[str]
    exceptions: Mapping[str, str]
    named: Mapping[str, str]


def read_lists(*, delivered: bool) -> Lists:
    """Return the lists for what is delivered, or those for tools, which may have more."""
    text: dict[str, Any] = tomllib.loads(LISTS.read_text())
    if delivered:
        return Lists(frozenset(text["delivered"]), {}, text["named"])
    return Lists(frozenset(text["delivered"]) | frozenset(text["tools"]), text["exceptions"], text["named"])


def locked(file: Path) -> set[str]:
    """Return the normalized names of the packages that a lock file pins."""
    return {normalized(name) for name in PINNED.findall(file.read_text())}


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(site_packages: Path) -> dict[str, str]:
    """Return the licence expression of each installed package, "" where its metadata names none."""
    return {
        normalized(each.metadata["Name"]): licence_of(each.metadata)
        for each in distributions(path=[str(site_packages)])
    }


def licence_of(metadata: Message) -> str:
    """Return the SPDX expression that the metadata gives, from the classifiers and the old field where it has none."""
    if metadata.get("License-Expression"):
        return str(metadata.get("License-Expression"))
    ended = [each.split(" :: ")[-1] for each in metadata.get_all("Classifier", []) if each.startswith("License ::")]
    told = [CLASSIFIERS.get(each, each) for each in ended if each not in SAYS_NOTHING]
    if told:
        return " AND ".join(told)
    text = str(metadata.get("License") or "")
    return text if len(text.splitlines()) == 1 else ""


def is_allowed(expression: str, allowed: frozenset[str]) -> bool:
    """Return whether the terms can be met: all parts of AND, one of OR."""
    parts = re.split(r"\s+AND\s+(?![^(]*\))", expression)
    return all(any(each.strip("() ") in allowed for each in re.split(r"\s+OR\s+", part)) for part in parts)


def problems(packages: Iterable[str], found: Mapping[str, str], lists: Lists) -> list[str]:
    """Return a line for each package whose licence is not known or not allowed."""
    lines = []
    for name in sorted(packages):
        expression = lists.named.get(name) or found.get(name, "")
        if not expression:
            lines.append(f"{name}: its licence is not known. Read it, and name it in {LISTS.name}.")
        elif name not in lists.exceptions and not is_allowed(expression, lists.allowed):
            lines.append(f"{name}: {expression} is on no list of {LISTS.name}.")
    return lines


def main(arguments: list[str]) -> int:
    """Check one lock file of tools, and return the exit code."""
    lock, site_packages = map(Path, arguments)
    packages = locked(lock)
    found = problems(packages, installed(site_packages), read_lists(delivered=False))
    print("\n".join(found) or f"{lock}: the licences of {len(packages)} packages are on the list")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
