"""What is installed is what was locked: every package by its version and its hash, from wherever it comes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.aws import REPOSITORY, load_template

if TYPE_CHECKING:
    from pathlib import Path

LOCKS = sorted([*REPOSITORY.glob("requirements/*.txt"), *REPOSITORY.glob("layers/*/requirements.txt")])
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<rest>.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
PINNED = re.compile(r"==\S+(?: ;[^\\\n]*)?(?: \\\n +--hash=sha256:[0-9a-f]{64})+\n(?: +#.*\n)*")


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: f"{lock.parent.name}/{lock.name}")
def test_every_package_is_pinned_by_hash_and_no_index_is_named(lock: Path) -> None:
    """pip takes no package without a hash where one has a hash: https://pip.pypa.io/en/stable/topics/secure-installs/"""
    text = lock.read_text()
    found = list(REQUIREMENT.finditer(text))
    assert found
    assert [match["name"] for match in found if not PINNED.fullmatch(match["rest"])] == []
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)  # no index, and no package outside one


def test_environments_are_made_from_hashes_alone() -> None:
    assert "--require-hashes -r" in (REPOSITORY / "tools/make_venv.sh").read_text()


def test_layers_are_built_from_their_locks() -> None:
    """Fails when a layer is built of anything but what its lock names, by hash."""
    layers = {
        name: resource
        for name, resource in load_template()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    }
    built = {name: layer["Metadata"]["BuildMethod"] for name, layer in layers.items()}
    assert built == dict.fromkeys(
        ("ConsoleLayer", "DependenciesLayer", "ReconciliationLayer", "PayonceLayer"), "makefile"
    )
    for layer in ("console", "dependencies", "reconciliation"):
        assert (REPOSITORY / "layers" / layer / "requirements.txt").is_file()
        recipe = (REPOSITORY / "layers" / layer / "Makefile").read_text()
        assert recipe.count("pip install") == 1
        assert "--require-hashes" in recipe
        assert recipe.count("-r requirements.txt") == 1
