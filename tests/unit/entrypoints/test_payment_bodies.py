"""What a payment's body may say of its payer, and what is refused before anything is stored."""

from __future__ import annotations

from typing import Any

import pytest

from payonce.domain.errors import BodyMalformed
from payonce.entrypoints.models import PaymentBody, validate

PAYMENT = {"amount_minor": 1000, "currency": "EUR", "payment_method": "pm_visa"}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("return_url", "https://shop.example/thanks?order=1"),
        ("return_url", "http://localhost:3000/back"),
        ("statement_descriptor", "SHOP 4711"),
        ("statement_descriptor", "Cups & more, Inc."),
        ("customer", "cus_NffrFeUfNV2Hib"),
        ("customer", "shopper@example.org"),
        ("description", "Two cups, and a saucer"),
        ("off_session", True),
        ("save_payment_method", True),
    ],
)
def test_a_body_that_is_taken(member: str, value: Any) -> None:
    assert getattr(validate(PaymentBody, {**PAYMENT, member: value}), member) == value


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("return_url", "http://shop.example/thanks"),
        ("return_url", "javascript:alert(1)"),
        ("return_url", "https://user:secret@shop.example/"),
        ("return_url", "https:///thanks"),
        ("return_url", "https://shop.example/ thanks"),
        ("return_url", "https://shop.example/" + "x" * 2_000),
        ("return_url", "//shop.example/thanks"),
        ("return_url", "https://shop.example/\r\nSet-Cookie: a=b"),
        ("statement_descriptor", "CUP"),
        ("statement_descriptor", "12345"),
        ("statement_descriptor", "SHOP <b>"),
        ("statement_descriptor", "SHOP * CUPS"),
        ("statement_descriptor", "X" * 23),
        ("customer", "a"),
        ("customer", "cus 1"),
        ("description", "two\nlines"),
        ("description", ""),
        ("off_session", "true"),
        ("off_session", 1),
    ],
)
def test_a_body_that_is_refused(member: str, value: Any) -> None:
    """A return_url is followed by a payer's browser: it must not be able to run anything, or to name another host."""
    with pytest.raises(BodyMalformed, match=member):
        validate(PaymentBody, {**PAYMENT, member: value})
