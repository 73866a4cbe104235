"""docs/threat-model.md names tests that exist, and deals with every letter of STRIDE at every boundary."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.aws import REPOSITORY

PAGE = (REPOSITORY / "docs/threat-model.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
ROW = re.compile(r"^\| (?P<letter>[STRIDE]) \| (?P<threat>[^|]+) \| (?P<mitigation>[^|]+) \| `(?P<test>[^`|]+)` \|$")
BOUNDARIES = {
    "Client to API",
    "API to function",
    "Function to DynamoDB, SQS, KMS, SSM and Secrets Manager",
    "Function to gateway",
    "Gateways' events",
    "Dispatcher to merchants' URLs",
    "Operators and the command",
    "Operators' browsers and the console",
    "Streams",
    "Reconciliation's files and reports",
    "Proxy and sidecar",
    "Build and supply chain",
    "Local cloud",
}


def rows(section: str) -> list[re.Match[str]]:
    """Return the rows of a boundary's table. Raises ``AssertionError`` for a row of another form."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")][2:]
    found = [(line, ROW.match(line)) for line in lines]
    assert [line for line, match in found if match is None] == []
    return [match for _, match in found if match is not None]


@cache
def defined_in(file: str) -> set[str]:
    """Return the names of the tests that a file defines."""
    tree = ast.parse((REPOSITORY / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_boundary_is_there() -> None:
    assert SECTIONS.keys() == BOUNDARIES


@pytest.mark.parametrize("section", sorted(BOUNDARIES))
def test_a_boundary_deals_with_every_letter(section: str) -> None:
    """Fails when a kind of threat is neither met nor said not to apply, with the reason."""
    letters = {match["letter"] for match in rows(section)}
    excluded = re.search(
        r"^Does not apply: (?P<letters>[STRIDE](?:, [STRIDE])*) \([^)]{20,}\)\.$", SECTIONS[section], re.MULTILINE
    )
    absent = set(excluded["letters"].split(", ")) if excluded else set()
    assert not letters & absent
    assert letters | absent == set("STRIDE")


@pytest.mark.parametrize("section", sorted(BOUNDARIES))
def test_each_threats_test_exists(section: str) -> None:
    """Fails when a test is renamed or removed and the page goes on naming it."""
    for match in rows(section):
        file, _, name = match["test"].partition("::")
        assert (REPOSITORY / file).is_file(), match["test"]
        assert name in defined_in(file), match["test"]
