"""One merchant never sees, replays or blocks what is another's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.disputes import store_dispute
from tests.support.events import PAYMENT, call
from tools.make_events import PATH_IDS

if TYPE_CHECKING:
    from payonce.wiring.application import Application


def document(answer: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(answer["body"])
    return read


def test_the_same_key_of_two_merchants_is_two_keys(application: Application) -> None:
    """Fails (a replay, or 422) when the edge or the record's id leaves the merchant out."""
    mine = call(application, "create_payment", merchant_id="mer_1")
    theirs = call(application, "create_payment", {**PAYMENT, "amount_minor": 7}, merchant_id="mer_2")
    assert (mine["statusCode"], theirs["statusCode"]) == (201, 201)
    assert theirs["headers"]["Idempotency-Replayed"] == "false"
    assert document(mine)["id"] != document(theirs)["id"]


@pytest.mark.parametrize(
    "operation", ["get_payment", "get_payment_history", "capture_payment", "cancel_payment", "refund_payment"]
)
def test_another_merchants_payment_is_not_there(application: Application, operation: str) -> None:
    """Fails when the merchant is left out of the key of a payment."""
    path = {"payment_id": document(call(application, "create_payment"))["id"]}
    found = {
        merchant_id: call(application, operation, None, path=path, merchant_id=merchant_id)["statusCode"]
        for merchant_id in ("mer_2", "mer_1")
    }
    assert found["mer_2"] == 404
    assert found["mer_1"] != 404


def test_another_merchants_disputes_are_not_there(application: Application) -> None:
    """Fails when the merchant is left out of the key of a dispute, or of the partition of their list."""
    store_dispute(application.database, "mer_1")
    paths = {
        "get_dispute": {"dispute_id": PATH_IDS["dispute_id"]},
        "list_payment_disputes": {"payment_id": PATH_IDS["payment_id"]},
    }
    for operation, path in paths.items():
        assert call(application, operation, None, path=path, merchant_id="mer_2")["statusCode"] == 404
        assert call(application, operation, None, path=path, merchant_id="mer_1")["statusCode"] == 200
    assert document(call(application, "list_disputes", None, merchant_id="mer_2"))["data"] == []
    assert len(document(call(application, "list_disputes", None, merchant_id="mer_1"))["data"]) == 1


def test_lists_and_balances_are_ones_own(application: Application) -> None:
    """Fails when the merchant is left out of the partition of the balances or of the list."""
    call(application, "create_payment")
    for operation in ("list_payments", "get_balances"):
        assert document(call(application, operation, None, merchant_id="mer_2"))["data"] == []
        assert document(call(application, operation, None, merchant_id="mer_1"))["data"] != []
