"""The page of decline codes has every code that an answer can have, and no other."""

from __future__ import annotations

import re

import pytest

from payonce.gateways import adyen_answers, declines, mollie_answers, sandbox_bank_answers, stripe_errors
from payonce.payments.cancel_waiting import NOT_CANCELABLE, PAYER_WAS_FASTER
from tests.support.aws import REPOSITORY

# Of payments and operations that no gateway declined.
OWN = {PAYER_WAS_FASTER, NOT_CANCELABLE, "not_executed"}
CODES = {
    *stripe_errors.DECLINE_CODES,
    *adyen_answers.DECLINE_CODES,
    *mollie_answers.DECLINE_CODES.values(),
    *sandbox_bank_answers.DECLINE_CODES,
    *declines.MESSAGES,
    *OWN,
}
PAGE = (REPOSITORY / "docs/decline-codes.md").read_text()


def test_the_page_has_every_code_once() -> None:
    """Fails when an adapter learns a code that the page does not explain."""
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == sorted(CODES)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_code_fits_the_largest_response(code: str) -> None:
    """Fails when a code is longer than what the size check before the effect reckons with."""
    assert len(code) < 256
