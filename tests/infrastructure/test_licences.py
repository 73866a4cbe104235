"""Every locked package may be used under its licence, and what is delivered asks nothing of its users."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from local.cloud import CLOUD_BIN
from tests.support.aws import REPOSITORY
from tools.licences import installed, is_allowed, locked, problems, read_lists

DELIVERED = [
    *(REPOSITORY / "layers" / layer / "requirements.txt" for layer in ("console", "dependencies", "reconciliation")),
    *(REPOSITORY / "requirements" / f"{extra}.txt" for extra in ("reconcile", "redis", "sidecar", "spark")),
]
TOOLS = [REPOSITORY / "requirements" / f"{name}.txt" for name in ("cloud", "dev", "java")]
APART = {"security.txt"}  # its packages are installed for `make security` alone, which checks them
SITE_PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"


def found() -> dict[str, str]:
    cloud = installed(CLOUD_BIN.parent / SITE_PACKAGES)
    return {**cloud, **installed(Path(sys.prefix) / SITE_PACKAGES)}


def test_every_lock_file_is_looked_at() -> None:
    files = {*(REPOSITORY / "requirements").glob("*.txt"), *(REPOSITORY / "layers").glob("*/requirements.txt")}
    assert {file for file in files if file.name not in APART} == {*DELIVERED, *TOOLS}


@pytest.mark.parametrize("lock", DELIVERED, ids=lambda lock: f"{lock.parent.name}/{lock.name}")
def test_what_is_delivered_asks_nothing_of_its_users(lock: Path) -> None:
    """Fails when a layer or an extra gets a package under a licence that is not on the short list."""
    assert problems(locked(lock), found(), read_lists(delivered=True)) == []


@pytest.mark.parametrize("lock", TOOLS, ids=lambda lock: lock.name)
def test_tools_may_be_used(lock: Path) -> None:
    assert problems(locked(lock), found(), read_lists(delivered=False)) == []


def test_no_exception_outlives_its_package() -> None:
    """Fails when a package is gone, or says its licence itself by now, and is still on the list."""
    lists = read_lists(delivered=False)
    everything = {
        name
        for file in [*(REPOSITORY / "requirements").glob("*.txt"), *(REPOSITORY / "layers").glob("*/requirements.txt")]
        for name in locked(file)
    }
    assert everything >= lists.exceptions.keys() | lists.named.keys()
    assert not [name for name, reason in lists.exceptions.items() if len(reason) < 20]


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND GPL-3.0-or-later", False),
        ("MIT OR GPL-3.0-or-later", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPL-2.0-only AND (Apache-2.0 OR MIT)", False),
        ("", False),
        ("Proprietary", False),
    ],
)
def test_all_parts_of_an_and_and_one_of_an_or(expression: str, allowed: bool) -> None:
    assert is_allowed(expression, read_lists(delivered=True).allowed) == allowed
