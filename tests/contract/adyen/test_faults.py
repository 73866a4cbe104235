"""The faults of the sandbox bank, committed by the fake of Adyen: each has a truth in the books."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import Adyen
import pytest
import requests

from local.adyen.behaviour import MODES
from local.adyen.running import running_adyen
from local.sandbox_bank.behaviour import MODES as BANK_MODES
from tests.contract.adyen.conftest import Shop, library

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hurried(shop: Shop) -> Shop:
    """A shop that waits one second for an answer."""
    return Shop(shop.handle, library(shop.handle.api_url, timeout_seconds=1))


@pytest.mark.parametrize(
    ("mode", "values", "executed"),
    [
        ("timeout_before_booking", {"delay_ms": 1_500}, 0),
        ("timeout_after_booking", {"delay_ms": 1_500}, 1),
        ("drop_before_booking", {}, 0),
        ("drop_after_booking", {}, 1),
        ("drip", {}, 1),
        ("slow", {"delay_ms": 1_500}, 0),
        ("book_late", {"delay_ms": 1_500}, 0),
    ],
)
def test_an_answer_that_never_comes(hurried: Shop, mode: str, values: dict[str, Any], executed: int) -> None:
    """Fails when the books tell another truth than the mode's name, or the key charges a second time."""
    with hurried.handle.misbehaving(mode, times=1, **values):
        if mode == "drip":
            with pytest.raises(requests.RequestException):
                _hurry(hurried)
        else:
            with pytest.raises((requests.ConnectionError, requests.Timeout)):
                hurried.pay("order-1", key="key-1")
        assert len(hurried.handle.charges(reference="order-1")) == executed
    patient = Shop(hurried.handle, library(hurried.handle.api_url))
    answer = _until_answered(patient)
    assert answer["resultCode"] == "Authorised"
    assert len(hurried.handle.charges(reference="order-1")) == 1


def _hurry(shop: Shop) -> None:
    """Read an answer that comes a byte a second, and give up in its middle, as a deadline over all does."""
    url, headers = f"{shop.handle.api_url}/payments", {"X-API-Key": "fake_key_of_Shop", "Idempotency-Key": "key-1"}
    with requests.post(url, json=shop.body("order-1"), headers=headers, timeout=(1, 0.5), stream=True) as answer:
        assert answer.content


def _until_answered(shop: Shop) -> dict[str, Any]:
    """Repeat with the key for as long as the first request is under way."""
    while True:
        try:
            return shop.pay("order-1", key="key-1")
        except Adyen.AdyenAPIUnprocessableEntity as refused:
            assert refused.headers["transient-error"] == "true"


@pytest.mark.parametrize(
    ("mode", "status", "executed"),
    [("throttle", 429, 0), ("unavailable", 503, 0), ("error_after_booking", 500, 1), ("error_kept", 500, 0)],
)
def test_an_error_of_http(shop: Shop, mode: str, status: int, executed: int) -> None:
    """Fails when an error without ``transient-error`` claims to be one, or the books deny what was executed."""
    with shop.handle.misbehaving(mode, times=1), pytest.raises(Adyen.AdyenError) as failed:
        shop.pay("order-1", key="key-1")
    assert failed.value.status_code == status
    assert failed.value.headers.get("transient-error") is None
    assert len(shop.handle.charges(reference="order-1")) == executed
    if mode == "error_kept":
        for _ in range(2):
            with pytest.raises(Adyen.AdyenAPICommunicationError):
                shop.pay("order-1", key="key-1")
        assert shop.handle.charges(reference="order-1") == []
        assert shop.pay("order-1", key="key-2")["resultCode"] == "Authorised"
    else:
        assert shop.pay("order-1", key="key-1")["resultCode"] == "Authorised"
    assert len(shop.handle.charges(reference="order-1")) == 1


