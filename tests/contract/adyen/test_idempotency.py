"""Idempotency keys: https://docs.adyen.com/development-resources/api-idempotency."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import Adyen
import pytest

from local.adyen.running import MERCHANT_ACCOUNT
from tests.contract.adyen.conftest import DAY_SECONDS, Shop, library


def test_a_key_gives_the_first_answer_and_charges_once(shop: Shop) -> None:
    """Fails when a repetition charges again, or its answer differs in a byte."""
    first = shop.client.checkout.payments_api.payments(shop.body("order-1"), idempotency_key="key-1")
    again = shop.client.checkout.payments_api.payments(shop.body("order-1"), idempotency_key="key-1")
    assert again.raw_response == first.raw_response
    assert len(shop.handle.charges(reference="order-1")) == 1
    shop.pay("order-1")
    assert len(shop.handle.charges(reference="order-1")) == 2, "without a key nothing holds a second charge back"


def test_a_key_is_kept_for_seven_days_and_then_charges_again(shop: Shop) -> None:
    """Fails when the key is forgotten within the documented time, or when the fake is kinder than Adyen after it."""
    first = shop.pay("order-1", key="key-1")["pspReference"]
    shop.handle.advance(7 * DAY_SECONDS - 60)
    assert shop.pay("order-1", key="key-1")["pspReference"] == first
    shop.handle.advance(120)
    assert shop.pay("order-1", key="key-1")["pspReference"] != first
    assert len(shop.handle.charges(reference="order-1")) == 2


def test_a_key_belongs_to_the_company_whatever_the_path(shop: Shop) -> None:
    """The key is unique to the company account: the same key on a capture gives the payment's answer, a trap.

    Fails when the scope is the path or everybody's.
    """
    paid = shop.pay("order-1", key="key-1", additionalData={"manualCapture": "true"})
    captured = shop.modify("capture", paid["pspReference"], 1_000, key="key-1")
    assert captured == paid
    assert shop.payment("order-1")["captured_minor"] == 0
    other = Shop(shop.handle, library(shop.handle.api_url, api_key="fake_key_of_Other"))
    body = {**shop.body("order-1"), "merchantAccount": "OtherECOM"}
    theirs = other.client.checkout.payments_api.payments(body, idempotency_key="key-1").message
    assert theirs["pspReference"] != paid["pspReference"]


def test_another_body_gets_the_first_answer_or_is_refused(shop: Shop) -> None:
    """No page says which; an adapter has to survive both. Fails when either charges the second amount."""
    first = shop.pay("order-1", 1_000, key="key-1")
    assert shop.pay("order-2", 2_000, key="key-1") == first
    shop.handle.configure(other_body="refuse")
    with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
        shop.pay("order-2", 2_000, key="key-1")
    assert refused.value.error_code == "704"
    assert refused.value.headers.get("transient-error") is None
    assert [row["amount_minor"] for row in shop.handle.charges()] == [1_000]


@pytest.mark.parametrize("status", [422, 409])
def test_a_duplicate_of_a_request_that_is_under_way_is_transient(shop: Shop, status: int) -> None:
    """Fails when the second waits, charges, or is not marked as one to be retried with the same key."""
    shop.handle.configure(in_progress_status=status)
    shop.handle.scenario("slow", delay_ms=1_500, times=1)

    def pay() -> Any:
        try:
            return shop.pay("order-1", key="key-1")
        except Adyen.AdyenError as refused:
            return refused

    with ThreadPoolExecutor(2) as pool:
        outcomes = [one.result() for one in [pool.submit(pay), pool.submit(pay)]]
    [answer] = [one for one in outcomes if isinstance(one, dict)]
    [refused] = [one for one in outcomes if not isinstance(one, dict)]
    assert (refused.status_code, refused.error_code) == (status, "704")
    assert refused.headers["transient-error"] == "true"
    assert shop.pay("order-1", key="key-1") == answer
    assert len(shop.handle.charges(reference="order-1")) == 1


def test_an_unavailable_store_of_keys_is_transient(shop: Shop) -> None:
    """Fails when the documented 503 with the code 703 is not marked, or books something."""
    with (
        shop.handle.misbehaving("key_store_unavailable"),
        pytest.raises(Adyen.exceptions.AdyenAPIResponseError) as refused,
    ):
        shop.pay("order-1", key="key-1")
    assert (refused.value.status_code, refused.value.error_code) == (503, "703")
    assert refused.value.headers["transient-error"] == "true"
    assert shop.handle.books() == []
    assert shop.pay("order-1", key="key-1")["resultCode"] == "Authorised"


def test_a_refusal_by_validation_is_kept_under_its_key(shop: Shop) -> None:
    """422 carries the header Idempotency-Key in the specification. Fails when a corrected request is executed."""
    key = str(uuid.uuid4())
    wrong = {**shop.body("order-1"), "returnUrl": ""}
    for body in (wrong, shop.body("order-1")):
        with pytest.raises(Adyen.AdyenAPIUnprocessableEntity) as refused:
            shop.client.checkout.payments_api.payments(body, idempotency_key=key)
        assert refused.value.error_code == "14_030"
        assert refused.value.headers["idempotency-key"] == key
    assert shop.handle.books() == []


def test_what_was_not_executed_leaves_its_key_free(shop: Shop) -> None:
    """Fails when 400 or 403 takes the key, which the specification does not say of them."""
    foreign = {**shop.body("order-1"), "merchantAccount": "OtherECOM"}
    with pytest.raises(Adyen.AdyenAPIInvalidPermission):
        shop.client.checkout.payments_api.payments(foreign, idempotency_key="key-1")
    assert shop.pay("order-1", key="key-1")["resultCode"] == "Authorised"
    with pytest.raises(Adyen.AdyenAPIValidationError):
        shop.pay("order-2", key="k" * 65)
    assert [row["merchant_account"] for row in shop.handle.books()] == [MERCHANT_ACCOUNT]
