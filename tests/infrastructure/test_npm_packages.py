"""npm's packages, which only tests use: pinned by hash, from no named registry, and free to use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local import node
from tests.support.aws import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

ALLOWED = {
    "(AFL-2.1 OR BSD-3-Clause)",
    "(BSD-3-Clause OR GPL-2.0)",
    "(MIT OR CC0-1.0)",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Python-2.0",
    "Unlicense",
    "WTFPL",
}
# Their package.json has the old form `licenses`, which a lock file leaves out.
MIT = {"node_modules/httpntlm", "node_modules/stack-trace"}


def packages(folder: Path) -> dict[str, dict[str, Any]]:
    locked = json.loads((folder / node.LOCK).read_text())["packages"]
    return {name: package for name, package in locked.items() if name}


@pytest.mark.parametrize("folder", node.PACKAGES, ids=lambda folder: folder.name)
def test_every_package_is_pinned_by_hash_and_no_registry_is_named(folder: Path) -> None:
    for name, package in packages(folder).items():
        assert package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


@pytest.mark.parametrize("folder", node.PACKAGES, ids=lambda folder: folder.name)
def test_every_package_may_be_used(folder: Path) -> None:
    found = {name: package.get("license") for name, package in packages(folder).items()}
    assert {name: licence for name, licence in found.items() if licence not in ALLOWED and name not in MIT} == {}
    assert MIT & found.keys() == {name for name, licence in found.items() if licence is None}


def test_the_typescript_client_needs_no_package() -> None:
    described = json.loads((REPOSITORY / "clients" / "typescript" / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & described.keys()
    assert described["license"] == "Apache-2.0"