def test_a_refusal_by_scenario_and_a_stranger_in_the_answer(shop: Shop) -> None:
    """Fails when a scenario's decline is authorised, or the wrong reference is booked too."""
    with shop.handle.misbehaving("decline", code="insufficient_funds", times=1):
        assert shop.pay("order-1")["refusalReasonCode"] == "12"
    with shop.handle.misbehaving("wrong_reference", times=1):
        assert shop.pay("order-2")["merchantReference"] == "somebody-else"
    assert [row["reference"] for row in shop.handle.charges()] == ["order-2"]


def test_a_scenario_befalls_the_kinds_it_names(shop: Shop) -> None:
    """Fails when a fault of refunds befalls payments, or a decline of a modification is executed."""
    with shop.handle.misbehaving("decline", kinds=["refund"]):
        paid = shop.pay("order-1")["pspReference"]
        shop.modify("refund", paid, 100)
    assert [(event, success) for event, success, _ in shop.told()] == [("AUTHORISATION", "true"), ("REFUND", "false")]
    assert shop.payment("order-1")["refunded_minor"] == 0


@pytest.mark.parametrize("kind", ["capture", "cancel", "refund", "reversal"])
def test_a_modification_whose_answer_is_lost_is_booked_once_for_its_key(shop: Shop, kind: str) -> None:
    """Fails when a modification is repeated under its key."""
    manual = {"additionalData": {"manualCapture": "true"}} if kind in {"capture", "cancel"} else {}
    paid = shop.pay("order-1", **manual)["pspReference"]
    value = 400 if kind in {"capture", "refund"} else None
    with shop.handle.misbehaving("drop_after_booking", times=1), pytest.raises(requests.ConnectionError):
        shop.modify(kind, paid, value, key="key-1")
    answer = shop.modify(kind, paid, value, key="key-1")
    [operation] = [row for row in shop.handle.books() if row["kind"] != "payment"]
    assert operation["psp_reference"] == answer["pspReference"]


def test_a_magic_token_commits_a_fault_without_an_admin_call(shop: Shop) -> None:
    """Fails when the sandbox bank's tokens do not work as ids of stored methods."""
    method = {"type": "scheme", "storedPaymentMethodId": "pm_sandbox_drop_after_booking"}
    stored = {"shopperReference": "shopper-1", "recurringProcessingModel": "CardOnFile"}
    with pytest.raises(requests.ConnectionError):
        shop.pay("order-1", paymentMethod=method, **stored)
    assert len(shop.handle.charges(reference="order-1")) == 1
    asks = {"type": "scheme", "storedPaymentMethodId": "pm_sandbox_requires_action"}
    assert shop.pay("order-2", paymentMethod=asks, **stored)["resultCode"] == "RedirectShopper"


def test_the_modes_are_the_banks(shop: Shop) -> None:
    """Fails when a suite can't commit a fault of the sandbox bank here, or a misspelt one passes unnoticed."""
    assert MODES >= BANK_MODES
    for mode, kinds in (("unheard-of", []), ("slow", ["unheard-of"])):
        with pytest.raises(HTTPError) as refused:
            shop.handle.scenario(mode, kinds=kinds)
        assert refused.value.code == 400
        refused.value.close()


def test_the_books_survive_the_process(tmp_path: Path) -> None:
    """Fails when a payment, its key or a task to come is only in memory."""
    with running_adyen(tmp_path) as first:
        shop = Shop(first, library(first.api_url))
        first.configure(outcome_delay_ms=3_600_000)
        paid = shop.pay("order-1", key="key-1")
        shop.modify("refund", paid["pspReference"], 100)
    with running_adyen(tmp_path) as second:
        shop = Shop(second, library(second.api_url))
        assert shop.pay("order-1", key="key-1") == paid
        second.advance(3_700)
        assert [row["status"] for row in second.books(kind="refund")] == ["succeeded"]
    with sqlite3.connect(tmp_path / "adyen.sqlite") as books:
        assert books.execute("SELECT COUNT(*) FROM payments").fetchone() == (1,)
    books.close()
