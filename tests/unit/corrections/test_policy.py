"""The policy file: what it lets pass, and what it refuses to be."""

from __future__ import annotations

import pytest

from payonce.corrections.policy import (
    CACHE_MS,
    MAX_APPROVAL_SECONDS,
    MAX_AUTOMATIC_MINOR,
    MAX_POLICY_BYTES,
    POLICY_FILE,
    Policy,
    PolicySource,
    parse_policy,
)
from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.taxonomy import BreakClass
from payonce.stores.memory_files import MemoryFiles
from tests.support.world import ManualClock


def test_by_default_nothing_is_automatic() -> None:
    assert not parse_policy("").is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 1)


def test_the_limit_is_of_a_class_and_a_currency() -> None:
    policy = parse_policy("[automatic.duplicate_capture]\nEUR = 500")
    for amount_minor in (1, 500):
        assert policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", amount_minor)
    assert not policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 501)
    assert not policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "USD", 1)
    assert not policy.is_automatic(BreakClass.DOUBLE_CHARGE, "EUR", 1)
    assert not policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 0)


def test_a_policy_says_what_its_document_says() -> None:
    """Fails when a setting is not read, or its bound is refused."""
    text = f"""
        enabled = false
        approval_seconds = {MAX_APPROVAL_SECONDS}
        [automatic.duplicate_capture]
        EUR = {MAX_AUTOMATIC_MINOR}
        USD = 0
        [automatic.double_charge]
        EUR = 1
    """
    assert parse_policy(text) == Policy(
        enabled=False,
        approval_seconds=30 * 86_400,
        automatic={
            (BreakClass.DUPLICATE_CAPTURE, "EUR"): 10_000,
            (BreakClass.DUPLICATE_CAPTURE, "USD"): 0,
            (BreakClass.DOUBLE_CHARGE, "EUR"): 1,
        },
    )
    assert parse_policy("approval_seconds = 1").approval_seconds == 1
    assert parse_policy("") == Policy()
    assert (Policy().enabled, Policy().approval_seconds) == (True, 3 * 86_400)


@pytest.mark.parametrize(
    "text",
    [
        f"approval_seconds = {MAX_APPROVAL_SECONDS + 1}",
        "approval_seconds = 1.5",
        "automatic = [1]",
        "[automatic]\nduplicate_capture = 1",
        "[automatic.duplicate_capture]\nEUR = true",
        "enabeld = true",
        "enabled = 1",
        "approval_seconds = 0",
        "approval_seconds = true",
        "automatic = 5",
        "[automatic.duplicate_captures]\nEUR = 1",
        "[automatic.missing_in_ledger]\nEUR = 1",
        "[automatic.duplicate_capture]\nEURO = 1",
        "[automatic.duplicate_capture]\nEUR = -1",
        "[automatic.duplicate_capture]\nEUR = 1.5",
        f"[automatic.duplicate_capture]\nEUR = {MAX_AUTOMATIC_MINOR + 1}",
        "enabled",
        "approval_seconds = " + "9" * 5_000,
        "automatic = " + "[" * 5_000,
    ],
)
def test_a_setting_that_is_not_known_or_out_of_range_is_refused(text: str) -> None:
    """Fails when a misspelt limit or kill switch is overlooked."""
    with pytest.raises(MisconfiguredError):
        parse_policy(text)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ('approval_seconds = "an hour"', "approval_seconds"),
        ("[automatic.duplicate_capture]\nEUR = 1.5", "automatic.duplicate_capture.EUR"),
    ],
)
def test_a_refused_setting_is_named(text: str, setting: str) -> None:
    """Fails when an operator has to look for the line of the file that stops all corrections."""
    with pytest.raises(MisconfiguredError, match=rf"policy's {setting} must be a whole number"):
        parse_policy(text)


def test_the_kill_switch_is_read() -> None:
    assert not parse_policy("enabled = false").enabled
    assert Policy().enabled


def source(clock: ManualClock) -> tuple[PolicySource, MemoryFiles]:
    files = MemoryFiles()
    return PolicySource(files, clock), files


def test_without_a_document_the_default_counts_and_nothing_is_automatic() -> None:
    policy, _ = source(ManualClock())
    assert policy() == Policy()


def test_a_kill_switch_is_seen_after_the_cache_and_not_before() -> None:
    """Fails when the policy is read once per process, or for every step."""
    clock = ManualClock()
    policy, files = source(clock)
    files.stored["policy/corrections.toml"] = b"enabled = true"  # where operators put it
    assert policy().enabled
    files.stored["policy/corrections.toml"] = b"enabled = false"
    assert policy().enabled  # in the same millisecond
    clock.ms += CACHE_MS - 1
    assert policy().enabled
    clock.ms += 1
    assert not policy().enabled


def test_a_clock_that_goes_back_makes_no_policy_last() -> None:
    """Fails when a policy that was read "later" is used until then: it may miss the kill switch for hours."""
    clock = ManualClock()
    policy, files = source(clock)
    assert policy().enabled
    files.stored[POLICY_FILE] = b"enabled = false"
    clock.ms -= 1
    assert not policy().enabled


@pytest.mark.parametrize("document", [b"enabled =", b"\xff", b"x" * (MAX_POLICY_BYTES + 1), b'enabled = "no"'])
def test_a_document_that_is_none_stops_everything(document: bytes) -> None:
    """Fails when the last good policy goes on: it would not know of a switch that was turned off with a mistake."""
    clock = ManualClock()
    policy, files = source(clock)
    assert policy().enabled
    files.stored[POLICY_FILE] = document
    clock.ms += CACHE_MS
    for _ in range(2):
        with pytest.raises(MisconfiguredError, match="polic"):
            policy()
