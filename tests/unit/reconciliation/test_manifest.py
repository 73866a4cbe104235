"""The chain of manifests: every change to it is found."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from payonce.reconciliation.runs.manifest import FIRST, Manifest, manifest_from, manifest_of, verify_chain
from tests.unit.reconciliation.transactions import SETTINGS, entry, moved, reconcile

FILES = [("b", "bank"), ("a", None)]


def chain() -> list[Manifest]:
    """Return the manifests of three runs."""
    manifests: list[Manifest] = []
    for number in range(3):
        result = reconcile([entry(1)], [moved(1), moved(number + 5)])
        previous = manifests[-1].hash if manifests else FIRST
        manifests.append(manifest_of(result, files=FILES, settings=SETTINGS, previous=previous))
    return manifests


def test_a_chain_that_nobody_touched_holds() -> None:
    """Fails when a manifest depends on the order of its files, or is not what it is after being stored."""
    manifests = chain()
    assert verify_chain(manifests, last_hash=manifests[-1].hash) is None
    stored = [Manifest(json.loads(manifest.to_bytes())) for manifest in manifests]
    assert verify_chain(stored, last_hash=manifests[-1].hash) is None
    result = reconcile([entry(1)], [moved(1), moved(5)])
    assert manifest_of(result, files=[*FILES[::-1], FILES[0]], settings=SETTINGS) == manifests[0]
    other = manifest_of(result, files=FILES, settings=replace(SETTINGS, in_transit_hours=1))
    assert other.hash != manifests[0].hash


@pytest.mark.parametrize("field", ["digest", "breaks", "files", "tallies", "settings"])
def test_a_changed_manifest_is_found_by_its_successor(field: str) -> None:
    """Fails when a field is no part of the hash."""
    manifests = chain()
    manifests[1] = Manifest(manifests[1].document | {field: "changed"})
    assert verify_chain(manifests) == 2


def test_dropping_moving_and_cutting_are_found() -> None:
    """Fails when a manifest does not name the one before, or the end is not compared."""
    first, second, third = chain()
    assert verify_chain([first, third]) == 1
    assert verify_chain([second, first, third]) == 0
    assert verify_chain([first, second], last_hash=third.hash) == 2


@pytest.mark.parametrize("data", [b'{"previous":"\\ud800"}', b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}"])
def test_bytes_that_no_manifest_can_have_are_none(data: bytes) -> None:
    """Fails when what somebody wrote into a chain ends its verification with an error of the JSON library."""
    assert manifest_from(data) is None
