"""The policy file: what it lets pass, and what it refuses to be."""

from __future__ import annotations

import pytest

from payonce.corrections.policy import MAX_AUTOMATIC_MINOR, Policy, parse_policy
from payonce.domain.errors import MisconfiguredError
from payonce.reconciliation.taxonomy import BreakClass


def test_by_default_nothing_is_automatic() -> None:
    assert not parse_policy("").is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 1)


def test_the_limit_is_of_a_class_and_a_currency() -> None:
    policy = parse_policy("[automatic.duplicate_capture]\nEUR = 500")
    assert policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 500)
    assert not policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 501)
    assert not policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "USD", 1)
    assert not policy.is_automatic(BreakClass.DOUBLE_CHARGE, "EUR", 1)
    assert not policy.is_automatic(BreakClass.DUPLICATE_CAPTURE, "EUR", 0)


@pytest.mark.parametrize(
    "text",
    [
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
    ],
)
def test_a_setting_that_is_not_known_or_out_of_range_is_refused(text: str) -> None:
    """Fails when a misspelt limit or kill switch is overlooked."""
    with pytest.raises(MisconfiguredError):
        parse_policy(text)


def test_the_kill_switch_is_read() -> None:
    assert not parse_policy("enabled = false").enabled
    assert Policy().enabled
